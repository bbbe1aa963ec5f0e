//! Artifacts: their rows, their disk space, and the releases that refer to them.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait as _;
use slipway::storage::{Db, StorageError, artifacts, releases};
use slipway_domain::catalog::artifact::{
    Artifact, ArtifactFacts, ArtifactFilter, Damage, DamageKind, DownloadKey, DownloadLink, IconFormat,
    ZipFacts,
};
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::release::ReleaseState;
use slipway_domain::catalog::text::{FileName, Md5, Sha256};

use super::values::{change, now, prepare_app, prepare_tenant, release, scope};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(
    an_artifact_is_read_as_it_was_written,
    space_and_links_are_counted,
    a_release_and_its_artifact_hold_each_other,
    damage_and_links_advance_the_apps_of_the_releases,
    uses_are_compared_in_steps,
    verification_is_due_by_age_and_damage,
);

fn artifact(byte: &str, link: i64) -> Artifact {
    Artifact {
        id: slipway::random::id(),
        sha256: Sha256::parse(&byte.repeat(32)).unwrap(),
        md5: Md5::parse(&byte.repeat(16)).unwrap(),
        size: 1_000,
        filename: FileName::parse("货.zip").unwrap(),
        facts: ArtifactFacts::Zip(ZipFacts {
            entries: u64::MAX,
            unpacked_bytes: 3,
        }),
        icon: Some(IconFormat::WebP),
        link: DownloadLink {
            number: link,
            key: DownloadKey::new([link.to_le_bytes()[0]; 16]),
        },
        keep: false,
        created_by: "li.na".to_owned(),
        damage: None,
    }
}

async fn store(db: &Db, tenant: i64, value: Artifact) {
    let tx = db.begin().await.unwrap();
    let usage = artifacts::lock_usage(&tx, scope(tenant)).await.unwrap();
    artifacts::insert(&tx, scope(tenant), &usage, value, now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn an_artifact_is_read_as_it_was_written(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    let mut value = artifact("ab", 1);
    value.damage = Some(Damage {
        kind: DamageKind::Missing,
        found_at: "2026-03-02T02:00:00Z".parse().unwrap(),
    });
    store(db, 1, value.clone()).await;
    let found = artifacts::find(db, scope(1), &value.sha256)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.value, value);
    assert_eq!(artifacts::find(db, scope(2), &value.sha256).await.unwrap(), None);
    let by_key = artifacts::find_by_key(db, &value.link.key)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((by_key.owned.scope, by_key.owned.artifact), (scope(1), found));
    assert_eq!(artifacts::count_damaged(db).await.unwrap(), 1);
}

async fn space_and_links_are_counted(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    let (one, other) = (artifact("ab", 1), artifact("cd", 2));
    store(db, 1, one.clone()).await;
    store(db, 1, other.clone()).await;
    let usage = artifacts::read_usage(db, scope(1)).await.unwrap();
    assert_eq!((usage.used_bytes, usage.last_link), (2_000, 2));
    change(db, 1, async |tx| artifacts::delete(tx, &one).await).await;
    let usage = artifacts::read_usage(db, scope(1)).await.unwrap();
    assert_eq!((usage.used_bytes, usage.last_link), (1_000, 2));
    let page = PageRequest::first(9);
    let list = artifacts::list(db, scope(1), &ArtifactFilter::default(), &page)
        .await
        .unwrap();
    assert_eq!(list.items.len(), 1);
}

/// Runs a statement past the program.
async fn run(database: &TestDatabase, statement: &str) -> Result<(), sea_orm::DbErr> {
    let connection = sea_orm::Database::connect(&database.url).await.unwrap();
    connection
        .execute_unprepared("PRAGMA foreign_keys = ON")
        .await
        .ok();
    let done = connection.execute_unprepared(statement).await.map(drop);
    connection.close().await.unwrap();
    done
}

/// Lets all releases use an artifact.
async fn attach(database: &TestDatabase, sha256: &Sha256) -> Result<(), sea_orm::DbErr> {
    let statement = format!("UPDATE releases SET artifact_sha256 = '{}'", sha256.as_str());
    run(database, &statement).await
}

async fn a_release_and_its_artifact_hold_each_other(database: TestDatabase) {
    let db = &database.db;
    let app = prepare_app(db, "com.hema.wms", &["a"]).await;
    let draft = release(&app, "a", 1);
    change(db, 1, async |tx| {
        releases::insert(tx, draft.clone(), now()).map(drop)
    })
    .await;
    let value = artifact("ab", 1);
    assert!(
        attach(&database, &value.sha256).await.is_err(),
        "there is no such artifact"
    );
    store(db, 1, value.clone()).await;
    attach(&database, &value.sha256).await.unwrap();
    let unused = async |is_unused| {
        let filter = ArtifactFilter {
            is_unused: Some(is_unused),
            ..ArtifactFilter::default()
        };
        let page = PageRequest::first(9);
        artifacts::list(db, scope(1), &filter, &page)
            .await
            .unwrap()
            .items
            .len()
    };
    assert_eq!((unused(true).await, unused(false).await), (0, 1));
    let uses = artifacts::list_uses(db, scope(1), &value.sha256, 9)
        .await
        .unwrap();
    assert_eq!((uses.len(), uses[0].state), (1, ReleaseState::Draft));
    let tx = db.begin_catalog(scope(1)).await.unwrap();
    let refused = artifacts::delete(&tx, &value).await;
    assert!(
        matches!(refused, Err(StorageError::BrokenReference)),
        "{refused:?}"
    );
}

async fn damage_and_links_advance_the_apps_of_the_releases(database: TestDatabase) {
    let db = &database.db;
    let app = prepare_app(db, "com.hema.wms", &["a"]).await;
    let draft = release(&app, "a", 1);
    change(db, 1, async |tx| {
        releases::insert(tx, draft.clone(), now()).map(drop)
    })
    .await;
    let value = artifact("ab", 1);
    store(db, 1, value.clone()).await;
    attach(&database, &value.sha256).await.unwrap();
    let before = artifacts::find(db, scope(1), &value.sha256)
        .await
        .unwrap()
        .unwrap();
    let one = change(db, 1, async |tx| {
        let damage = Damage {
            kind: DamageKind::Altered,
            found_at: now(),
        };
        artifacts::set_damage(tx, &before, Some(damage), now())
            .await
            .map(drop)
    })
    .await;
    let damaged = artifacts::find(db, scope(1), &value.sha256)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        damaged.value.damage.map(|damage| damage.kind),
        Some(DamageKind::Altered)
    );
    let other = change(db, 1, async |tx| {
        let stale = artifacts::replace_link(tx, &before, artifact("ab", 2).link, now()).await;
        assert!(matches!(stale, Err(StorageError::Changed)), "{stale:?}");
        Ok(())
    })
    .await;
    assert_ne!(one, other);
}

/// Compares the uses of all artifacts, `limit` at once. Returns the number of steps.
async fn refresh(db: &Db, limit: u64, now: DateTime<Utc>) -> usize {
    let (mut cursor, mut steps) = (None, 0);
    loop {
        cursor = artifacts::refresh_unused_since(db, cursor.as_ref(), limit, now)
            .await
            .unwrap();
        steps += 1;
        if cursor.is_none() {
            return steps;
        }
    }
}

/// Returns the digests of unused artifacts, the longest unused first.
async fn unused_before(db: &Db, before: DateTime<Utc>) -> Vec<String> {
    let unused = artifacts::list_unused_since(db, before, 99).await.unwrap();
    let digests = unused
        .iter()
        .map(|owned| owned.artifact.value.sha256.as_str()[..2].to_owned());
    digests.collect()
}

async fn uses_are_compared_in_steps(database: TestDatabase) {
    let db = &database.db;
    let later = |hours| now() + TimeDelta::hours(hours);
    let app = prepare_app(db, "com.hema.wms", &["a"]).await;
    prepare_tenant(db, 2).await;
    let draft = release(&app, "a", 1);
    change(db, 1, async |tx| {
        releases::insert(tx, draft.clone(), now()).map(drop)
    })
    .await;
    for (link, (tenant, byte)) in (1..).zip([(1, "aa"), (1, "bb"), (1, "cc"), (2, "aa"), (2, "dd")]) {
        store(db, tenant, artifact(byte, link)).await;
    }
    assert_eq!(unused_before(db, later(1)).await.len(), 5);
    let used = Sha256::parse(&"bb".repeat(32)).unwrap();
    attach(&database, &used).await.unwrap();
    for (limit, steps) in [(1, 6), (2, 3), (5, 2), (6, 1)] {
        assert_eq!(refresh(db, limit, later(1)).await, steps, "{limit} at once");
        let mut unused = unused_before(db, later(1)).await;
        unused.sort();
        assert_eq!(unused, ["aa", "aa", "cc", "dd"], "{limit} at once");
    }
    run(&database, "UPDATE releases SET state = 'discarded'")
        .await
        .unwrap();
    refresh(db, 2, later(2)).await;
    assert_eq!(
        unused_before(db, later(2)).await.len(),
        4,
        "the time of the others stays"
    );
    assert_eq!(unused_before(db, later(3)).await.last().unwrap(), "bb");
    let found = artifacts::find(db, scope(1), &used).await.unwrap().unwrap();
    let tx = db.begin().await.unwrap();
    artifacts::set_keep(&tx, scope(1), &found, true, now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(unused_before(db, later(3)).await.len(), 4, "an exempt artifact");
}

async fn verification_is_due_by_age_and_damage(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    let at = |hours| now() + TimeDelta::hours(hours);
    for (link, (byte, verified_at, is_damaged)) in (1..).zip([
        ("dd", 5, true),
        ("bb", 3, false),
        ("cc", 3, true),
        ("aa", 1, false),
        ("ee", 2, true),
    ]) {
        let mut value = artifact(byte, link);
        value.damage = is_damaged.then(|| Damage {
            kind: DamageKind::Altered,
            found_at: now(),
        });
        store(db, 1, value.clone()).await;
        artifacts::record_scrub(db, scope(1), value.id, at(verified_at))
            .await
            .unwrap();
    }
    for (before, damaged_before, limit, expected) in [
        (at(1), at(1), 9, &[][..]),
        (at(3), at(5), 9, &["aa", "ee", "cc"]),
        (at(3), at(5), 2, &["aa", "ee"]),
        (at(3), at(5), 1, &["aa"]),
        (at(0), at(9), 9, &["ee", "cc", "dd"]),
        (at(9), at(9), 9, &["aa", "ee", "bb", "cc", "dd"]),
    ] {
        let due = artifacts::list_due_for_scrub(db, before, damaged_before, limit)
            .await
            .unwrap();
        let mut found: Vec<_> = due
            .iter()
            .map(|owned| &owned.artifact.value.sha256.as_str()[..2])
            .collect();
        // Two were verified at the same time.
        if expected.len() == 5 {
            found[2..4].sort_unstable();
        }
        assert_eq!(found, expected, "{before} {damaged_before} {limit}");
    }
}
