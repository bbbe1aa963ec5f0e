//! Explanation of a decision: the verdict of every release, and the rule that determined it.

use super::audience::condition_in_words;
use super::decide::{Decision, Outcome, candidate, decide_resource, gates};
use super::gates::Candidate;
use super::rule::Rule;
use crate::check::Check;
use crate::check_context::CheckContext;
use crate::layout::{AppPart, CompiledRelease, CompiledRule, PublishedApp, PublishedResource, Targets};
use chrono::SecondsFormat;
use slipway_domain::catalog::field::excerpt;
use slipway_domain::catalog::ids::ReleaseId;
use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::min_sdk::{MinSdk, SDK_ATTRIBUTE};
use slipway_domain::catalog::pin::PinMode;
use slipway_domain::catalog::targeting_words::Condition;
use slipway_domain::catalog::version::VersionCode;

/// Verdict on a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The device is offered the release or, for a removal, told to remove it.
    Offered,
    /// The release was chosen, but the device already has it or a newer one.
    UpToDate,
    /// The release passes every gate, but another one was chosen.
    PassedOver,
    /// A gate excludes the release.
    Excluded,
}

impl Verdict {
    pub const ALL: [Self; 4] = [Self::Offered, Self::UpToDate, Self::PassedOver, Self::Excluded];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::UpToDate => "up_to_date",
            Self::PassedOver => "passed_over",
            Self::Excluded => "excluded",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedResource {
    pub identifier: String,
    /// Installed version; 0 = not installed.
    pub installed: VersionCode,
    /// Version that is offered, or to be removed.
    pub offer: Option<VersionCode>,
    /// Highest version first.
    pub releases: Vec<ExplainedRelease>,
    /// Number of releases that were omitted because the explanation reached its size limit.
    pub left_out: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedRelease {
    pub release_id: ReleaseId,
    pub version_code: VersionCode,
    pub verdict: Verdict,
    pub rule: Rule,
    /// Explanation of the rule, with the values of this device and this release.
    pub detail: String,
}

/// Decides like [`super::decide`], and returns the reason for every release of every resource.
pub fn explain(app: &PublishedApp, check: &Check<'_>, context: &CheckContext) -> Vec<ExplainedResource> {
    explain_selected(app, check, context, |_| true)
}

/// Explains the resources with the requested identifiers; see [`explain`].
pub fn explain_selected(
    app: &PublishedApp,
    check: &Check<'_>,
    context: &CheckContext,
    is_asked_for: impl Fn(&str) -> bool,
) -> Vec<ExplainedResource> {
    let mut room = MAX_EXPLAINED_BYTES;
    let mut explained = Vec::new();
    for part in app.parts.iter() {
        let asked = part.resources.iter();
        let asked = asked.filter(|resource| is_asked_for(part.identifier_of(resource)));
        explained.extend(asked.map(|resource| explain_resource(part, resource, check, context, &mut room)));
    }
    explained
}

/// Approximate size limit of an explanation, in bytes of the answer.
const MAX_EXPLAINED_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a release besides its detail: id, version, verdict and rule, with their names.
const BYTES_BESIDE_DETAIL: usize = 160;

/// Explains one resource. `room` is the number of bytes that earlier resources left. The installed version and the
/// offer are always included.
fn explain_resource(
    app: &AppPart,
    resource: &PublishedResource,
    check: &Check<'_>,
    context: &CheckContext,
    room: &mut usize,
) -> ExplainedResource {
    let decision = decide_resource(app, resource, check, context);
    let all = app.releases_of(resource);
    let mut releases = Vec::new();
    for release in all {
        let (verdict, rule) = verdict_of(app, release, &decision, check, context);
        let detail = detail(rule, candidate(app, release), &decision, check, context);
        let taken = detail.len() + BYTES_BESIDE_DETAIL;
        if taken > *room {
            *room = 0;
            break;
        }
        *room -= taken;
        releases.push(ExplainedRelease {
            release_id: release.id,
            version_code: release.version_code,
            verdict,
            rule,
            detail,
        });
    }
    ExplainedResource {
        identifier: app.identifier_of(resource).to_owned(),
        installed: decision.installed,
        offer: decision.outcome.release().map(|release| release.version_code),
        left_out: all.len() - releases.len(),
        releases,
    }
}

fn verdict_of(
    app: &AppPart,
    release: &CompiledRelease,
    decision: &Decision<'_>,
    check: &Check<'_>,
    context: &CheckContext,
) -> (Verdict, Rule) {
    let is = |other: Option<&CompiledRelease>| other.is_some_and(|other| other.id == release.id);
    if let Some(rule) = decision.switched_off {
        return (Verdict::Excluded, rule);
    }
    if is(decision.outcome.release()) {
        return (Verdict::Offered, offered_by(decision.outcome));
    }
    if let Err(rule) = gates(app, release, check, context, decision.pin) {
        return (Verdict::Excluded, rule);
    }
    if is(decision.choice) {
        let rule = if release.version_code == decision.installed {
            Rule::Installed
        } else {
            Rule::InstalledIsNewer
        };
        return (Verdict::UpToDate, rule);
    }
    let above_the_floor = decision
        .choice
        .is_some_and(|choice| choice.version_code < release.version_code);
    if above_the_floor {
        (Verdict::PassedOver, Rule::Floor)
    } else {
        (Verdict::PassedOver, Rule::NewerPasses)
    }
}

fn offered_by(outcome: Outcome<'_>) -> Rule {
    match outcome {
        Outcome::Repair(_) => Rule::Repair,
        Outcome::Rollback(_) => Rule::Rollback,
        Outcome::Removal(_) => Rule::Removal,
        Outcome::Update(_) | Outcome::Nothing => Rule::Newer,
    }
}

fn detail(
    rule: Rule,
    candidate: Candidate<'_>,
    decision: &Decision<'_>,
    check: &Check<'_>,
    context: &CheckContext,
) -> String {
    let Candidate { release, targets } = candidate;
    let condition = |condition| condition_in_words(candidate, condition);
    let installed = decision.installed;
    let choice = decision
        .choice
        .map_or(VersionCode::NOT_INSTALLED, |choice| choice.version_code);
    match rule {
        Rule::TenantOff => "offers of the tenant are switched off".to_owned(),
        Rule::AppOff => "the app is switched off".to_owned(),
        Rule::ResourceOff => "the resource is switched off".to_owned(),
        Rule::State => format!("the release is {}", release.state.name()),
        Rule::StartsAt | Rule::EndsAt => format!(
            "the release is offered {}; now is {}",
            condition(Condition::Window),
            context.now.to_rfc3339_opts(SecondsFormat::Secs, true)
        ),
        Rule::HostVersion => format!(
            "the release is for {}; the host app's version is {}",
            condition(Condition::HostVersions),
            check.version_code
        ),
        Rule::DeviceType => {
            let types = condition(Condition::DeviceTypes);
            match check.device_type {
                Some(own) => format!("the release is for {types}; the device has type {}", excerpt(own)),
                None => format!("the release is for {types}; the device sent no type"),
            }
        }
        Rule::MinSdk => format!(
            "the file needs API level {}, {SDK_ATTRIBUTE} was sent as {:?}",
            release.min_sdk.map_or(0, MinSdk::get),
            excerpt(check.attribute(SDK_ATTRIBUTE).unwrap_or_default())
        ),
        Rule::Org => {
            let places = condition(Condition::Places);
            let why = if check.memberships.is_empty() {
                "the device sent no org_info"
            } else {
                "the device is elsewhere"
            };
            format!("the release is for {places}; {why}")
        }
        Rule::Attributes => first_false_rule(targets, check),
        Rule::Rollout => format!(
            "the release is for {}; the device is not among them",
            condition(Condition::Share)
        ),
        Rule::Stale => "this node is stale and withholds partial rollouts".to_owned(),
        Rule::Pin => describe_pin(decision.pin),
        Rule::FileUnavailable => {
            "the file cannot be downloaded: it is damaged or missing, or SLIPWAY_PUBLIC_URL is not set"
                .to_owned()
        }
        Rule::NewerPasses => format!("version {choice} is newer and passes too"),
        Rule::Floor => format!("version {choice} is a floor that must not be skipped"),
        Rule::Newer => describe_newer(release, decision),
        Rule::Installed => format!("version {installed} is installed"),
        Rule::Repair => format!("version {installed} is installed with another md5"),
        Rule::InstalledIsNewer => format!("version {installed} is installed and newer"),
        Rule::Rollback => format!("version {installed} is installed and was recalled with rollback"),
        Rule::Removal => format!("version {installed} is installed and was recalled with removal"),
    }
}

fn first_false_rule(targets: Targets<'_>, check: &Check<'_>) -> String {
    targets
        .rules()
        .iter()
        .find(|compiled| !compiled.test.matches(check.attribute(compiled.rule.name())))
        .map_or_else(String::new, |CompiledRule { rule, .. }| {
            let name = rule.name();
            let sent = check.attribute(name).map_or("not sent".to_owned(), |sent| {
                format!("sent as {:?}", excerpt(sent))
            });
            let condition = rule.in_words(Language::English);
            format!("the release is for devices on which {condition}; {name} was {sent}")
        })
}

fn describe_pin(pin: Option<PinMode>) -> String {
    match pin {
        Some(PinMode::Hold) => "a pin holds this resource".to_owned(),
        Some(PinMode::Exact(version)) => format!("a pin allows only version {version}"),
        Some(PinMode::Ceiling(version)) => format!("a pin allows only versions up to {version}"),
        None => String::new(),
    }
}

/// Explains a newer release. An `exact` pin passes over floors, which the text mentions.
fn describe_newer(release: &CompiledRelease, decision: &Decision<'_>) -> String {
    let installed = decision.installed;
    let older = match installed {
        VersionCode::NOT_INSTALLED => "nothing is installed".to_owned(),
        _ => format!("version {installed} is installed and older"),
    };
    if let Some(PinMode::Exact(version)) = decision.pin {
        format!("{older}; a pin allows only version {version}, so floors below it are passed over")
    } else if decision.highest.map(|highest| highest.version_code) > Some(release.version_code) {
        format!("{older}; it is a floor that must not be skipped")
    } else {
        older
    }
}
