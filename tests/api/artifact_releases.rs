//! Releases from artifacts: facts of the file, gates of the publication, and offers.

use std::time::Instant;

use serde_json::{Value, json};
use slipway::storage::artifacts;
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::artifact::{Damage, DamageKind};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::Sha256;
use slipway_package_maker::{Apk, Signing, TestKey};

use super::harness::{
    CHECK, CHUKU, DEADLINE, DOWNLOADS, Merchant, NOW, PACKAGE, TENANT, TestApp, apk, apk_with, as_texts,
    check_fields, in_app, md5, new_link, path_of, plant_artifact, release_fields, sha256, with,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

struct Fixture {
    app: TestApp,
    merchant: Merchant,
}

impl Fixture {
    async fn set(database: TestDatabase) -> Self {
        let app = TestApp::start_with(database, |config| {
            config.public_url = Some("https://slipway.example".to_owned());
            config.artifacts.download_url = Some(format!("{DOWNLOADS}/"));
        })
        .await;
        let merchant = app.merchant().await;
        Self { app, merchant }
    }

    async fn plant(&self, bytes: &[u8]) -> String {
        plant_artifact(&self.app.database, TENANT, bytes).await
    }

    /// Creates a release of the app itself from a package of this version.
    async fn release(&self, version_code: u64, own: Value) -> Value {
        let artifact = self.plant(&apk(PACKAGE, version_code)).await;
        let fields = with(of_app(version_code, &artifact), own);
        self.merchant.create(&fields).await.expect(201)
    }

    /// Returns the version of the app offered to a device with this one.
    async fn offered(&self, installed: i64, attributes: Value) -> Option<i64> {
        let check = json!({"version_code": installed, "attributes": attributes});
        let check = with(check_fields(), check);
        let answer = self.merchant.device.post("/v1/check", &check).await.expect(200);
        let offers = answer["data"].as_array().unwrap().iter();
        let mut versions = offers
            .filter(|offer| offer["identifier"] == PACKAGE)
            .map(|offer| offer["version_code"].as_i64().unwrap());
        versions.next()
    }

    async fn until_offered(&self, version: Option<i64>) {
        let deadline = Instant::now() + DEADLINE;
        while self.offered(1, json!({})).await != version {
            assert!(Instant::now() < deadline, "{version:?} is not offered");
        }
    }

    async fn set_damage(&self, artifact: &str, damage: Option<Damage>) {
        let scope = TenantScope::internal(TenantId::parse(TENANT).unwrap());
        let tx = self.app.database.db.begin_catalog(scope).await.unwrap();
        let sha256 = Sha256::parse(artifact).unwrap();
        let before = artifacts::find(&tx, scope, &sha256).await.unwrap().unwrap();
        artifacts::set_damage(&tx, &before, damage, NOW.parse().unwrap())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    async fn audited(&self, action: &str) -> Vec<Value> {
        let mut events = self.merchant.audit().await;
        events.retain(|event| event["action"] == action);
        events
    }
}

fn of_app(version_code: u64, artifact: &str) -> Value {
    json!({"identifier": PACKAGE, "version_code": version_code, "artifact": artifact})
}

fn published() -> Value {
    json!({"publish": true})
}

async fn a_release_takes_the_facts_of_its_artifact(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let bytes = apk(PACKAGE, 240);
    let release = fixture.release(240, published()).await;
    let expected = json!({
        "origin": "artifact", "file_damaged": false, "artifact": sha256(&bytes), "sha256": sha256(&bytes),
        "md5": md5(&bytes), "size": bytes.len(), "version_code": 240, "version_name": "2.0.240", "min_sdk": 21,
        "qrcode": null, "state": "published",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&release[field], value, "{field}");
    }
    let download = release["download_url"].as_str().unwrap();
    let key = download.strip_prefix(&format!("{DOWNLOADS}/dl/")).unwrap();
    let key = key.strip_suffix("/%E6%94%B6%E9%93%B6.apk").unwrap();
    assert_eq!(key.len(), 26);

    let read = fixture.merchant.read(&release).await;
    assert_eq!(read["download_url"], release["download_url"]);
    let listed = fixture.merchant.admin.get(&in_app("/releases")).await.expect(200);
    assert_eq!(listed["items"][0], read);

    let offer = fixture.merchant.offers(&json!({})).await[0].clone();
    assert_eq!(offer["download_url"], release["download_url"]);
    assert_eq!(offer["qrcode"], format!("{DOWNLOADS}/get/{key}/qr.png"));
    for member in ["size", "md5", "sha256", "version_name"] {
        assert_eq!(offer[member], release[member], "{member}");
    }
}

async fn the_gateway_offers_the_address_and_the_digest_of_the_specification(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let release = fixture.release(240, published()).await;
    let client = fixture
        .app
        .top_client(&fixture.merchant.admin, TENANT, "device")
        .await;
    let fields = as_texts(&with(check_fields(), json!({"tenant_id": TENANT})));
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    // The gateway's clock is UTC+8.
    let call = client.call(CHECK, "2026-03-02 10:00:00", &fields);
    let answer = client.send(&call).await.expect(200);
    let offer = &answer["wdk_rexout_resource_list_check_response"]["data"]["d_t_o"][0];
    for member in ["size", "md5", "download_url"] {
        assert_eq!(offer[member], release[member], "{answer}");
    }
    assert!(offer["qrcode"].as_str().unwrap().ends_with("/qr.png"), "{answer}");
    assert_eq!(offer["sha256"], Value::Null, "{answer}");
}

async fn a_release_must_agree_with_its_artifact(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let bytes = apk(PACKAGE, 240);
    let artifact = fixture.plant(&bytes).await;
    let other = "0".repeat(32);
    let wrong = [
        (
            json!({"size": 1}),
            "size",
            vec!["1".to_owned(), bytes.len().to_string()],
        ),
        (json!({"md5": other}), "md5", vec![other.clone(), md5(&bytes)]),
        (
            json!({"sha256": other.repeat(2)}),
            "sha256",
            vec![other.repeat(2), sha256(&bytes)],
        ),
        (
            json!({"version_code": 241}),
            "version_code",
            vec!["241".to_owned(), "240".to_owned()],
        ),
    ];
    for (changes, field, values) in &wrong {
        let fields = with(of_app(240, &artifact), changes.clone());
        let answer = fixture
            .merchant
            .create(&with(fields, json!({"publish": true, "force": true})))
            .await;
        let problem = answer.problem(400, "invalid_parameter");
        assert_eq!(problem["errors"][0]["field"], *field);
        let message = problem["errors"][0]["message"].as_str().unwrap();
        assert!(values.iter().all(|value| message.contains(value)), "{message}");
    }
    let all = json!({"size": 1, "md5": other, "sha256": other.repeat(2), "version_code": 241});
    let answer = fixture.merchant.create(&with(of_app(240, &artifact), all)).await;
    assert_eq!(answer.wrong_fields(), ["version_code", "size", "md5", "sha256"]);

    let foreign = fixture.plant(&apk("com.example.other", 240)).await;
    let answer = fixture.merchant.create(&of_app(240, &foreign)).await;
    let problem = answer.problem(400, "invalid_parameter");
    assert_eq!(problem["errors"][0]["field"], "identifier");
    assert!(
        problem["detail"].as_str().unwrap().contains("com.example.other"),
        "{problem}"
    );
    // A module may have its own package name.
    let module = with(of_app(240, &foreign), json!({"identifier": CHUKU}));
    fixture.merchant.create(&module).await.expect(201);

    let equal = json!({"size": bytes.len(), "md5": md5(&bytes).to_uppercase(), "sha256": sha256(&bytes)});
    fixture
        .merchant
        .create(&with(of_app(240, &artifact), equal))
        .await
        .expect(201);
}

async fn an_artifact_has_no_address_of_the_callers(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let artifact = fixture.plant(&apk(PACKAGE, 240)).await;
    let address = json!({"download_url": "https://files.example/a.apk"});
    let answer = fixture
        .merchant
        .create(&with(of_app(240, &artifact), address.clone()))
        .await;
    assert_eq!(answer.wrong_fields(), ["download_url"]);
    let draft = fixture.merchant.draft(PACKAGE, 240).await;
    let both = with(json!({"artifact": artifact}), address);
    let answer = fixture.merchant.admin.patch(&path_of(&draft), &both).await;
    assert_eq!(answer.wrong_fields(), ["download_url"]);
}

/// Such a release would not protect the artifact from deletion.
async fn the_address_of_an_artifact_is_no_external_file(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let artifact = fixture.plant(&apk(PACKAGE, 240)).await;
    let stored = fixture
        .merchant
        .create(&with(of_app(240, &artifact), published()))
        .await
        .expect(201);
    let link = stored["download_url"].as_str().unwrap();
    let path = link.strip_prefix(DOWNLOADS).unwrap();
    for host in [
        DOWNLOADS,
        "http://10.0.0.1:8080",
        "https://OTHER.example:443/proxy",
    ] {
        let external = json!({"download_url": format!("{host}{path}")});
        let fields = with(release_fields(CHUKU, 7), external);
        assert_eq!(
            fixture.merchant.create(&fields).await.wrong_fields(),
            ["download_url"],
            "{host}"
        );
    }
}

async fn another_tenants_artifact_is_absent(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    fixture.app.tenant_admin(TENANT + 1).await;
    let foreign = plant_artifact(&fixture.app.database, TENANT + 1, &apk(PACKAGE, 240)).await;
    let nobodys = "0".repeat(64);
    let mut problems = Vec::new();
    for artifact in [&foreign, &nobodys] {
        let answer = fixture.merchant.create(&of_app(240, artifact)).await;
        let mut problem = answer.problem(400, "invalid_parameter");
        assert_eq!(problem["errors"][0]["field"], "artifact");
        problem.as_object_mut().unwrap().shift_remove("request_id");
        problems.push(problem);
    }
    assert_eq!(problems[0], problems[1]);
}

async fn a_file_without_facts_needs_a_version_name(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let artifact = fixture.plant(b"no package at all").await;
    let fields = json!({"identifier": CHUKU, "version_code": 7, "artifact": artifact});
    let answer = fixture.merchant.create(&fields).await;
    assert_eq!(answer.wrong_fields(), ["version_name"]);
    let named = with(fields, json!({"version_name": "7", "publish": true}));
    let release = fixture.merchant.create(&named).await.expect(201);
    assert_eq!(release["min_sdk"], Value::Null);
    assert_eq!(fixture.merchant.offered(0).await, [7]);
}

async fn a_draft_moves_between_files(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let admin = &fixture.merchant.admin;
    let first = fixture.plant(&apk(PACKAGE, 240)).await;
    let second = fixture.plant(&apk(PACKAGE, 241)).await;
    let draft = fixture.merchant.draft(PACKAGE, 240).await;
    let path = path_of(&draft);

    let moved = admin.patch(&path, &json!({"artifact": first})).await.expect(200);
    assert_eq!(
        (&moved["origin"], &moved["artifact"]),
        (&json!("artifact"), &json!(first))
    );
    assert_eq!(
        (&moved["md5"], &moved["version_name"]),
        (&json!(md5(&apk(PACKAGE, 240))), &json!("2.0.240"))
    );
    let answer = admin.patch(&path, &json!({"artifact": second})).await;
    assert_eq!(answer.wrong_fields(), ["version_code"]);
    for stated in [
        json!({"size": 5}),
        json!({"sha256": null}),
        json!({"version_code": 241}),
    ] {
        let answer = admin.patch(&path, &stated).await;
        assert_eq!(answer.wrong_fields().len(), 1, "{stated}");
    }
    let change = json!({"artifact": second, "version_code": 241});
    let moved = admin.patch(&path, &change).await.expect(200);
    assert_eq!(
        (&moved["version_name"], &moved["sha256"]),
        (&json!("2.0.241"), &json!(second))
    );

    let external = json!({"download_url": "https://files.example/241.apk"});
    let moved = admin.patch(&path, &external).await.expect(200);
    assert_eq!(
        (&moved["origin"], &moved["artifact"]),
        (&json!("external"), &Value::Null)
    );
    assert_eq!(
        (&moved["min_sdk"], &moved["sha256"]),
        (&Value::Null, &json!(second))
    );
    let back = admin.patch(&path, &json!({"artifact": second})).await.expect(200);
    assert_eq!(back["min_sdk"], 21);

    fixture
        .merchant
        .take(&draft, "publish", &json!({}))
        .await
        .expect(200);
    let third = fixture
        .plant(&apk_with(PACKAGE, 241, &Signing::of(TestKey::App), |apk| {
            apk.filler = 1;
        }))
        .await;
    for change in [json!({"artifact": third}), external] {
        let answer = admin.patch(&path, &change).await;
        answer.problem(409, "wrong_state");
    }
    admin
        .patch(&path, &json!({"update_desc": "New"}))
        .await
        .expect(200);
}

async fn creating_a_release_from_the_same_file_again_changes_nothing(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let first = fixture.release(240, published()).await;
    let again = with(of_app(240, &sha256(&apk(PACKAGE, 240))), published());
    let mut again = fixture.merchant.create(&again).await.expect(200);
    assert_eq!(again["ignored"].take(), json!([]));
    assert_eq!(again["id"], first["id"]);
    assert_eq!(again["updated_at"], first["updated_at"]);
    let other = apk_with(PACKAGE, 240, &Signing::of(TestKey::App), |apk| apk.filler = 1);
    let other = fixture.plant(&other).await;
    fixture
        .merchant
        .create(&of_app(240, &other))
        .await
        .problem(409, "version_conflict");
}

async fn another_signer_needs_a_decision(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    fixture.release(240, published()).await;
    let rotated = Signing::rotated(TestKey::App, TestKey::Rotated);
    let rotated = fixture.plant(&apk_with(PACKAGE, 241, &rotated, |_| {})).await;
    fixture
        .merchant
        .create(&with(of_app(241, &rotated), published()))
        .await
        .expect(201);

    let other = fixture
        .plant(&apk_with(PACKAGE, 242, &Signing::of(TestKey::Other), |_| {}))
        .await;
    let forced = json!({"publish": true, "force": true, "accept_unsafe_package": true});
    let refused = fixture.merchant.create(&with(of_app(242, &other), forced)).await;
    let problem = refused.problem(409, "signer_changed");
    let detail = problem["detail"].as_str().unwrap();
    let digests = detail.split(|c: char| !c.is_ascii_hexdigit());
    assert_eq!(digests.filter(|word| word.len() == 64).count(), 2, "{detail}");
    assert!(detail.contains("\"accept_signer_change\": true"), "{detail}");

    let draft = fixture.merchant.create(&of_app(242, &other)).await.expect(201);
    fixture
        .merchant
        .take(&draft, "publish", &json!({"force": true}))
        .await
        .problem(409, "signer_changed");
    assert!(fixture.audited("release.accept_signer_change").await.is_empty());
    let accept = json!({"accept_signer_change": true});
    fixture
        .merchant
        .take(&draft, "publish", &accept)
        .await
        .expect(200);
    let audited = fixture.audited("release.accept_signer_change").await;
    assert_eq!(audited.len(), 1);
    assert_eq!(audited[0]["object_id"], draft["id"]);
    assert_eq!(audited[0]["before"]["version_code"], 241);
    assert_ne!(audited[0]["before"]["signers"], audited[0]["after"]["signers"]);

    // An external file has no known signer.
    let external = json!({"version_name": "2.0.243"});
    fixture.merchant.published_with(PACKAGE, 243, external).await;
    fixture.release(244, published()).await;
}

async fn an_unsafe_package_needs_a_decision(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let usual = Signing::of(TestKey::App);
    let debuggable = |apk: &mut Apk| apk.debuggable = true;
    let test_only = |apk: &mut Apk| apk.test_only = true;
    let unsigned = Apk::new(PACKAGE, 4, "2.0.4").unsigned();
    let packages = [
        (1, apk_with(PACKAGE, 1, &usual, debuggable), "debuggable"),
        (2, apk_with(PACKAGE, 2, &usual, test_only), "tests only"),
        (
            3,
            apk_with(PACKAGE, 3, &Signing::v1_only(TestKey::App), |_| {}),
            "v2 or v3",
        ),
        (4, unsigned, "v2 or v3"),
    ];
    for (version_code, bytes, reason) in packages {
        let artifact = fixture.plant(&bytes).await;
        let forced = json!({"publish": true, "force": true, "accept_signer_change": true});
        let refused = fixture
            .merchant
            .create(&with(of_app(version_code, &artifact), forced.clone()))
            .await;
        let problem = refused.problem(409, "unsafe_package");
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{problem}");
        let accepted = with(forced, json!({"accept_unsafe_package": true}));
        fixture
            .merchant
            .create(&with(of_app(version_code, &artifact), accepted))
            .await
            .expect(201);
        let audited = fixture.audited("release.accept_unsafe_package").await;
        assert_eq!(audited.len(), usize::try_from(version_code).unwrap());
        assert_eq!(audited[0]["after"]["version_code"], version_code);
    }
}

async fn a_device_below_the_min_sdk_keeps_an_older_release(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    for (version_code, min_sdk) in [(10, 21), (11, 21), (12, 30)] {
        let bytes = apk_with(PACKAGE, version_code, &Signing::of(TestKey::App), |apk| {
            apk.min_sdk = min_sdk;
        });
        let artifact = fixture.plant(&bytes).await;
        let fields = with(of_app(version_code, &artifact), published());
        fixture.merchant.create(&fields).await.expect(201);
    }
    for (attributes, expected) in [
        (json!({"sdkInt": 30}), Some(12)),
        (json!({}), Some(12)),
        (json!({"sdkInt": "29"}), Some(11)),
        (json!({"sdkInt": 20}), None),
        (json!({"sdkInt": "R"}), Some(12)),
    ] {
        assert_eq!(
            fixture.offered(1, attributes.clone()).await,
            expected,
            "{attributes}"
        );
    }
    let check = with(check_fields(), json!({"attributes": {"sdkInt": 29}}));
    let explained = fixture
        .merchant
        .admin
        .post(&in_app("/explain"), &check)
        .await
        .expect(200);
    let newest = &explained["resources"][0]["releases"][0];
    assert_eq!(
        (&newest["verdict"], &newest["rule"]),
        (&json!("excluded"), &json!("min_sdk"))
    );
    let detail = newest["detail"].as_str().unwrap();
    assert!(detail.contains("30") && detail.contains("29"), "{detail}");
}

async fn without_a_public_url_artifacts_are_not_published(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.artifacts.download_url = None).await;
    let merchant = app.merchant().await;
    let artifact = plant_artifact(&app.database, TENANT, &apk(PACKAGE, 240)).await;
    let refused = merchant.create(&with(of_app(240, &artifact), published())).await;
    let problem = refused.problem(409, "wrong_state");
    assert!(
        problem["detail"].as_str().unwrap().contains("SLIPWAY_PUBLIC_URL"),
        "{problem}"
    );
    let draft = merchant.create(&of_app(240, &artifact)).await.expect(201);
    assert_eq!(draft["download_url"], Value::Null);
}

/// Releases of an artifact supersede others in the database, but not on a node that has no address for them.
async fn without_a_public_url_superseded_releases_are_offered(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let publish_external = async |version_code| {
        let fields = with(release_fields(PACKAGE, version_code), published());
        fixture.merchant.create(&fields).await.expect(201);
    };
    publish_external(10).await;
    fixture.release(20, published()).await;
    assert_eq!(fixture.offered(1, json!({})).await, Some(20));
    let database = fixture.app.database.again().await;
    let app = TestApp::start_with(database, |config| config.artifacts.download_url = None).await;
    let merchant = Merchant {
        admin: fixture.merchant.admin.at(&app),
        device: fixture.merchant.device.at(&app),
    };
    let without_address = Fixture { app, merchant };
    assert_eq!(without_address.offered(1, json!({})).await, Some(10));
    publish_external(15).await;
    without_address.until_offered(Some(15)).await;
    assert_eq!(fixture.offered(1, json!({})).await, Some(20));
}

async fn a_damaged_file_is_not_offered(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    fixture.release(10, published()).await;
    let newest = fixture.release(11, published()).await;
    assert_eq!(fixture.offered(1, json!({})).await, Some(11));
    let artifact = newest["artifact"].as_str().unwrap();
    let damage = Damage {
        kind: DamageKind::Altered,
        found_at: NOW.parse().unwrap(),
    };
    fixture.set_damage(artifact, Some(damage)).await;
    fixture.until_offered(Some(10)).await;
    assert_eq!(fixture.offered(11, json!({})).await, None);
    assert_eq!(fixture.merchant.read(&newest).await["file_damaged"], true);
    let explained = fixture
        .merchant
        .admin
        .post(&in_app("/explain"), &check_fields())
        .await
        .expect(200);
    assert_eq!(
        explained["resources"][0]["releases"][0]["rule"],
        "file_unavailable"
    );

    fixture.set_damage(artifact, None).await;
    fixture.until_offered(Some(11)).await;
    assert_eq!(fixture.merchant.read(&newest).await["file_damaged"], false);
}

async fn a_new_link_changes_the_offers(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let release = fixture.release(100, published()).await;
    let scope = TenantScope::internal(TenantId::parse(TENANT).unwrap());
    let tx = fixture.app.database.db.begin_catalog(scope).await.unwrap();
    let sha256 = Sha256::parse(release["artifact"].as_str().unwrap()).unwrap();
    let before = artifacts::find(&tx, scope, &sha256).await.unwrap().unwrap();
    let link = new_link(before.value.link.number + 1);
    let expected = format!("{DOWNLOADS}/dl/{}/%E6%94%B6%E9%93%B6.apk", link.key);
    artifacts::replace_link(&tx, &before, link, NOW.parse().unwrap())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(fixture.merchant.read(&release).await["download_url"], expected);
    let deadline = Instant::now() + DEADLINE;
    while fixture.merchant.offers(&json!({})).await[0]["download_url"] != expected {
        assert!(Instant::now() < deadline);
    }
}

async fn several_releases_are_published_together_or_not_at_all(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let merchant = &fixture.merchant;
    let app = fixture.release(240, json!({})).await;
    let module = merchant.draft(CHUKU, 240).await;
    let usual = Signing::of(TestKey::App);
    let unsafe_module = apk_with("com.hema.wms.ruku", 1, &usual, |apk| apk.debuggable = true);
    let unsafe_module = fixture.plant(&unsafe_module).await;
    let unsafe_module =
        json!({"identifier": "com.hema.wms.ruku", "version_code": 1, "artifact": unsafe_module});
    let unsafe_module = merchant.create(&unsafe_module).await.expect(201);

    let ids = json!([app["id"], module["id"], unsafe_module["id"]]);
    let publish = async |body: Value| merchant.admin.post(&in_app("/publish"), &body).await;
    publish(json!({"release_ids": ids}))
        .await
        .problem(409, "unsafe_package");
    for release in [&app, &module, &unsafe_module] {
        assert_eq!(merchant.read(release).await["state"], "draft");
    }
    assert!(fixture.audited("release.publish").await.is_empty());

    let accepted = json!({"release_ids": ids, "accept_unsafe_package": true});
    let done = publish(accepted.clone()).await;
    assert!(!done.header("slipway-revision").is_empty());
    let done = done.expect(200);
    let states: Vec<_> = done["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["state"])
        .collect();
    assert_eq!(states, ["published", "published", "published"]);
    assert_eq!(
        fixture
            .merchant
            .offers(&json!({}))
            .await
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(publish(accepted).await.expect(200)["items"], done["items"]);

    let unknown = json!({"release_ids": [app["id"], "0197c0de-0000-7000-8000-000000000001"]});
    let problem = publish(unknown).await.problem(400, "invalid_parameter");
    assert_eq!(problem["errors"][0]["field"], "release_ids[1]");
    let other = release_fields(CHUKU, 241);
    let recalled = merchant.create(&with(other, published())).await.expect(201);
    merchant.recall(&recalled, "stop").await.expect(200);
    publish(json!({"release_ids": [recalled["id"]]}))
        .await
        .problem(409, "wrong_state");
}

async fn an_apk_makes_its_resource_one_and_is_not_rolled_back(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let Fixture { merchant, .. } = &fixture;
    let package = fixture.plant(&apk("com.hema.part", 5)).await;
    let fields = json!({"identifier": CHUKU, "version_code": 5, "artifact": package, "publish": true});
    let release = merchant.create(&fields).await.expect(201);
    let resource = in_app(&format!("/resources/{CHUKU}"));
    assert_eq!(merchant.admin.get(&resource).await.expect(200)["kind"], "apk");
    // The file counts, whatever the kind of the resource.
    for kind in ["apk", "other"] {
        merchant
            .admin
            .patch(&resource, &json!({"kind": kind}))
            .await
            .expect(200);
        let refused = merchant.recall(&release, "rollback").await;
        refused.problem(409, "wrong_state");
    }
    merchant.recall(&release, "stop").await.expect(200);
}

on_both_databases!(
    an_apk_makes_its_resource_one_and_is_not_rolled_back,
    a_release_takes_the_facts_of_its_artifact,
    the_gateway_offers_the_address_and_the_digest_of_the_specification,
    a_release_must_agree_with_its_artifact,
    an_artifact_has_no_address_of_the_callers,
    the_address_of_an_artifact_is_no_external_file,
    another_tenants_artifact_is_absent,
    a_file_without_facts_needs_a_version_name,
    a_draft_moves_between_files,
    creating_a_release_from_the_same_file_again_changes_nothing,
    another_signer_needs_a_decision,
    an_unsafe_package_needs_a_decision,
    a_device_below_the_min_sdk_keeps_an_older_release,
    without_a_public_url_artifacts_are_not_published,
    without_a_public_url_superseded_releases_are_offered,
    a_damaged_file_is_not_offered,
    a_new_link_changes_the_offers,
    several_releases_are_published_together_or_not_at_all,
);
