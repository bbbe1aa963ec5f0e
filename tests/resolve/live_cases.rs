//! Catalogs that change step by step. After each step, a node that follows the database must answer like the reference.
//!
//! `SLIPWAY_LIVE_CASES` sets the number of checks, and `SLIPWAY_LIVE_SEED` the seed.

use std::env;
use std::str::FromStr;
use std::sync::Arc;

use chrono::TimeDelta;
use fastrand::Rng;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use slipway::clock::SystemClock;
use slipway::hints::HintBus;
use slipway::http::OFFER_ENCODERS;
use slipway::live::{
    CatalogCache, CatalogSync, CatalogSyncParts, CatalogSyncSettings, Lookup, Revocations, compile_app,
};
use slipway::secrets::Keyring;
use slipway::storage::releases::ReleaseSelection;
use slipway::storage::{
    AppSelection, CatalogTx, StorageError, apps, catalog_states, org_directories, pins, releases, resources,
    tenants,
};
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::org::{OrgCode, OrgDirectory, OrgNode};
use slipway_domain::catalog::pin::Pin;
use slipway_domain::catalog::release::{RecallMode, ReleaseRecord, ReleaseState};
use slipway_domain::catalog::text::DeviceType;
use slipway_domain::catalog::versioned::Versioned;

use slipway_resolver::{AppChange, PublishedApp};

use super::case::{self, Served, list};
use super::generate::{Scenario, scenario};
use super::reference;
use crate::storage::values::{change, hold, identifier, now, prepare_app, release, scope, tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(
    a_live_node_answers_like_the_reference,
    a_large_app_equals_a_compilation_from_scratch,
);

const SECRET_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
/// Number of checks after each step.
const CHECKS: usize = 10;
const STEPS: usize = 120;

/// Members of a release that do not restrict which devices get it.
const UNRESTRICTED: [&str; 8] = [
    "identifier",
    "version_code",
    "version_name",
    "download_url",
    "size",
    "md5",
    "min_sdk",
    "config_json",
];

fn setting<T: FromStr>(name: &str, usual: T) -> T {
    let asked = env::var(name).ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(usual)
}

/// A catalog in the form of the reference, and its stored form.
struct Catalog {
    tenant: i64,
    case: Value,
    app: Versioned<App>,
    releases: Vec<Versioned<ReleaseRecord>>,
    resources: Vec<Versioned<Resource>>,
    pins: Vec<Pin>,
}

pub(super) struct Node {
    pub(super) sync: CatalogSync,
    pub(super) live: Arc<CatalogCache>,
}

impl Node {
    pub(super) fn start(database: &TestDatabase) -> Self {
        let settings = CatalogSyncSettings {
            poll_interval: std::time::Duration::from_secs(1),
            stale_after: TimeDelta::days(1),
            encoders: OFFER_ENCODERS,
            download_urls: DownloadUrls::default(),
        };
        let keyring = Arc::new(Keyring::parse(SECRET_KEY).unwrap());
        let db = || database.db.clone();
        let (sync, live) = CatalogSync::new(
            CatalogSyncParts {
                db: db(),
                pool: db(),
                clock: Arc::new(SystemClock),
                keyring,
                hints: HintBus::local(),
                revocations: Revocations::new().0,
            },
            settings,
        );
        Self { sync, live }
    }

    /// Follows the database, and returns the answer to a check.
    fn answer(&self, catalog: &Catalog, scenario: &Scenario) -> Value {
        let Lookup::Found(served) = self.live.tenant(scope(catalog.tenant).tenant()) else {
            panic!("the tenant is served");
        };
        let view = Served {
            enabled: served.tenant.enabled,
            offers_enabled: served.tenant.offers_enabled,
            directory: &served.directory,
            app: &|name| served.app(name),
        };
        case::answer(&view, &scenario.request, scenario.now, scenario.stale)
    }

    fn loaded(&self, catalog: &Catalog) -> usize {
        let Lookup::Found(served) = self.live.tenant(scope(catalog.tenant).tenant()) else {
            return 0;
        };
        let app = served.app(catalog.app.value.package_name.as_str());
        app.map_or(0, slipway_resolver::PublishedApp::release_count)
    }
}

async fn a_live_node_answers_like_the_reference(database: TestDatabase) {
    let cases: usize = setting("SLIPWAY_LIVE_CASES", 3_000);
    let seed: u64 = setting("SLIPWAY_LIVE_SEED", 1);
    let mut rng = Rng::with_seed(seed);
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    let mut generator = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &bytes),
    );
    let any = scenario();
    let mut next = || any.new_tree(&mut generator).unwrap().current();
    database.db.migrate().await.unwrap();
    let mut node = Node::start(&database);
    let (mut checked, mut superseded, mut number) = (0, 0, 0);
    while checked < cases {
        number += 1;
        let mut catalog = Catalog::begin(&database, number, &next().case).await;
        for step in 0..STEPS {
            let wanted = next().case;
            let what = catalog.step(&database, &mut rng, &wanted).await;
            node.sync.load().await.unwrap();
            let all = list(&catalog.case["apps"][0]["releases"]).iter();
            let relevant = all.filter(|it| it["state"] == "published" || it["state"] == "recalled");
            superseded += usize::from(node.loaded(&catalog) < relevant.count());
            for _ in 0..CHECKS {
                let scenario = next();
                let expected =
                    reference::check(&catalog.case, &scenario.request, scenario.now, scenario.stale);
                let answer = node.answer(&catalog, &scenario);
                assert_eq!(
                    expected, answer,
                    "seed {seed}, catalog {number}, step {step}, {what}: {} of {}",
                    scenario.request, catalog.case
                );
                checked += 1;
            }
            if checked >= cases {
                break;
            }
        }
    }
    assert!(superseded > 0, "no release was superseded in {checked} checks");
}

impl Catalog {
    /// Creates a tenant with an org directory and the first app of a case, without its releases.
    async fn begin(database: &TestDatabase, number: i64, case: &Value) -> Self {
        let first = &case["apps"][0];
        let app = case::app(first);
        let mut stored = None;
        let nodes: Vec<_> = list(&case["org_directory"]).iter().map(node).collect();
        change(&database.db, number, async |tx| {
            tenants::insert(tx, tenant(number), now()).await?;
            org_directories::replace(tx, nodes, now()).await?;
            stored = Some(apps::insert(tx, app, now()).await?);
            Ok(())
        })
        .await;
        let mut first = first.clone();
        for part in ["releases", "resources", "pins"] {
            first[part] = json!([]);
        }
        Self {
            tenant: number,
            case: json!({"tenant": {}, "org_directory": case["org_directory"], "apps": [first]}),
            app: stored.unwrap(),
            releases: Vec::new(),
            resources: Vec::new(),
            pins: Vec::new(),
        }
    }

    /// Makes one change towards another case, and returns its name.
    async fn step(&mut self, database: &TestDatabase, rng: &mut Rng, wanted: &Value) -> &'static str {
        let wanted = &wanted["apps"][0];
        let tx = database.db.begin_catalog(scope(self.tenant)).await.unwrap();
        let what = match rng.u8(..12) {
            0..=4 => self.put_release(&tx, rng, wanted),
            5..=7 => self.change_state(&tx, rng),
            8 | 9 => self.put_pin(&tx, rng, wanted).await,
            10 if !self.pins.is_empty() => self.delete_pin(&tx, rng).await,
            11 => self.change_resource(&tx, rng, wanted),
            _ => self.switch_app(&tx, rng).await,
        };
        let what = what.unwrap();
        tx.commit().await.unwrap();
        what
    }

    fn app_json(&mut self) -> &mut Value {
        &mut self.case["apps"][0]
    }

    /// Adds a release, or replaces the content of an existing version.
    fn put_release(&mut self, tx: &CatalogTx, rng: &mut Rng, wanted: &Value) -> Step {
        let Some(json) = rng.choice(list(&wanted["releases"])) else {
            return Ok("nothing");
        };
        let mut json = json.clone();
        // Only artifacts can be damaged, and these releases have none.
        let members = json.as_object_mut().unwrap();
        members.remove("file_damaged");
        if rng.u8(..3) == 0 {
            // A release for everybody supersedes others.
            members.retain(|name, _| UNRESTRICTED.contains(&name.as_str()));
        }
        if json["state"].is_null() {
            json["state"] = json!("published");
        }
        let release = case::release(&self.app.value, &json);
        let known = self.resources.iter();
        if !known
            .into_iter()
            .any(|it| it.value.identifier == release.identifier)
        {
            let first = Resource::first_seen(&self.app.value, release.identifier.clone());
            self.resources.push(resources::insert(tx, first, now())?);
        }
        let position = self.releases.iter().position(|stored| {
            let other = &stored.value.release;
            other.identifier == release.identifier
                && other.content.version_code == release.content.version_code
                && other.state != ReleaseState::Discarded
        });
        let position = position.filter(|_| release.state != ReleaseState::Discarded);
        if let Some(position) = position {
            let mut record = self.releases[position].value.clone();
            record.release = slipway_domain::catalog::release::Release {
                id: record.release.id,
                ..release
            };
            self.releases[position] = releases::update(tx, &self.releases[position], record, now())?;
            self.app_json()["releases"][position] = json;
            Ok("a release has other content")
        } else {
            let draft = ReleaseRecord::draft(
                release.id,
                release.app_id,
                release.identifier.clone(),
                release.content.clone(),
            );
            self.releases
                .push(releases::insert(tx, ReleaseRecord { release, ..draft }, now())?);
            self.app_json()["releases"].as_array_mut().unwrap().push(json);
            Ok("a release is new")
        }
    }

    /// Publishes, pauses or recalls a release.
    fn change_state(&mut self, tx: &CatalogTx, rng: &mut Rng) -> Step {
        if self.releases.is_empty() {
            return Ok("nothing");
        }
        let position = rng.usize(..self.releases.len());
        if self.releases[position].value.release.state == ReleaseState::Discarded {
            return Ok("nothing");
        }
        let states = [
            json!({"state": "published"}),
            json!({"state": "published"}),
            json!({"state": "paused"}),
            json!({"state": "recalled", "recall_mode": "stop"}),
            json!({"state": "recalled", "recall_mode": "rollback"}),
            json!({"state": "recalled", "recall_mode": "removal"}),
        ];
        let state = &states[rng.usize(..states.len())];
        let json = &mut self.case["apps"][0]["releases"][position];
        json["state"] = state["state"].clone();
        json["recall_mode"] = state["recall_mode"].clone();
        let mut record = self.releases[position].value.clone();
        record.release.state = case::state(json);
        self.releases[position] = releases::update(tx, &self.releases[position], record, now())?;
        Ok("a release has another state")
    }

    async fn put_pin(&mut self, tx: &CatalogTx, rng: &mut Rng, wanted: &Value) -> Step {
        let Some(json) = rng.choice(list(&wanted["pins"])) else {
            return Ok("nothing");
        };
        let pin = case::pin(&self.app.value, json);
        if !self
            .resources
            .iter()
            .any(|it| it.value.identifier == pin.identifier)
        {
            return Ok("nothing");
        }
        let stored = pins::upsert(tx, pin, now()).await?.value;
        let position = self.pins.iter().position(|other| other.id == stored.id);
        let pins = self.case["apps"][0]["pins"].as_array_mut().unwrap();
        if let Some(position) = position {
            pins[position] = json.clone();
            self.pins[position] = stored;
        } else {
            pins.push(json.clone());
            self.pins.push(stored);
        }
        Ok("a pin is put")
    }

    async fn delete_pin(&mut self, tx: &CatalogTx, rng: &mut Rng) -> Step {
        let position = rng.usize(..self.pins.len());
        pins::delete(tx, &self.pins.remove(position)).await?;
        self.app_json()["pins"].as_array_mut().unwrap().remove(position);
        Ok("a pin is deleted")
    }

    fn change_resource(&mut self, tx: &CatalogTx, rng: &mut Rng, wanted: &Value) -> Step {
        if self.resources.is_empty() {
            return Ok("nothing");
        }
        let position = rng.usize(..self.resources.len());
        let before = self.resources[position].clone();
        let identifier = before.value.identifier.clone();
        let after = case::resource(&self.app.value, &identifier, wanted);
        self.resources[position] = resources::update(tx, &before, after, now())?;
        let mut settings = list(&wanted["resources"]).to_vec();
        settings.retain(|it| it["identifier"] == identifier.as_str());
        let all = self.app_json()["resources"].as_array_mut().unwrap();
        all.retain(|it| it["identifier"] != identifier.as_str());
        all.extend(settings);
        Ok("a resource has other settings")
    }

    async fn switch_app(&mut self, tx: &CatalogTx, rng: &mut Rng) -> Step {
        let mut app = self.app.value.clone();
        app.enabled = rng.u8(..4) > 0;
        self.app_json()["enabled"] = json!(app.enabled);
        self.app = apps::update(tx, &self.app, app, now()).await?;
        Ok("the app is switched")
    }
}

type Step = Result<&'static str, StorageError>;

fn node(path: &Value) -> OrgNode {
    let codes = list(path).iter();
    OrgNode {
        path: codes
            .map(|code| OrgCode::parse(code.as_str().unwrap()).unwrap())
            .collect(),
        name: None,
        time_zone: None,
    }
}

/// Number of resources of the large app. Each has a release that nothing supersedes.
const RESOURCES: usize = 400;

/// Returns all answers and contents of an app, independently of its division into parts.
fn contents(app: &PublishedApp) -> Vec<String> {
    let mut contents: Vec<_> = app.release_ids().map(|id| id.to_string()).collect();
    contents.sort();
    for device_type in ["10013", "10014"] {
        let request = json!({
            "package_name": app.package_name,
            "version_code": 1,
            "device_id": "D1",
            "device_type": device_type,
            "old_versions": {"r0007": 1},
        });
        let served = Served {
            enabled: true,
            offers_enabled: true,
            directory: &OrgDirectory::default(),
            app: &|_| Some(app),
        };
        contents.push(case::answer(&served, &request, now(), false).to_string());
    }
    contents
}

async fn from_scratch(database: &TestDatabase, app: &App) -> PublishedApp {
    let tx = database.db.begin_read().await.unwrap();
    let ids = [app.id];
    let apps = AppSelection::Some(scope(1), &ids);
    let rows = catalog_states::load_apps(&tx, apps, ReleaseSelection::Effective).await;
    compile_app(rows.unwrap().pop().unwrap(), &OFFER_ENCODERS).unwrap()
}

fn targeted(app: &App, resource: usize, version: i64) -> ReleaseRecord {
    let mut record = release(app, &format!("r{resource:04}"), version);
    record.release.state = ReleaseState::Published;
    let targeting = &mut record.release.content.targeting;
    targeting.device_types = vec![DeviceType::parse("10013").unwrap()];
    record
}

/// An app of several parts is reloaded part by part. After each step it equals a compilation from scratch, and so does
/// the journal's record of the step.
async fn a_large_app_equals_a_compilation_from_scratch(database: TestDatabase) {
    let db = &database.db;
    let names: Vec<_> = (0..RESOURCES).map(|number| format!("r{number:04}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let app = prepare_app(db, "com.hema.wms", &names).await;
    let mut stored = Vec::new();
    change(db, 1, async |tx| {
        for resource in 0..RESOURCES {
            stored.push(releases::insert(tx, targeted(&app, resource, 1), now())?);
        }
        Ok(())
    })
    .await;
    let mut node = Node::start(&database);
    node.sync.load().await.unwrap();
    let mut before = from_scratch(&database, &app).await;
    let mut rng = Rng::with_seed(setting("SLIPWAY_LIVE_SEED", 1));
    for step in 0..40 {
        change(db, 1, async |tx| {
            let resource = rng.usize(..RESOURCES);
            match rng.u8(..4) {
                0 => {
                    let resource = RESOURCES + step;
                    let identifier = identifier(&format!("r{:04}-new", rng.usize(..RESOURCES)));
                    let mut record = targeted(&app, resource, 1);
                    record.release.identifier = identifier.clone();
                    if resources::find(tx, scope(1), app.id, &identifier)
                        .await?
                        .is_none()
                    {
                        resources::insert(tx, Resource::first_seen(&app, identifier), now())?;
                        stored.push(releases::insert(tx, record, now())?);
                    }
                }
                1 => stored.push(releases::insert(
                    tx,
                    targeted(&app, resource, i64::try_from(step).unwrap() + 2),
                    now(),
                )?),
                2 => drop(pins::upsert(tx, hold(&app, &format!("r{resource:04}"), "D1"), now()).await?),
                _ => {
                    let position = rng.usize(..stored.len());
                    let mut record = stored[position].value.clone();
                    record.release.state = if rng.bool() {
                        ReleaseState::Paused
                    } else {
                        ReleaseState::Recalled(RecallMode::Removal)
                    };
                    stored[position] = releases::update(tx, &stored[position], record, now())?;
                }
            }
            Ok(())
        })
        .await;
        node.sync.load().await.unwrap();
        let Lookup::Found(served) = node.live.tenant(scope(1).tenant()) else {
            panic!("the tenant is served");
        };
        let served = served.app("com.hema.wms").unwrap();
        assert_eq!(
            contents(served),
            contents(&from_scratch(&database, &app).await),
            "step {step}"
        );
        before = journaled(served, &before, step);
    }
}

/// Reads the app back from the journal's record of its change.
fn journaled(app: &PublishedApp, before: &PublishedApp, step: usize) -> PublishedApp {
    let written = serde_json::to_string(&app.change_since(Some(before))).unwrap();
    let change: AppChange = serde_json::from_str(&written).unwrap();
    let read = change.apply(Some(before)).unwrap();
    assert_eq!(contents(&read), contents(app), "step {step}");
    read
}
