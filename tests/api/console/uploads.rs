//! Uploads with and without script, releases from files, refusals, and texts that contain markup.

use std::path::PathBuf;

use serde_json::{Value, json};
use slipway::config::Config;
use slipway_package_maker::{Signing, TestKey};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, Page, file_form};
use crate::api::harness::{
    ADMIN, Caller, PACKAGE, PASSWORD, TENANT, TestApp, apk, apk_with, app_fields, in_app, in_tenant, sha256,
};
use crate::api::operations::make_person;

const LIST: &str = "/console/tenants/10000000/artifacts";

/// Names and values.
type Pairs<'a> = &'a [(&'a str, &'a str)];

struct Fixture {
    app: TestApp,
    admin: Caller,
    browser: Browser,
    /// Address of the form for a new release.
    new_release: String,
    folder: PathBuf,
}

impl Fixture {
    async fn start(database: TestDatabase) -> Self {
        Self::start_with(database, |_| {}).await
    }

    async fn start_with(database: TestDatabase, change: impl FnOnce(&mut Config)) -> Self {
        let mut store = String::new();
        let app = TestApp::start_with(database, |config| {
            change(config);
            store = config.artifacts.url.clone().unwrap();
        })
        .await;
        let admin = app.tenant_admin(TENANT).await;
        admin
            .post(&in_tenant("/apps"), &app_fields(PACKAGE))
            .await
            .expect(201);
        Self {
            browser: Browser::signed_in(&app, ADMIN, PASSWORD).await,
            new_release: format!("/console/tenants/{TENANT}/apps/{PACKAGE}/releases/new"),
            folder: store.trim_start_matches("file://").into(),
            admin,
            app,
        }
    }

    async fn artifacts(&self) -> Vec<Value> {
        let list = self.admin.get(&in_tenant("/artifacts")).await.expect(200);
        list["items"].as_array().unwrap().clone()
    }

    /// Uploads the file of a new release, and returns the page that follows.
    async fn upload_for_release(&mut self, filename: &str, content: &[u8]) -> Page {
        let stored = self.browser.upload(&self.new_release, filename, content).await;
        assert_eq!(stored.status, 303, "{}", stored.text);
        let target = format!("{}?artifact={}&done=uploaded", self.new_release, sha256(content));
        assert_eq!(stored.location(), target);
        self.browser.get(&target).await
    }

    /// Sends the form of a page with a file, with the fields that the file supplied.
    async fn publish(&mut self, page: &Page) -> Page {
        let names = [
            "form_id",
            "artifact",
            "identifier",
            "version_code",
            "version_name",
        ];
        let supplied = names.map(|name| (name, page.hidden("release", name).unwrap()));
        let mut fields: Vec<_> = supplied
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        fields.extend([
            ("rollout.percent", "100"),
            ("rollout.unit", "device"),
            ("publish", "true"),
        ]);
        let releases = self.new_release.trim_end_matches("/new").to_owned();
        let created = self.browser.post(&releases, &fields).await;
        assert_eq!(created.status, 303, "{}", created.text);
        let created = created.location().to_owned();
        self.browser.get(&created).await
    }
}

fn assert_has(page: &Page, parts: &[&str]) {
    for part in parts {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
}

async fn a_release_is_made_from_a_file_without_script(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let page = fixture.browser.get(&fixture.new_release).await;
    assert_has(&page, &["enctype=\"multipart/form-data\"", "type=\"file\""]);
    let first = apk(PACKAGE, 7);
    let page = fixture.upload_for_release("收银 1.apk", &first).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let digest = sha256(&first);
    assert_has(&page, &["收银 1.apk", PACKAGE, "first published release"]);
    for (field, value) in [
        ("artifact", digest.as_str()),
        ("identifier", PACKAGE),
        ("version_code", "7"),
        ("version_name", "2.0.7"),
    ] {
        assert_eq!(page.hidden("release", field).as_deref(), Some(value), "{field}");
    }
    let release = fixture.publish(&page).await;
    let link = format!("href=\"{LIST}/{digest}\"");
    assert_has(&release, &[&link, "/qr.svg\"", "href=\"/get/"]);
    let listed = fixture.admin.get(&in_app("/releases")).await.expect(200);
    assert_eq!(
        (&listed["items"][0]["artifact"], &listed["items"][0]["state"]),
        (&json!(digest), &json!("published"))
    );

    // The page for the next file shows the release that it replaces. For an older file it warns.
    let next = fixture.upload_for_release("next.apk", &apk(PACKAGE, 8)).await;
    let replaced = format!("/releases/{}\"", listed["items"][0]["id"].as_str().unwrap());
    assert_has(&next, &[&replaced, "2.0.7"]);
    let newer = "is as new or newer";
    assert!(!next.text.contains(newer), "{}", next.text);
    let older = fixture.upload_for_release("older.apk", &apk(PACKAGE, 6)).await;
    assert_has(&older, &[&replaced, newer]);

    let one = fixture.browser.get(&format!("{LIST}/{digest}")).await;
    assert_has(&one, &[&replaced, "img class=\"qr\"", "href=\"/dl/", "v2"]);
    let qr = one.text.split("class=\"qr\" src=\"").nth(1).unwrap();
    let qr = fixture.browser.get(qr.split('"').next().unwrap()).await;
    assert_eq!(qr.header("content-type"), "image/svg+xml");
    let used = fixture
        .browser
        .post(&format!("{LIST}/{digest}/delete"), &[])
        .await;
    assert_eq!(used.status, 409, "{}", used.text);
    assert_has(
        &used,
        &["id=\"delete-problem\"", "kept as long as its app exists"],
    );
}

async fn the_script_sends_the_form_of_the_page(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let page = fixture.browser.get(LIST).await;
    let (token, id) = (
        page.hidden("upload", "csrf_token").unwrap(),
        page.hidden("upload", "form_id").unwrap(),
    );
    let fields = [("csrf_token", token.as_str()), ("form_id", id.as_str())];
    let origin = fixture.app.url.clone();
    let headers = [
        ("origin", origin.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "cors"),
        ("accept", "*/*"),
    ];
    let mut send = async |content: &[u8]| {
        let form = file_form(&fields, "a.zip", content);
        fixture.browser.send_file_form(LIST, form, &headers).await
    };
    let content = b"a file".as_slice();
    let target = |notice: &str| format!("{LIST}/{}?done={notice}", sha256(content));
    let stored = send(content).await;
    assert_eq!((stored.status, stored.location()), (303, &*target("uploaded")));
    let again = send(content).await;
    assert_eq!((again.status, again.location()), (303, &*target("known")));
    // A refusal is a page. Its main part replaces the current one.
    let empty = file_form(&fields, "", b"");
    let refused = fixture.browser.send_file_form(LIST, empty, &headers).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert_has(&refused, &["<main id=\"main\"", "id=\"upload-file-error\""]);
    let script = include_str!("../../../src/console/assets/console.js");
    assert!(script.contains("new FormData(form)"), "the script sends the form");
}

async fn a_form_without_the_token_stores_nothing(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let token = fixture.browser.get(LIST).await.token();
    let own = [("csrf_token", token.as_str())];
    let (origin, foreign) = (fixture.app.url.clone(), "https://evil.example");
    let cases: [(Pairs<'_>, Pairs<'_>); 5] = [
        (&[], &[]),
        (&[("csrf_token", "wrong")], &[]),
        (&own, &[("origin", foreign)]),
        (&own, &[("origin", "null")]),
        (
            &own,
            &[("origin", origin.as_str()), ("sec-fetch-site", "cross-site")],
        ),
    ];
    for (fields, headers) in cases {
        for path in [LIST, fixture.new_release.as_str()] {
            let form = file_form(fields, "a.bin", b"foreign");
            let page = fixture.browser.send_file_form(path, form, headers).await;
            assert_eq!(page.status, 403, "{fields:?} {headers:?}: {}", page.text);
        }
    }
    // A token after the file is too late.
    let mut form = file_form(&[], "a.bin", b"late");
    form.truncate(form.len() - 4);
    let field = "\r\nContent-Disposition: form-data; name=\"csrf_token\"\r\n\r\n";
    form.extend(format!("{field}{token}\r\n------form--\r\n").into_bytes());
    let page = fixture.browser.send_file_form(LIST, form, &[]).await;
    assert_eq!(page.status, 403, "{}", page.text);
    let plain = fixture.browser.post(LIST, &[("file", "content")]).await;
    assert_eq!(plain.status, 415, "{}", plain.text);
    assert_eq!(fixture.artifacts().await, Vec::<Value>::new());
    let uploads = std::fs::read_dir(fixture.folder.join("uploads"));
    assert_eq!(uploads.map_or(0, Iterator::count), 0);
}

async fn limits_are_shown_at_the_form(database: TestDatabase) {
    let change = |config: &mut Config| config.artifacts.max_bytes = 100_000;
    let mut fixture = Fixture::start_with(database, change).await;
    let platform = fixture.app.platform_admin().await;
    let paths = [LIST.to_owned(), fixture.new_release.clone()];
    for path in &paths {
        // The first size is detected while the file arrives, the second from the length of the form.
        for size in [100_001, 200_000] {
            let page = fixture.browser.upload(path, "large.bin", &vec![0; size]).await;
            assert_eq!(page.status, 413, "{}", page.text);
            assert_has(&page, &["id=\"upload-problem\"", "type=\"file\"", "100000"]);
        }
    }
    let quota = json!({"artifact_quota_bytes": 50_000});
    platform.patch(&in_tenant(""), &quota).await.expect(200);
    for path in &paths {
        let page = fixture.browser.upload(path, "a.bin", &vec![1; 60_000]).await;
        assert_eq!(page.status, 507, "{}", page.text);
        assert_has(&page, &["id=\"upload-problem\"", "artifact_quota_bytes"]);
    }
    assert_eq!(fixture.artifacts().await, Vec::<Value>::new());
    assert_eq!(
        fixture
            .browser
            .upload(LIST, "a.bin", &vec![1; 40_000])
            .await
            .status,
        303
    );
}

async fn hostile_names_are_escaped(database: TestDatabase) {
    const HOSTILE: &str = "<img src=x onerror=alert(1)>'{{7*7}}&amp;.apk";
    let mut fixture = Fixture::start(database).await;
    let bytes = apk_with(PACKAGE, 3, &Signing::of(TestKey::App), |apk| {
        HOSTILE.clone_into(&mut apk.version_name);
        apk.debuggable = true;
    });
    let page = fixture.upload_for_release(HOSTILE, &bytes).await;
    let digest = sha256(&bytes);
    let mut pages = vec![page];
    for path in [
        LIST.to_owned(),
        format!("{LIST}/{digest}"),
        format!("{LIST}?package_name={PACKAGE}&kind=apk&unused=true"),
        fixture.new_release.clone(),
    ] {
        pages.push(fixture.browser.get(&path).await);
    }
    for page in &pages {
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(!page.text.contains("<img src=x"), "{}", page.text);
        assert_has(page, &["&#60;img src=x"]);
    }
    assert_has(&pages[2], &["debuggable"]);
    let path = fixture.browser.upload(LIST, "..", b"a path").await;
    assert_eq!(path.status, 400, "{}", path.text);
    let filter = fixture.browser.get(&format!("{LIST}?kind=%3Cimg%3E")).await;
    assert_eq!(filter.status, 400, "{}", filter.text);
    assert!(!filter.text.contains("<img"), "{}", filter.text);
}

async fn a_viewer_sees_no_upload(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let stored = fixture.browser.upload(LIST, "a.bin", b"a file").await;
    let one = format!("{LIST}/{}", sha256(b"a file"));
    assert_eq!(stored.location(), format!("{one}?done=uploaded"));
    make_person(&fixture.admin, TENANT, "viewer", "viewer").await;
    let mut viewer = Browser::signed_in(&fixture.app, "viewer", PASSWORD).await;
    for path in [LIST, &one] {
        let page = viewer.get(path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert_has(&page, &["a.bin"]);
        for refused in ["type=\"file\"", "class=\"form\"", "/new-link", "/delete"] {
            assert!(!page.text.contains(refused), "{path} has {refused}");
        }
    }
    for path in [LIST, fixture.new_release.as_str()] {
        let page = viewer.upload(path, "b.bin", b"another").await;
        assert_eq!(page.status, 403, "{}", page.text);
    }
    assert_eq!(fixture.artifacts().await.len(), 1);
}

async fn a_file_is_kept_and_gets_a_new_link(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    fixture.browser.upload(LIST, "a.bin", b"a file").await;
    let one = format!("{LIST}/{}", sha256(b"a file"));
    let before = fixture.artifacts().await.remove(0);
    let etag = fixture.browser.get(&one).await.hidden("keep", "etag").unwrap();
    let keep = [("keep", "true"), ("etag", etag.as_str())];
    let kept = fixture.browser.post(&format!("{one}/keep"), &keep).await;
    assert_eq!(kept.location(), format!("{one}?done=saved"), "{}", kept.text);
    let stale = fixture.browser.post(&format!("{one}/keep"), &keep).await;
    assert_eq!(stale.status, 412, "{}", stale.text);
    let linked = fixture.browser.post(&format!("{one}/new-link"), &[]).await;
    assert_eq!(linked.location(), format!("{one}?done=linked"), "{}", linked.text);
    let after = fixture.artifacts().await.remove(0);
    assert_eq!(after["keep"], json!(true));
    assert_ne!(after["download_url"], before["download_url"]);
    let shown = fixture.browser.get(&one).await;
    assert_has(&shown, &[after["download_url"].as_str().unwrap()]);
    let deleted = fixture.browser.post(&format!("{one}/delete"), &[]).await;
    assert_eq!(deleted.location(), format!("{LIST}?done=deleted"));
    assert_eq!(fixture.browser.get(&one).await.status, 404);
}

on_both_databases!(
    a_release_is_made_from_a_file_without_script,
    the_script_sends_the_form_of_the_page,
    a_form_without_the_token_stores_nothing,
    limits_are_shown_at_the_form,
    hostile_names_are_escaped,
    a_viewer_sees_no_upload,
    a_file_is_kept_and_gets_a_new_link,
);
