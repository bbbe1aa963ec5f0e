//! Releases that a check can depend on. Only these are loaded, and checks are answered as if all were.

use fastrand::Rng;
use sea_orm::ConnectionTrait;
use slipway::http::{JSON, OFFER_ENCODERS};
use slipway::live::compile_app;
use slipway::storage::releases::{self, ReleaseSelection};
use slipway::storage::{AppSelection, Db, catalog_states, pins};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::min_sdk::MinSdk;
use slipway_domain::catalog::org::{LevelCodes, OrgCode, OrgScope};
use slipway_domain::catalog::pin::{Pin, PinMode, PinTarget};
use slipway_domain::catalog::release::{RecallMode, Release, ReleaseRecord, ReleaseState};
use slipway_domain::catalog::release_content::ReleaseContent;
use slipway_domain::catalog::rollout::Share;
use slipway_domain::catalog::targeting::Targeting;
use slipway_domain::catalog::text::DeviceId;
use slipway_domain::catalog::versioned::Versioned;
use slipway_resolver::{CheckContext, CheckFields, PublishedApp, RawField, explain, read_check};

use super::values::{change, hold, now, prepare_app, release, scope, version};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::round_trips::RoundTripProxy;

on_both_databases!(
    superseded_releases_are_not_loaded,
    a_release_supersedes_those_that_require_its_level_or_more,
    a_superseded_release_returns_with_the_end_of_a_newer_one,
    a_pin_brings_back_what_it_allows,
    flags_that_another_version_left_behind_are_not_trusted,
    checks_are_answered_as_if_every_release_were_loaded,
    a_contradicting_name_is_found_among_all,
);

const STATES: [ReleaseState; 6] = [
    ReleaseState::Draft,
    ReleaseState::Published,
    ReleaseState::Published,
    ReleaseState::Paused,
    ReleaseState::Recalled(RecallMode::Rollback),
    ReleaseState::Recalled(RecallMode::Removal),
];

async fn insert(db: &Db, record: ReleaseRecord) -> Versioned<ReleaseRecord> {
    let mut written = None;
    change(db, 1, async |tx| {
        written = Some(releases::insert(tx, record, now())?);
        Ok(())
    })
    .await;
    written.unwrap()
}

async fn update(
    db: &Db,
    before: &Versioned<ReleaseRecord>,
    after: ReleaseRecord,
) -> Versioned<ReleaseRecord> {
    let mut written = None;
    change(db, 1, async |tx| {
        written = Some(releases::update(tx, before, after, now())?);
        Ok(())
    })
    .await;
    written.unwrap()
}

async fn pin(db: &Db, pin: Pin) {
    change(db, 1, async |tx| pins::upsert(tx, pin, now()).await.map(drop)).await;
}

fn published(app: &App, version_code: i64) -> ReleaseRecord {
    let mut record = release(app, "a", version_code);
    record.release.state = ReleaseState::Published;
    record
}

async fn load(db: &Db, app: &App, selection: ReleaseSelection) -> Vec<Release> {
    let tx = db.begin_read().await.unwrap();
    let ids = [app.id];
    let apps = AppSelection::Some(scope(1), &ids);
    let rows = catalog_states::load_apps(&tx, apps, selection).await.unwrap();
    let mut found = rows.into_iter().next().unwrap().releases;
    found.sort_by_key(|release| release.content.version_code);
    found
}

async fn loaded_versions(db: &Db, app: &App) -> Vec<i64> {
    let found = load(db, app, ReleaseSelection::Effective).await;
    found
        .iter()
        .map(|release| release.content.version_code.get())
        .collect()
}

async fn superseded_releases_are_not_loaded(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["a", "b"]).await;
    for code in 1..=9 {
        let mut record = published(&wms, code);
        let content = &mut record.release.content;
        content.floor = code == 2;
        content.mandatory = code == 3;
        if code == 4 {
            record.release.state = ReleaseState::Recalled(RecallMode::Rollback);
        }
        if code >= 8 {
            content.rollout.share = Share::from_hundredths(500).unwrap();
        }
        insert(db, record).await;
    }
    // A draft is not loaded, and another resource does not matter.
    insert(db, release(&wms, "a", 20)).await;
    let mut other = published(&wms, 1);
    other.release.identifier = super::values::identifier("b");
    insert(db, other).await;
    assert_eq!(loaded_versions(db, &wms).await, [1, 2, 3, 4, 7, 8, 9]);
    assert_eq!(load(db, &wms, ReleaseSelection::All).await.len(), 11);
}

async fn a_release_supersedes_those_that_require_its_level_or_more(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["a"]).await;
    for (code, level) in [
        (1, 0),
        (2, 0),
        (3, 16),
        (4, 24),
        (5, 21),
        (6, 21),
        (7, 24),
        (8, 24),
    ] {
        let mut record = published(&wms, code);
        record.release.content.file.min_sdk = MinSdk::of_file(level);
        insert(db, record).await;
    }
    assert_eq!(loaded_versions(db, &wms).await, [2, 3, 6, 8]);
    let mut ceiling = hold(&wms, "a", "D1");
    ceiling.mode = PinMode::Ceiling(version(5));
    pin(db, ceiling).await;
    assert_eq!(loaded_versions(db, &wms).await, [2, 3, 5, 6, 8]);
    let mut everybody = published(&wms, 9);
    everybody.release.content.file.min_sdk = None;
    insert(db, everybody).await;
    assert_eq!(loaded_versions(db, &wms).await, [2, 3, 5, 9]);
    for code in 10..=80 {
        let mut record = published(&wms, code);
        record.release.content.file.min_sdk = MinSdk::of_file(u32::try_from(1_000 + code).unwrap());
        insert(db, record).await;
    }
    insert(db, published(&wms, 81)).await;
    // Too many levels to examine each. Above the sixteenth, which version 21 requires, everything is loaded.
    let loaded: Vec<_> = [2, 3, 5].into_iter().chain(22..=81).collect();
    assert_eq!(loaded_versions(db, &wms).await, loaded);
}

async fn a_superseded_release_returns_with_the_end_of_a_newer_one(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["a"]).await;
    for code in [1, 2] {
        insert(db, published(&wms, code)).await;
    }
    let newest = insert(db, published(&wms, 3)).await;
    assert_eq!(loaded_versions(db, &wms).await, [3]);
    let mut paused = newest.value.clone();
    paused.release.state = ReleaseState::Paused;
    let paused = update(db, &newest, paused).await;
    assert_eq!(loaded_versions(db, &wms).await, [2]);
    let mut resumed = paused.value.clone();
    resumed.release.state = ReleaseState::Published;
    let resumed = update(db, &paused, resumed).await;
    assert_eq!(loaded_versions(db, &wms).await, [3]);
    let mut scheduled = resumed.value.clone();
    scheduled.release.content.starts_at = Some(now());
    let scheduled = update(db, &resumed, scheduled).await;
    assert_eq!(loaded_versions(db, &wms).await, [2, 3]);
    let mut recalled = scheduled.value.clone();
    recalled.release.state = ReleaseState::Recalled(RecallMode::Stop);
    update(db, &scheduled, recalled).await;
    assert_eq!(loaded_versions(db, &wms).await, [2, 3]);
}

async fn a_pin_brings_back_what_it_allows(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["a"]).await;
    for code in 1..=9 {
        let mut record = published(&wms, code);
        if code == 4 {
            record.release.content.rollout.share = Share::from_hundredths(1).unwrap();
        }
        insert(db, record).await;
    }
    let mut ceiling = hold(&wms, "a", "D1");
    ceiling.mode = PinMode::Ceiling(version(4));
    pin(db, ceiling.clone()).await;
    assert_eq!(loaded_versions(db, &wms).await, [3, 4, 9]);
    let mut exact = hold(&wms, "a", "D2");
    exact.mode = PinMode::Exact(version(7));
    pin(db, exact).await;
    assert_eq!(loaded_versions(db, &wms).await, [3, 4, 7, 9]);
    change(db, 1, async |tx| pins::delete(tx, &ceiling).await.map(drop)).await;
    assert_eq!(loaded_versions(db, &wms).await, [7, 9]);
    // Independent of their number.
    for code in 10..=80 {
        insert(db, published(&wms, code)).await;
    }
    for code in 20..=79 {
        let mut exact = hold(&wms, "a", &format!("D{code}"));
        exact.mode = PinMode::Exact(version(code));
        pin(db, exact).await;
    }
    let pinned = [7].into_iter().chain(20..=80);
    assert_eq!(loaded_versions(db, &wms).await, pinned.collect::<Vec<_>>());
}

async fn execute(database: &TestDatabase, statement: &str) {
    let raw = sea_orm::Database::connect(&database.url).await.unwrap();
    raw.execute_unprepared(statement).await.unwrap();
}

/// During a rolling deploy, a node of an older version may write. It does not compute the flags.
async fn flags_that_another_version_left_behind_are_not_trusted(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["a"]).await;
    for code in 1..=3 {
        insert(db, published(&wms, code)).await;
    }
    let as_an_older_version = [
        "UPDATE releases SET state = 'paused' WHERE version_code = 3",
        "UPDATE apps SET revision = revision + 1",
    ];
    for statement in as_an_older_version {
        execute(&database, statement).await;
    }
    assert_eq!(loaded_versions(db, &wms).await, [1, 2]);
    // The next write computes them for the whole app.
    insert(db, release(&wms, "a", 9)).await;
    assert_eq!(loaded_versions(db, &wms).await, [2]);
    for statement in [
        "UPDATE releases SET floor = TRUE WHERE version_code = 1",
        "UPDATE apps SET revision = revision + 1",
    ] {
        execute(&database, statement).await;
    }
    insert(db, release(&wms, "a", 10)).await;
    assert_eq!(loaded_versions(db, &wms).await, [1, 2]);
}

/// The length of a script must not grow with the number of resources.
#[tokio::test]
async fn flags_of_many_resources_are_computed_in_several_round_trips() {
    let database = TestDatabase::postgres().await;
    let names: Vec<_> = (0..250).map(|number| format!("r{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let wms = prepare_app(&database.db, "com.hema.wms", &names).await;
    let published = |identifier: &str, code: i64| {
        let mut record = published(&wms, code);
        record.release.identifier = super::values::identifier(identifier);
        record
    };
    insert(&database.db, published("r249", 1)).await;
    insert(&database.db, published("r249", 2)).await;
    for statement in [
        "UPDATE releases SET effective = TRUE",
        "UPDATE apps SET revision = revision + 1",
    ] {
        execute(&database, statement).await;
    }
    let (proxy, url) = RoundTripProxy::start(&database.url).await;
    let db = &TestDatabase::at(&url).await.db;
    insert(db, published("r0", 1)).await;
    assert_eq!(loaded_versions(db, &wms).await, [1, 2]);
    let trips = proxy.take();
    let computed = trips
        .iter()
        .map(|trip| trip.text.matches("refresh_effective_releases").count());
    let computed: Vec<_> = computed.filter(|count| *count > 1).collect();
    assert_eq!(computed, [100, 100, 50]);
}

/// Changes a release, or adds one.
fn random_content(rng: &mut Rng, content: &mut ReleaseContent) {
    content.floor = rng.u8(..8) == 0;
    content.mandatory = rng.u8(..8) == 0;
    content.rollout.share = match rng.u8(..5) {
        0 => Share::from_hundredths(5_000).unwrap(),
        _ => Share::EVERYBODY,
    };
    content.targeting = Targeting::default();
    match rng.u8(..8) {
        0 => {
            let scope = OrgScope::new(LevelCodes::from_path(&["HM"])).unwrap();
            content.targeting.org_scopes = vec![scope];
        }
        1 => content.targeting.host_version_min = Some(version(3)),
        2 => content.targeting.device_ids = vec![DeviceId::parse("D1").unwrap()],
        _ => {}
    }
    content.file.min_sdk = match rng.u8(..3) {
        0 => MinSdk::of_file(u32::from(rng.u8(21..24))),
        _ => None,
    };
    let day = chrono::TimeDelta::days(1);
    content.starts_at = (rng.u8(..8) == 0).then(|| now() + day);
    content.ends_at = (rng.u8(..8) == 0).then(|| now() - day);
}

fn random_pin(rng: &mut Rng, app: &App) -> Pin {
    let mut pin = hold(app, "a", ["D1", "D2"][rng.usize(..2)]);
    if rng.bool() {
        pin.target = PinTarget::OrgNode(vec![OrgCode::parse(["HM", "SKR"][rng.usize(..2)]).unwrap()]);
    }
    let code = version(rng.i64(1..=12));
    pin.mode = match rng.u8(..5) {
        0 => PinMode::Hold,
        1 | 2 => PinMode::Exact(code),
        _ => PinMode::Ceiling(code),
    };
    pin
}

/// Makes one change of the catalog that the admin API permits.
async fn random_step(db: &Db, rng: &mut Rng, app: &App, known: &mut Vec<Versioned<ReleaseRecord>>) {
    if rng.u8(..4) == 0 {
        pin(db, random_pin(rng, app)).await;
        return;
    }
    let code = rng.i64(1..=12);
    let position = known
        .iter()
        .position(|stored| stored.value.release.content.version_code.get() == code);
    let mut record = match position {
        Some(position) => known[position].value.clone(),
        None => release(app, "a", code),
    };
    record.release.state = STATES[rng.usize(..STATES.len())];
    random_content(rng, &mut record.release.content);
    match position {
        Some(position) => known[position] = update(db, &known[position], record).await,
        None => known.push(insert(db, record).await),
    }
}

/// Returns the answers to every device with every installed version.
fn answers(app: &PublishedApp) -> Vec<String> {
    let mut answers = Vec::new();
    for device in ["D1", "D2", "D3"] {
        for (org, attributes) in [
            ("", r#"{"sdkInt":21}"#),
            (r#"{"l1Code":"HM"}"#, r#"{"sdkInt":22}"#),
            (r#"{"l1Code":"SKR"}"#, "{}"),
            ("", r#"{"sdkInt":1}"#),
        ] {
            for installed in 0..=12 {
                let installed = format!(r#"{{"a":{installed}}}"#);
                let fields = CheckFields {
                    package_name: RawField::Text("com.hema.wms"),
                    version_code: RawField::Text(if device == "D3" { "2" } else { "5" }),
                    device_id: RawField::Text(device),
                    device_type: RawField::Absent,
                    old_versions: RawField::Text(&installed),
                    org_info: if org.is_empty() {
                        RawField::Absent
                    } else {
                        RawField::Text(org)
                    },
                    attributes: RawField::Text(attributes),
                };
                let check = read_check(&fields).unwrap();
                for stale in [false, true] {
                    let context = CheckContext {
                        now: now(),
                        offers_enabled: true,
                        stale,
                    };
                    let offers = slipway_resolver::decide(app, &check, &context);
                    let offers: Vec<_> = offers
                        .iter()
                        .map(|offer| {
                            let mut bytes = Vec::new();
                            JSON.write(offer, &mut bytes);
                            String::from_utf8(bytes).unwrap()
                        })
                        .collect();
                    let explained = explain(app, &check, &context);
                    answers.push(format!(
                        "{device} {org} {installed} {stale}: {offers:?} {:?}",
                        explained[0].offer
                    ));
                }
            }
        }
    }
    answers
}

async fn compiled(db: &Db, app: &App, selection: ReleaseSelection) -> PublishedApp {
    let tx = db.begin_read().await.unwrap();
    let ids = [app.id];
    let rows = catalog_states::load_apps(&tx, AppSelection::Some(scope(1), &ids), selection).await;
    let rows = rows.unwrap().pop().unwrap();
    compile_app(rows, &OFFER_ENCODERS).unwrap()
}

async fn checks_are_answered_as_if_every_release_were_loaded(database: TestDatabase) {
    let db = &database.db;
    let seed = std::env::var("SLIPWAY_EFFECTIVE_SEED").map_or(1, |seed| seed.parse().unwrap());
    let steps = std::env::var("SLIPWAY_EFFECTIVE_STEPS").map_or(250, |steps| steps.parse().unwrap());
    let mut rng = Rng::with_seed(seed);
    let mut app = prepare_app(db, "com.hema.app0", &["a"]).await;
    let mut known = Vec::new();
    let mut loaded_less = 0;
    for step in 0..steps {
        if step % 40 == 39 {
            app = super::values::app(&format!("com.hema.app{step}"));
            known.clear();
            change(db, 1, async |tx| {
                slipway::storage::apps::insert(tx, app.clone(), now()).await?;
                let resource =
                    slipway_domain::catalog::app::Resource::first_seen(&app, super::values::identifier("a"));
                slipway::storage::resources::insert(tx, resource, now()).map(drop)
            })
            .await;
        }
        random_step(db, &mut rng, &app, &mut known).await;
        let all = compiled(db, &app, ReleaseSelection::All).await;
        let effective = compiled(db, &app, ReleaseSelection::Effective).await;
        loaded_less += usize::from(effective.release_count() < all.release_count());
        let differing: Vec<_> = answers(&all)
            .into_iter()
            .zip(answers(&effective))
            .filter(|(all, effective)| all != effective)
            .collect();
        assert!(
            differing.is_empty(),
            "seed {seed}, step {step}: {:#?}",
            differing.first()
        );
    }
    assert!(loaded_less > steps / 2, "{loaded_less} of {steps}");
}

fn named(app: &App, code: i64, name: &str, state: ReleaseState) -> ReleaseRecord {
    let mut record = release(app, "a", code);
    record.release.state = state;
    record.release.content.version_name = slipway_domain::catalog::text::VersionName::parse(name).unwrap();
    record
}

async fn a_contradicting_name_is_found_among_all(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["a"]).await;
    for (code, name, state) in [
        (10, "1.1.10", ReleaseState::Published),
        (20, "build 20", ReleaseState::Published),
        (30, "1.2.0-rc.2", ReleaseState::Paused),
        (40, "9.0.0", ReleaseState::Draft),
        (50, "0.1.0", ReleaseState::Recalled(RecallMode::Stop)),
        (60, "1.3.0+b", ReleaseState::Published),
    ] {
        insert(db, named(&wms, code, name, state)).await;
    }
    find_contradictions(db, &wms).await;
    // The same for releases written by an older version of the program.
    execute(&database, "UPDATE releases SET version_order = NULL").await;
    find_contradictions(db, &wms).await;
}

async fn find_contradictions(db: &Db, wms: &App) {
    let tx = db.begin_read().await.unwrap();
    for (code, name, expected) in [
        (70, "1.4.0", None),
        (70, "1.3.0+a", None),
        (70, "1.2.9", Some(60)),
        (35, "1.2.0-rc.1", Some(30)),
        (35, "1.2.0-rc.10", None),
        (35, "1.2.0", None),
        (35, "1.3.1", Some(60)),
        (5, "1.1.9", None),
        (5, "1.1.11", Some(10)),
        (70, "build", None),
    ] {
        let own = named(wms, code, name, ReleaseState::Draft).release;
        let found = releases::find_contradicting_name(&tx, scope(1), &own)
            .await
            .unwrap();
        assert_eq!(found.map(|(code, _)| code.get()), expected, "{code} {name}");
    }
}
