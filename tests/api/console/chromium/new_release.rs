//! Page "New release" in a browser: an upload with its progress, the choice of org nodes, and the preview.

use serde_json::json;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use tempfile::TempDir;

use super::every_page::examine_shown;
use super::samples::{Day, FIRST, fill_release};
use super::tab::Tab;
use crate::api::harness::{ADMIN, PACKAGE, PASSWORD, apk, in_tenant};

/// Notes the values of each progress bar, and of its removal, in `window.progress`.
const WATCH_PROGRESS: &str = r"
    window.progress = [];
    const note = (element) => window.progress.push(element.value);
    new MutationObserver((changes) => changes.forEach((change) => {
      if (change.target.tagName === 'PROGRESS') note(change.target);
      change.addedNodes.forEach((node) => { if (node.tagName === 'PROGRESS') note(node); });
    })).observe(document.body, { childList: true, subtree: true, attributeFilter: ['value'] });
    addEventListener('pagehide', () => sessionStorage.setItem('progress', JSON.stringify(window.progress)));";

/// Drops the file that is chosen in the field, as a person drops one from the desktop.
const DROP: &str = r"
    const field = document.querySelector('.drop');
    const files = new DataTransfer();
    files.items.add(field.querySelector('input').files[0]);
    field.querySelector('input').value = '';
    for (const kind of ['dragover', 'drop']) {
      field.dispatchEvent(new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true }));
    }";

async fn a_dropped_file_is_sent_with_progress_and_read(database: TestDatabase) {
    let day = Day::begin(database).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("till.apk");
    let tab = Tab::open(&day.app.url).await;
    let new = format!("{}/releases/new", day.package);
    tab.sign_in(&new, ADMIN, PASSWORD).await;
    for (is_dropped, version) in [(false, 7), (true, 8)] {
        std::fs::write(&file, apk(PACKAGE, version)).unwrap();
        tab.go(&new).await;
        tab.run(WATCH_PROGRESS).await;
        tab.attach("#upload-file", &file).await;
        if is_dropped {
            tab.run(DROP).await;
        } else {
            tab.click("#upload .actions button").await;
        }
        tab.expect_soon(".notice.good", "Uploaded").await;
        tab.expect("main", "Found in the file").await;
        tab.expect(".panel .facts", &format!("2.0.{version}")).await;
        assert_eq!(tab.value("#release-version_code").await, version.to_string());
        // The bar reached its end before the page was left.
        let seen = tab
            .run("return JSON.parse(sessionStorage.getItem('progress'))")
            .await;
        assert_eq!(
            seen.as_array().and_then(|seen| seen.last()),
            Some(&json!(1)),
            "{seen}"
        );
    }
    // A refusal takes the place of the page, without the bar.
    let platform = day.app.platform_admin().await;
    let quota = json!({"artifact_quota_bytes": 1});
    platform.patch(&in_tenant(""), &quota).await.expect(200);
    std::fs::write(&file, apk(PACKAGE, 9)).unwrap();
    tab.go(&new).await;
    tab.attach("#upload-file", &file).await;
    tab.run(DROP).await;
    tab.expect_soon("#upload-problem", "artifact_quota_bytes").await;
    assert!(!tab.has("progress").await);
    tab.close().await;
}

async fn nodes_are_chosen_and_the_offer_is_previewed(database: TestDatabase) {
    let day = Day::begin(database).await;
    let nodes = json!({"nodes": [
        {"path": ["HM"], "name": "Hema"},
        {"path": ["HM", "HM-SH"], "name": "Shanghai"},
        {"path": ["HM", "HM-SH", "8007"], "name": "Xujiahui"},
        {"path": ["HM", "HM-SH", "8011"], "name": "Pudong"},
    ]});
    day.merchant
        .admin
        .put(&in_tenant("/org-directory"), &nodes)
        .await
        .expect(200);
    for is_scripted in [true, false] {
        let tab = Tab::open(&day.app.url).await;
        if !is_scripted {
            tab.forbid_scripts().await;
        }
        tab.sign_in(&format!("{}/releases/new", day.package), ADMIN, PASSWORD)
            .await;
        fill_release(&tab).await;
        tab.leave_by("#org-nodes button").await;
        tab.leave_by("#org-nodes [value='HM']").await;
        tab.leave_by("#org-nodes [value='HM/HM-SH']").await;
        tab.click("#org-nodes [name='include.0']").await;
        tab.leave_by("#org-nodes [name='nodes.close']").await;
        assert_eq!(tab.value("#release-org_scopes").await, "HM/HM-SH/8007");
        assert_eq!(tab.value("#release-version_name").await, "2.4.0");

        // The Enter key shows the preview, and creates nothing.
        tab.click("#release-version_name").await;
        tab.press("\u{e007}").await;
        tab.expect_soon("#preview", FIRST).await;
        tab.expect("#preview pre", "\"version_name\": \"2.4.0\"").await;
        tab.leave_by("#org-nodes button").await;
        tab.fill("#nodes-query", "pudong").await;
        tab.press("\u{e007}").await;
        tab.expect_soon("#org-nodes tbody", "8011").await;
        if is_scripted {
            let faults = examine_shown(&tab).await;
            assert!(faults.is_empty(), "{faults:#?}");
        }
        tab.click("#org-nodes [name='exclude.0']").await;
        tab.leave_by("#preview-device + button").await;
        assert_eq!(tab.value("#release-org_exclusions").await, "HM/HM-SH/8011");
        tab.expect("#preview", FIRST).await;
        if is_scripted {
            let faults = examine_shown(&tab).await;
            assert!(faults.is_empty(), "{faults:#?}");
        }
        tab.close().await;
    }
}

on_both_databases!(
    a_dropped_file_is_sent_with_progress_and_read,
    nodes_are_chosen_and_the_offer_is_previewed,
);
