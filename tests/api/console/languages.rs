//! Errors on Chinese pages are Chinese.

use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::Browser;
use super::new_release::assert_has;
use crate::api::harness::{ADMIN, CHUKU, PACKAGE, PASSWORD, TENANT, TestApp};

async fn errors_are_in_the_language_of_the_page(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 1).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    browser.headers = vec![("accept-language".to_owned(), "zh".to_owned())];
    let tenant = format!("/console/tenants/{TENANT}");
    let release = format!(
        "{tenant}/apps/{PACKAGE}/releases/{}",
        release["id"].as_str().unwrap()
    );
    let long = "x".repeat(200);
    let wrong_release = [
        ("identifier", "a b"),
        ("version_code", "0"),
        ("rollout.percent", "101"),
        ("rollout.unit", "device"),
        ("md5", "short"),
        ("starts_at", "2026-03-02T02:00"),
        ("ends_at", "2026-03-01T02:00"),
        ("org_scopes", "/"),
        ("attribute_rules", "a b c"),
    ];
    for (path, fields, status, expected) in [
        (
            format!("{tenant}/apps"),
            vec![("package_name", "a b"), ("app_name", &long)],
            400,
            vec![
                "必须是 1 至 128 个 ASCII 字母",
                "长度必须为 1 至 128 个字符，现为 200 个",
            ],
        ),
        (
            format!("{tenant}/apps"),
            vec![("package_name", PACKAGE), ("app_name", "Another")],
            409,
            vec!["已使用此包名或旧包名"],
        ),
        (
            format!("{tenant}/people"),
            vec![("username", "Li Lei"), ("password", "short"), ("role", "viewer")],
            400,
            vec!["个小写 ASCII 字母", "长度必须为 10 至 256 个字符"],
        ),
        (
            format!("{tenant}/apps/{PACKAGE}/releases"),
            wrong_release.to_vec(),
            400,
            vec![
                "之间的整数",
                "必须是 0 到 100 之间的数字",
                "位十六进制数字",
                "至少需要一级编码",
            ],
        ),
        (
            format!("{tenant}/org"),
            vec![("csv", "HM,,,,,,\nHM,,,,,,\n")],
            400,
            vec!["第 2: path 在目录中不能重复"],
        ),
        (
            format!("{tenant}/org"),
            vec![("csv", "a,b")],
            400,
            vec!["有 2 列，而不是 7 列"],
        ),
        (
            format!("{tenant}/apps/{PACKAGE}/delete"),
            vec![],
            409,
            vec!["请先撤回，再删除应用"],
        ),
        (
            format!("{tenant}/explain"),
            vec![
                ("package_name", PACKAGE),
                ("version_code", "-1"),
                ("device_id", ""),
            ],
            400,
            vec!["为必填项"],
        ),
        (format!("{release}/resume"), vec![], 303, vec![]),
        (
            format!("{release}/discard"),
            vec![],
            409,
            vec!["未执行：此版本期间已被修改"],
        ),
    ] {
        let page = browser.post(&path, &fields).await;
        assert_eq!(page.status, status, "{path}: {}", page.text);
        assert_has(&page, &expected);
        assert_no_english_error(&path, &page.text);
    }
}

async fn pages_without_a_list_of_errors_are_in_it_too(database: TestDatabase) {
    let app = TestApp::start(database).await;
    app.merchant().await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    browser.headers = vec![("accept-language".to_owned(), "zh".to_owned())];
    let tenant = format!("/console/tenants/{TENANT}");
    let page = browser.get(&format!("{tenant}/apps/com.example.absent")).await;
    assert_has(&page, &["地址或内容不存在"]);
    let fields = [("current", "wrong"), ("new", "another long password")];
    let page = browser.post("/console/account", &fields).await;
    assert_has(&page, &["不是您的密码"]);
}

/// Fails for an error with a word of the API's messages.
fn assert_no_english_error(path: &str, page: &str) {
    for mark in ["class=\"error\"", "role=\"alert\""] {
        for error in page.split(mark).skip(1) {
            let text = error.split("</p>").next().unwrap();
            for word in [" must ", " is ", " not "] {
                assert!(!text.contains(word), "{path}: {text}");
            }
        }
    }
}

on_both_databases!(
    errors_are_in_the_language_of_the_page,
    pages_without_a_list_of_errors_are_in_it_too,
);
