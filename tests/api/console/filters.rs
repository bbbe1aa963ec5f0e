//! Filters with a wrong value: the page keeps the value, and shows the error beside its field.

use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::Browser;
use super::new_release::assert_has;
use crate::api::harness::{ADMIN, PASSWORD, TENANT, TestApp};

async fn a_wrong_filter_is_shown_with_its_error(database: TestDatabase) {
    let app = TestApp::start(database).await;
    app.tenant_admin(TENANT).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let tenant = format!("/console/tenants/{TENANT}");
    let long = "x".repeat(600);
    for (page, field, value, id) in [
        (format!("{tenant}/audit"), "actor_name", long.as_str(), "f-actor"),
        (format!("{tenant}/audit"), "from", "yesterday", "f-from"),
        ("/console/audit".to_owned(), "until", "tomorrow", "f-until"),
        (format!("{tenant}/pins"), "package_name", "a b", "f-app"),
        (format!("{tenant}/pins"), "identifier", "<b>", "f-resource"),
        (format!("{tenant}/pushes"), "trace_id", long.as_str(), "f-trace"),
        (format!("{tenant}/artifacts"), "kind", "a kind", "f-kind"),
        (
            format!("{tenant}/artifacts"),
            "package_name",
            long.as_str(),
            "f-package",
        ),
    ] {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair(field, value)
            .finish();
        for (language, words) in [("en", " must "), ("zh", "必须")] {
            browser.headers = vec![("accept-language".to_owned(), language.to_owned())];
            let shown = browser.get(&format!("{page}?{query}")).await;
            assert_eq!(shown.status, 400, "{page}?{field}: {}", shown.text);
            let value = value.replace('<', "&#60;").replace('>', "&#62;");
            assert_has(
                &shown,
                &[
                    "class=\"filters\"",
                    &format!("value=\"{value}\""),
                    "aria-invalid=\"true\"",
                ],
            );
            let mark = format!("id=\"{id}-error\">");
            let (_, error) = shown
                .text
                .split_once(&mark)
                .unwrap_or_else(|| panic!("{mark}: {}", shown.text));
            let error = format!(" {}", error.split('<').next().unwrap());
            let is_of_language = error.contains(words) || (language == "zh" && error.contains("长度"));
            assert!(is_of_language, "{page}?{field}: {error}");
        }
    }
}

on_both_databases!(a_wrong_filter_is_shown_with_its_error);
