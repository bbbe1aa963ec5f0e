//! Releases.

use sea_orm::ConnectionTrait;
use serde_json::value::RawValue;
use slipway::storage::idempotency::{Answer, IdempotencyKey, ReservationId, complete};
use slipway::storage::{Db, StorageError, UniqueKey, releases};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::org::{LevelCodes, OrgScope};
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::release::{
    RecallMode, ReleaseFilter, ReleaseRecord, ReleaseState, ReleaseStateKind,
};
use slipway_domain::catalog::rollout::{Rollout, RolloutUnit, Share};
use slipway_domain::catalog::targeting::Targeting;
use slipway_domain::catalog::text::{
    ConfigJson, DeviceId, DeviceType, RolloutKey, Sha256, UpdateDescription, Url,
};

use super::values::{change, identifier, is_conflict, now, prepare_app, reason, release, scope, version};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(
    a_release_is_read_as_it_was_written,
    a_release_that_cannot_be_read_is_named,
    a_version_is_unique_until_it_is_discarded,
    an_error_of_a_queued_write_keeps_its_kind,
    releases_are_listed_newest_first,
    a_release_needs_its_resource,
);

fn full_release(app: &App) -> ReleaseRecord {
    let mut record = release(app, "a", i64::MAX);
    record.release.state = ReleaseState::Recalled(RecallMode::Removal);
    record.recall_reason = Some(reason("it eats batteries"));
    record.published_at = Some(now());
    let content = &mut record.release.content;
    content.file.size = i64::MAX;
    content.file.sha256 = Some(Sha256::parse(&"ab".repeat(32)).unwrap());
    content.update_desc = UpdateDescription::parse("一\n二").unwrap();
    (content.auto_install, content.mandatory, content.floor) = (true, true, true);
    content.qrcode = Some(Url::parse("scheme://qr").unwrap());
    content.icon_url = Some(Url::parse("https://files.example/i.png").unwrap());
    let config: Box<RawValue> =
        serde_json::from_str(r#"{"z": "\u0000", "a": [1, 0.9215686321258545, 18446744073709551617]}"#)
            .unwrap();
    content.config_json = ConfigJson::parse(&config).unwrap();
    content.targeting = Targeting {
        org_scopes: vec![OrgScope::new(LevelCodes::from_path(&["HM"])).unwrap()],
        device_types: vec![DeviceType::parse("10013").unwrap()],
        host_version_min: Some(version(1)),
        device_ids: vec![DeviceId::parse("D1").unwrap()],
        attribute_rules: vec![serde_json::from_str(r#"{"name":"os","op":"semver","value":">=8"}"#).unwrap()],
        ..Default::default()
    };
    content.rollout = Rollout {
        share: Share::from_hundredths(3_018).unwrap(),
        key: Some(RolloutKey::parse("together").unwrap()),
        unit: RolloutUnit::parse("l3").unwrap(),
    };
    (content.starts_at, content.ends_at) = (Some(now()), Some(now() + chrono::TimeDelta::days(1)));
    record
}

async fn a_release_is_read_as_it_was_written(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["a"]).await;
    let draft = release(&wms, "a", i64::MAX);
    let mut full = full_release(&wms);
    full.release.id = draft.release.id;
    change(db, 1, async |tx| {
        let written = releases::insert(tx, draft.clone(), now())?;
        let id = draft.release.id;
        assert_eq!(releases::find(tx, scope(1), id).await?.as_ref(), Some(&written));
        assert_eq!(written.value, draft);
        let written = releases::update(tx, &written, full, now())?;
        assert_eq!(releases::find(tx, scope(1), id).await?, Some(written));
        assert_eq!(releases::find(tx, scope(2), id).await?, None);
        Ok(())
    })
    .await;
}

async fn a_version_is_unique_until_it_is_discarded(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["a", "b"]).await;
    let (first, second) = (release(&wms, "a", 1), release(&wms, "a", 1));
    change(db, 1, async |tx| {
        releases::insert(tx, release(&wms, "b", 1), now())?;
        releases::insert(tx, first.clone(), now()).map(drop)
    })
    .await;
    let tx = db.begin_catalog(scope(1)).await.unwrap();
    releases::insert(&tx, second.clone(), now()).unwrap();
    let outcome = tx.commit().await;
    assert!(is_conflict(&outcome, UniqueKey::VersionCode), "{outcome:?}");
    change(db, 1, async |tx| {
        let stored = releases::find_by_version(tx, scope(1), wms.id, &identifier("a"), version(1))
            .await?
            .unwrap();
        assert_eq!(stored.value, first);
        let mut discarded = first.clone();
        discarded.release.state = ReleaseState::Discarded;
        releases::update(tx, &stored, discarded, now())?;
        assert_eq!(
            releases::find_by_version(tx, scope(1), wms.id, &identifier("a"), version(1)).await?,
            None
        );
        releases::insert(tx, second, now()).map(drop)
    })
    .await;
}

async fn insert_states(db: &Db, app: &App) -> Vec<ReleaseRecord> {
    let states = [
        ("b", 1, ReleaseState::Published),
        ("a", 3, ReleaseState::Paused),
        ("a", 1, ReleaseState::Recalled(RecallMode::Stop)),
        ("a", 2, ReleaseState::Published),
        ("a", 4, ReleaseState::Draft),
    ];
    let records = states.map(|(identifier, version, state)| {
        let mut record = release(app, identifier, version);
        record.release.state = state;
        record
    });
    change(db, 1, async |tx| {
        for record in &records {
            releases::insert(tx, record.clone(), now())?;
        }
        Ok(())
    })
    .await;
    records.to_vec()
}

/// Queued writes are sent with the next statement, which then fails instead.
async fn an_error_of_a_queued_write_keeps_its_kind(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["a"]).await;
    let mut stored = None;
    change(db, 1, async |tx| {
        stored = Some(releases::insert(tx, release(&wms, "a", 1), now())?);
        Ok(())
    })
    .await;
    let stored = stored.unwrap();

    let tx = db.begin_catalog(scope(1)).await.unwrap();
    releases::insert(&tx, release(&wms, "a", 1), now()).unwrap();
    let found = releases::find(&tx, scope(1), stored.value.release.id).await;
    assert!(is_conflict(&found, UniqueKey::VersionCode), "{found:?}");
    drop(tx);

    let tx = db.begin_catalog(scope(1)).await.unwrap();
    releases::insert(&tx, release(&wms, "b", 1), now()).unwrap();
    let found = releases::exists_published_or_paused(&tx, scope(1), wms.id).await;
    assert!(matches!(found, Err(StorageError::BrokenReference)), "{found:?}");
    drop(tx);

    let tx = db.begin().await.unwrap();
    let key = IdempotencyKey {
        caller: "token:1".to_owned(),
        method: "POST".to_owned(),
        path: "/api/v1/tenants/1/apps".to_owned(),
        key: "k".to_owned(),
    };
    let answer = Answer {
        status: 201,
        body: None,
        shows_secret: false,
        object_id: None,
    };
    complete(&tx, &key, ReservationId::generate(), answer);
    let found = releases::find(&tx, scope(1), stored.value.release.id).await;
    assert!(matches!(found, Err(StorageError::ReservationLost)), "{found:?}");
}

async fn releases_are_listed_newest_first(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["a", "b"]).await;
    assert!(
        !releases::exists_published_or_paused(db, scope(1), wms.id)
            .await
            .unwrap()
    );
    let mut records = insert_states(db, &wms).await;
    records.reverse();
    let listed = async |filter: ReleaseFilter<'_>| {
        let page = releases::list(db, scope(1), wms.id, &filter, &PageRequest::first(9))
            .await
            .unwrap();
        page.items
            .into_iter()
            .map(|stored| stored.value)
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(ReleaseFilter::default()).await, records);
    let (a, state) = (identifier("a"), Some(ReleaseStateKind::Published));
    assert_eq!(
        listed(ReleaseFilter {
            identifier: Some(&a),
            state: None
        })
        .await,
        records[..4]
    );
    assert_eq!(
        listed(ReleaseFilter {
            identifier: Some(&a),
            state
        })
        .await,
        records[1..2]
    );

    assert!(
        releases::exists_published_or_paused(db, scope(1), wms.id)
            .await
            .unwrap()
    );
}

async fn a_release_needs_its_resource(database: TestDatabase) {
    let wms = prepare_app(&database.db, "com.hema.wms", &["a"]).await;
    let tx = database.db.begin_catalog(scope(1)).await.unwrap();
    releases::insert(&tx, release(&wms, "b", 1), now()).unwrap();
    let outcome = tx.commit().await;
    assert!(
        matches!(outcome, Err(StorageError::BrokenReference)),
        "{outcome:?}"
    );
}

async fn a_release_that_cannot_be_read_is_named(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["a"]).await;
    let draft = release(&wms, "a", 1);
    let id = draft.release.id;
    change(db, 1, async |tx| releases::insert(tx, draft, now()).map(drop)).await;
    let connection = sea_orm::Database::connect(&database.url).await.unwrap();
    connection
        .execute_unprepared("UPDATE releases SET md5 = 'none'")
        .await
        .unwrap();
    let error = releases::find(db, scope(1), id).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("releases {id}: md5 must be 32 hexadecimal digits")
    );
}
