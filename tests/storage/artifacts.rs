//! Artifacts: their rows, the space that they use, and the releases that refer to them.

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
    assert_eq!((by_key.scope, by_key.artifact), (scope(1), found));
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

/// Lets a release use an artifact.
async fn attach(database: &TestDatabase, sha256: &Sha256) -> Result<(), sea_orm::DbErr> {
    let connection = sea_orm::Database::connect(&database.url).await.unwrap();
    let statement = format!("UPDATE releases SET artifact_sha256 = '{}'", sha256.as_str());
    connection
        .execute_unprepared("PRAGMA foreign_keys = ON")
        .await
        .ok();
    let done = connection.execute_unprepared(&statement).await.map(drop);
    connection.close().await.unwrap();
    done
}

async fn a_release_and_its_artifact_hold_each_other(database: TestDatabase) {
    let db = &database.db;
    let app = prepare_app(db, "com.hema.wms", &["a"]).await;
    let draft = release(&app, "a", 1);
    change(db, 1, async |tx| {
        releases::insert(tx, draft.clone(), now()).await.map(drop)
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
        releases::insert(tx, draft.clone(), now()).await.map(drop)
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
