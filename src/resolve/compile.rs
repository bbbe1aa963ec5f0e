//! An app in a form made for matching.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::catalog::app::{App, Resource};
use crate::catalog::attribute::RuleTest;
use crate::catalog::org::{LevelCodes, OrgCode};
use crate::catalog::pin::{Pin, PinMode, PinTarget};
use crate::catalog::release::Release;

/// An app with all that a check can need of it.
#[derive(Debug)]
pub struct PublishedApp {
    pub app: App,
    /// In the order of an answer: the app itself first, then by identifier, bytewise.
    pub resources: Vec<PublishedResource>,
}

#[derive(Debug)]
pub struct PublishedResource {
    pub resource: Resource,
    /// Highest version first.
    pub releases: Vec<CompiledRelease>,
    pub(super) device_pins: HashMap<String, CompiledPin>,
    pub(super) node_pins: Vec<(LevelCodes, CompiledPin)>,
}

#[derive(Debug)]
pub struct CompiledRelease {
    pub release: Release,
    pub(super) rules: Vec<(String, RuleTest)>,
    pub(super) allow_list: HashSet<String>,
    /// The key of its rollout: its own id unless one was given.
    pub(super) rollout_key: String,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct CompiledPin {
    pub(super) mode: PinMode,
    pub(super) expires_at: Option<DateTime<Utc>>,
}

impl PublishedApp {
    /// Compiles an app. Releases in any state may be given; which of them are candidates is the decision's business.
    pub fn compile(app: App, resources: Vec<Resource>, releases: Vec<Release>, pins: Vec<Pin>) -> Self {
        let mut compiled: Vec<_> = resources.into_iter().map(PublishedResource::new).collect();
        compiled.sort_by_key(|published| {
            let identifier = &published.resource.identifier;
            (!app.is_itself(identifier), identifier.clone())
        });
        let positions: HashMap<_, _> = compiled
            .iter()
            .enumerate()
            .map(|(position, published)| (published.resource.identifier.clone(), position))
            .collect();
        for release in releases {
            if let Some(position) = positions.get(&release.identifier) {
                compiled[*position].releases.push(CompiledRelease::new(release));
            }
        }
        for pin in pins {
            if let Some(position) = positions.get(&pin.identifier) {
                compiled[*position].add_pin(pin);
            }
        }
        for published in &mut compiled {
            published.releases.sort_by_key(|compiled| {
                std::cmp::Reverse((compiled.release.content.version_code, compiled.release.id))
            });
        }
        Self {
            app,
            resources: compiled,
        }
    }
}

impl PublishedResource {
    fn new(resource: Resource) -> Self {
        Self {
            resource,
            releases: Vec::new(),
            device_pins: HashMap::new(),
            node_pins: Vec::new(),
        }
    }

    fn add_pin(&mut self, pin: Pin) {
        let compiled = CompiledPin {
            mode: pin.mode,
            expires_at: pin.expires_at,
        };
        match pin.target {
            PinTarget::Device(id) => {
                self.device_pins.insert(id.into_string(), compiled);
            }
            PinTarget::OrgNode(path) => {
                let codes: Vec<_> = path.iter().map(OrgCode::as_str).collect();
                self.node_pins.push((LevelCodes::from_path(&codes), compiled));
            }
        }
    }
}

impl CompiledRelease {
    fn new(release: Release) -> Self {
        let targeting = &release.content.targeting;
        // A rule is checked when it is made, so compiling it again cannot fail; were it to, it must not let through.
        let rules = targeting
            .attribute_rules
            .iter()
            .map(|rule| {
                let test = rule.compile().unwrap_or(RuleTest::OneOf(Vec::new()));
                (rule.name().to_owned(), test)
            })
            .collect();
        let allow_list = targeting
            .device_ids
            .iter()
            .map(|id| id.as_str().to_owned())
            .collect();
        let rollout_key = match &release.content.rollout.key {
            Some(key) => key.as_str().to_owned(),
            None => release.id.to_string(),
        };
        Self {
            release,
            rules,
            allow_list,
            rollout_key,
        }
    }
}
