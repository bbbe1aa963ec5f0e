//! People with their sessions, and keys.

use chrono::TimeDelta;
use slipway::storage::callers::find_by_token_hash;
use slipway::storage::credentials::app_keys::SealedSecret;
use slipway::storage::sessions::{Refresh, Session};
use slipway::storage::{StorageError, UniqueKey, credentials, sessions, users};
use slipway_domain::access::{ApiToken, AppKey, AppKeyRole, DeviceKey, KeyFacts, Role};
use slipway_domain::catalog::ids::{KeyId, SessionId, TenantId};
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::page::PageRequest;

use super::values::{change, name, now, prepare_tenant, scope, user};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(
    usernames_are_unique_in_the_installation,
    a_person_changes_and_goes,
    a_refresh_token_is_good_once,
    sessions_end,
    an_api_token_is_found_by_its_hash,
    keys_are_listed_and_deleted,
);

async fn usernames_are_unique_in_the_installation(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    assert!(!users::exists_any(db).await.unwrap());
    let root = user(None, "root");
    let tx = db.begin().await.unwrap();
    let written = users::insert(&tx, root.clone(), "hash".to_owned(), now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let found = users::find_anywhere_by_username(db, &root.username)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.user, found.password_hash.as_str()), (written, "hash"));
    assert!(users::exists_any(db).await.unwrap());
    assert_eq!(users::find(db, scope(1), root.id).await.unwrap(), None);

    let tx = db.begin().await.unwrap();
    let outcome = users::insert(&tx, user(Some(1), "root"), "hash".to_owned(), now()).await;
    assert!(
        matches!(outcome, Err(StorageError::Conflict(UniqueKey::Username))),
        "{outcome:?}"
    );
}

async fn a_person_changes_and_goes(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    let tx = db.begin().await.unwrap();
    let first = users::insert(&tx, user(Some(1), "ada"), "old".to_owned(), now())
        .await
        .unwrap();
    let mut value = first.value.clone();
    (value.role, value.enabled) = (Role::Admin, false);
    let second = users::update(&tx, &first, value, now()).await.unwrap();
    let third = users::update_password(&tx, &second, "new".to_owned(), now())
        .await
        .unwrap();
    assert!(matches!(
        users::update(&tx, &first, first.value.clone(), now()).await,
        Err(StorageError::Changed)
    ));
    tx.commit().await.unwrap();

    let found = users::find_anywhere(db, first.value.id).await.unwrap().unwrap();
    assert_eq!((&found.user, found.password_hash.as_str()), (&third, "new"));
    let page = users::list(db, scope(1), &PageRequest::first(9)).await.unwrap();
    assert_eq!(page.items, [third]);
    let tx = db.begin().await.unwrap();
    assert!(!users::delete(&tx, scope(2), first.value.id).await.unwrap());
    assert!(users::delete(&tx, scope(1), first.value.id).await.unwrap());
}

async fn prepare_session(database: &TestDatabase) -> Session {
    prepare_tenant(&database.db, 1).await;
    let ada = user(Some(1), "ada");
    let session = Session {
        id: slipway::random::id::<SessionId>(),
        user: ada.id,
        generation: 1,
        recent_refreshes: Vec::new(),
        network: None,
        created_at: now(),
        expires_at: now() + TimeDelta::days(1),
    };
    let tx = database.db.begin().await.unwrap();
    users::insert(&tx, ada, "hash".to_owned(), now()).await.unwrap();
    sessions::insert(&tx, session.clone()).await.unwrap();
    tx.commit().await.unwrap();
    session
}

async fn a_refresh_token_is_good_once(database: TestDatabase) {
    let session = prepare_session(&database).await;
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..4 {
        let (db, session) = (database.db.clone(), session.clone());
        requests.spawn(async move {
            let tx = db.begin().await.unwrap();
            let refresh = Refresh {
                generation: 1,
                at: now(),
                client: format!("client-{number}"),
            };
            let rotated = sessions::rotate(&tx, &session, &[refresh], Some("192.0.2.1"))
                .await
                .unwrap();
            tx.commit().await.unwrap();
            rotated
        });
    }
    let rotated = requests.join_all().await;
    assert_eq!(rotated.iter().filter(|rotated| **rotated).count(), 1);
    let found = sessions::find(&database.db, session.id).await.unwrap().unwrap();
    assert_eq!((found.generation, found.recent_refreshes.len()), (2, 1));
    let is_of = async |network: &str, now| {
        sessions::is_of_network(&database.db, session.user, network, now)
            .await
            .unwrap()
    };
    assert!(is_of("192.0.2.1", now()).await);
    assert!(!is_of("192.0.2.2", now()).await);
    assert!(!is_of("192.0.2.1", session.expires_at).await);
    assert_eq!(found.expires_at, in_micros(session.expires_at));
}

async fn sessions_end(database: TestDatabase) {
    let db = &database.db;
    let session = prepare_session(&database).await;
    assert_eq!(sessions::delete_expired(db, now()).await.unwrap(), 0);
    assert_eq!(sessions::delete_expired(db, session.expires_at).await.unwrap(), 1);
    let tx = db.begin().await.unwrap();
    sessions::insert(&tx, session.clone()).await.unwrap();
    assert_eq!(sessions::delete_of_user(&tx, session.user).await.unwrap(), 1);
    assert!(!sessions::delete(&tx, session.id).await.unwrap());
    // They are deleted with the person.
    sessions::insert(&tx, session.clone()).await.unwrap();
    users::delete(&tx, scope(1), session.user).await.unwrap();
    assert!(sessions::find(&tx, session.id).await.unwrap().is_none());
}

async fn an_api_token_is_found_by_its_hash(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    let value = ApiToken {
        facts: KeyFacts::default(),
        id: slipway::random::id::<KeyId>(),
        name: name("ci"),
        role: Role::Publisher,
    };
    let tx = db.begin().await.unwrap();
    let written = credentials::insert(&tx, scope(1), value, "hash".to_owned(), now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let found = find_by_token_hash(db, "hash").await.unwrap().unwrap();
    assert_eq!(
        (found.tenant, found.token, found.has_enabled_tenant),
        (TenantId::parse(1).ok(), written.value.clone(), true)
    );
    assert_eq!(
        credentials::find::<ApiToken>(db, scope(1), written.value.id)
            .await
            .unwrap()
            .as_ref(),
        Some(&written)
    );
    assert_eq!(
        credentials::find::<ApiToken>(db, scope(2), written.value.id)
            .await
            .unwrap(),
        None
    );
    let page = credentials::list::<ApiToken>(db, scope(1), &PageRequest::first(9))
        .await
        .unwrap();
    assert_eq!(page.items, std::slice::from_ref(&written));
    let tx = db.begin().await.unwrap();
    assert!(
        credentials::delete::<ApiToken>(&tx, scope(1), written.value.id)
            .await
            .unwrap()
    );
}

async fn keys_are_listed_and_deleted(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    let device_key = DeviceKey {
        facts: KeyFacts::default(),
        id: slipway::random::id::<KeyId>(),
        name: name("stores"),
    };
    let app_key = AppKey {
        facts: KeyFacts::default(),
        id: slipway::random::id::<KeyId>(),
        name: name("sdk"),
        role: AppKeyRole::Device,
        app_key: "1".to_owned(),
    };
    let secret = SealedSecret {
        text: "sealed".to_owned(),
        sealing_key_id: "k1".to_owned(),
    };
    change(db, 1, async |tx| {
        let written = credentials::insert(tx, scope(1), device_key.clone(), "hash".to_owned(), now()).await?;
        assert_eq!(
            credentials::find::<DeviceKey>(tx, scope(1), device_key.id).await?,
            Some(written)
        );
        let written = credentials::insert(tx, scope(1), app_key.clone(), secret.clone(), now()).await?;
        assert_eq!(
            credentials::find::<AppKey>(tx, scope(1), app_key.id).await?,
            Some(written)
        );
        Ok(())
    })
    .await;
    let page = PageRequest::first(9);
    assert_eq!(
        credentials::list::<DeviceKey>(db, scope(1), &page)
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    assert_eq!(
        credentials::list::<AppKey>(db, scope(1), &page)
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    let tx = db.begin_catalog(scope(1)).await.unwrap();
    let again = AppKey {
        facts: KeyFacts::default(),
        id: slipway::random::id::<KeyId>(),
        ..app_key.clone()
    };
    let outcome = credentials::insert(&tx, scope(1), again, secret, now()).await;
    assert!(
        matches!(outcome, Err(StorageError::Conflict(UniqueKey::AppKey))),
        "{outcome:?}"
    );
    drop(tx);
    change(db, 1, async |tx| {
        assert!(credentials::delete::<DeviceKey>(tx, scope(1), device_key.id).await?);
        assert!(credentials::delete::<AppKey>(tx, scope(1), app_key.id).await?);
        Ok(())
    })
    .await;
}
