//! The form of a new release whose version exists already, and what a file says about the resource.

use serde_json::{Value, json};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::Page;
use super::new_release::{Fixture, area, assert_has};
use crate::api::harness::{CHUKU, TENANT, apk, in_app, plant_artifact, with};

/// Returns the id of the release that a form led to, and the notice of its page.
fn release_of(page: &Page) -> (String, String) {
    assert_eq!(page.status, 303, "{}", page.text);
    let (path, notice) = page.location().split_once("?done=").unwrap();
    (path.rsplit('/').next().unwrap().to_owned(), notice.to_owned())
}

async fn other_content_of_an_existing_version_is_refused(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let (id, notice) = release_of(&fixture.send("", &[]).await);
    assert_eq!(notice, "created");
    let stored = json!({"id": id});
    let before = fixture.merchant.read(&stored).await;

    let other = [("org_scopes", "FM/FM-NORTH"), ("rollout.percent", "10")];
    let published = [other[0], other[1], ("publish", "true")];
    for (end, entered) in [
        ("", &published[..]),
        ("", &other[..]),
        ("/new/preview", &other[..]),
    ] {
        let page = fixture.send(end, entered).await;
        assert_eq!(page.status, 409, "{}", page.text);
        assert_has(
            &page,
            &[
                "Version 240 exists already as a draft; edit it. What you entered here was not saved.",
                "id=\"release-version_code-error\"",
                &format!("/releases/{id}\">Open the existing release"),
            ],
        );
        assert_eq!(area(&page, "release-org_scopes"), "FM/FM-NORTH");
        assert!(!page.text.contains("id=\"preview\""), "{}", page.text);
    }
    assert_eq!(fixture.merchant.read(&stored).await, before);
    fixture.browser.headers = vec![("accept-language".to_owned(), "zh".to_owned())];
    let page = fixture.send("", &other).await;
    assert_has(&page, &["版本 240 已作为草稿存在"]);
}

async fn the_same_content_leads_to_the_existing_release(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let (id, _) = release_of(&fixture.send("", &[]).await);
    let same = |notice: &str| (id.clone(), notice.to_owned());
    let publish = [("publish", "true")];
    let again = fixture.send("", &[]).await;
    assert_eq!(release_of(&again), same("exists"));
    let page = fixture.browser.get(again.location()).await;
    assert_has(&page, &["This release exists already."]);
    assert_eq!(release_of(&fixture.send("", &publish).await), same("published"));
    assert_eq!(release_of(&fixture.send("", &publish).await), same("exists"));

    let stored = json!({"id": id});
    fixture.merchant.recall(&stored, "stop").await.expect(200);
    assert_eq!(release_of(&fixture.send("", &[]).await), same("exists"));
    let page = fixture.send("", &publish).await;
    assert_eq!(page.status, 409, "{}", page.text);
    let page = fixture.send("", &[("rollout.percent", "10")]).await;
    assert_eq!(page.status, 409, "{}", page.text);
    assert_has(
        &page,
        &["Version 240 exists already with other content", "Recalled"],
    );
}

async fn a_file_of_another_package_is_warned_about(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let of_file = async |fixture: &mut Fixture, package: &str, version: u64, end: &str| {
        let bytes = apk(package, version);
        let sha256 = plant_artifact(&fixture.app.database, TENANT, &bytes).await;
        let version = version.to_string();
        let fields = [
            ("artifact", sha256.as_str()),
            ("version_code", &version),
            ("download_url", ""),
            ("size", ""),
            ("md5", ""),
        ];
        fixture.send(end, &fields).await
    };
    let warning = format!("package is com.example.receiving; you release it as resource {CHUKU}.");
    let page = of_file(&mut fixture, "com.example.receiving", 43, "/new/preview").await;
    assert_eq!(page.status, 200, "{}", page.text);
    // At the facts of the file and in the preview.
    assert_eq!(page.text.matches(&warning).count(), 2, "{}", page.text);
    let page = of_file(&mut fixture, CHUKU, 44, "/new/preview").await;
    assert!(!page.text.contains("you release it as"), "{}", page.text);

    // Without a preview, the page of the new release warns.
    let page = of_file(&mut fixture, "com.example.receiving", 53, "").await;
    assert_eq!(page.status, 303, "{}", page.text);
    let target = page.location().to_owned();
    assert_has(&fixture.browser.get(&target).await, &[&warning]);
    let later = fixture.browser.get(target.split('?').next().unwrap()).await;
    assert!(!later.text.contains("you release it as"), "{}", later.text);
    let page = of_file(&mut fixture, CHUKU, 54, "").await;
    let own = format!("{}&other_package=true", page.location());
    let page = fixture.browser.get(&own).await;
    assert!(
        page.status == 200 && !page.text.contains("you release it as"),
        "{}",
        page.text
    );

    // A module may have a package of its own.
    let artifact = plant_artifact(&fixture.app.database, TENANT, &apk("com.example.receiving", 45)).await;
    let fields: Value =
        json!({"identifier": CHUKU, "version_code": 45, "artifact": artifact, "publish": true});
    let admin = &fixture.merchant.admin;
    let made = admin
        .post(&in_app("/releases"), &with(fields, json!({"force": true})))
        .await;
    made.expect(201);
    let page = of_file(&mut fixture, "com.example.receiving", 46, "/new/preview").await;
    assert!(!page.text.contains("you release it as"), "{}", page.text);
}

async fn devices_that_the_preview_leaves_out_are_counted(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    for number in 1..=5 {
        fixture.check(&format!("PDA00{number}"), "8007").await;
    }
    for number in 6..=9 {
        fixture.check(&format!("PDA00{number}"), "8011").await;
    }
    let page = fixture
        .send("/new/preview", &[("org_scopes", "HM/HM-SH/8007")])
        .await;
    assert_has(
        &page,
        &["devices examined: 9", "and 2 more</dd>", "and 1 more</p>"],
    );
}

on_both_databases!(
    other_content_of_an_existing_version_is_refused,
    the_same_content_leads_to_the_existing_release,
    a_file_of_another_package_is_warned_about,
    devices_that_the_preview_leaves_out_are_counted,
);
