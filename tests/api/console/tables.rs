//! Tables that are imported as a file, without script.

use serde_json::json;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, file_form};
use super::new_release::assert_has;
use crate::api::harness::{ADMIN, PASSWORD, TENANT, TestApp, in_tenant};

const DEVICES: &str = "id,project,type,org path\nD1,shop,,\n";
const NODES: &str = "l1,l2,l3,l4,l5,name,time zone\nHM,,,,,杭州,\n";

async fn a_file_is_imported_like_a_pasted_table(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let path = |end: &str| format!("/console/tenants/{TENANT}/{end}");
    for (end, table) in [("devices", DEVICES), ("org", NODES)] {
        let page = browser.get(&path(end)).await;
        assert_has(
            &page,
            &["enctype=\"multipart/form-data\"", "type=\"file\"", "name=\"csv\""],
        );
        // A spreadsheet writes a byte-order mark.
        let page = browser
            .upload(&path(end), "table.csv", format!("\u{feff}{table}").as_bytes())
            .await;
        assert_eq!(page.status, 303, "{end}: {}", page.text);
        let shown = browser.get(page.location()).await;
        assert_has(&shown, &["Imported: 1"]);
        // The same mark before a pasted table.
        let page = browser
            .post(&path(end), &[("csv", &format!("\u{feff}{table}"))])
            .await;
        assert_eq!(page.status, 303, "{end}: {}", page.text);
    }
    let stored = admin.get(&in_tenant("/org-directory")).await.expect(200);
    assert_eq!(stored["nodes"][0]["name"], json!("杭州"));
    admin.get(&in_tenant("/devices/D1")).await.expect(200);
}

async fn mistakes_in_a_file_are_named_at_its_field(database: TestDatabase) {
    let app = TestApp::start(database).await;
    app.tenant_admin(TENANT).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let path = format!("/console/tenants/{TENANT}/org");
    // 杭州 in GBK.
    let gbk = b"HM,,,,,\xba\xbc\xd6\xdd,\n";
    let wrong = format!("{NODES},X,,,,,\n");
    for (content, message) in [
        (&gbk[..], "must be UTF-8; save the file as CSV UTF-8"),
        (wrong.as_bytes(), "line 3: path"),
        (b"a,b\n", "line 1: has 2 columns"),
    ] {
        let page = browser.upload(&path, "table.csv", content).await;
        assert_eq!(page.status, 400, "{}", page.text);
        let (_, error) = page
            .text
            .split_once("id=\"import-file-error\">")
            .unwrap_or_else(|| panic!("{}", page.text));
        assert!(error.starts_with(message), "{message}: {error}");
    }
    // An empty file is none.
    let page = browser.upload(&path, "", b"").await;
    assert_has(&page, &["id=\"import-csv-error\">is required"]);
    let token = browser.get("/console/help").await.token();
    let both = file_form(
        &[("csrf_token", &token), ("csv", NODES)],
        "a.csv",
        NODES.as_bytes(),
    );
    let page = browser.send_file_form(&path, both, &[]).await;
    assert_has(&page, &["must be given without a pasted text"]);
    let page = browser
        .upload(&path, "large.csv", &vec![b'x'; 17 * 1024 * 1024])
        .await;
    assert_eq!(page.status, 413, "{}", page.text);
    // The form of another site's page is not read.
    let foreign = file_form(&[("csrf_token", "00")], "a.csv", NODES.as_bytes());
    let page = browser.send_file_form(&path, foreign, &[]).await;
    assert_eq!(page.status, 403, "{}", page.text);
}

on_both_databases!(
    a_file_is_imported_like_a_pasted_table,
    mistakes_in_a_file_are_named_at_its_field,
);
