//! Input of forms that meet an ended session, the token of another one, a lost role, or no database.

use reqwest::Method;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, Page};
use super::new_release::assert_has;
use crate::api::harness::{ADMIN, Caller, PASSWORD, TENANT, TestApp, in_tenant};
use crate::api::operations::make_person;

const ENTERED: [(&str, &str); 3] = [
    ("package_name", "com.example.kept"),
    ("app_name", "A <b>long</b> \"name\""),
    ("old_package_names", "com.example.one\ncom.example.two"),
];

struct Fixture {
    app: TestApp,
    admin: Caller,
    browser: Browser,
    path: String,
}

impl Fixture {
    async fn start(database: TestDatabase) -> Self {
        let app = TestApp::start(database).await;
        Self {
            admin: app.tenant_admin(TENANT).await,
            browser: Browser::signed_in(&app, ADMIN, PASSWORD).await,
            path: format!("/console/tenants/{TENANT}/apps"),
            app,
        }
    }

    /// Sends the form of a new app as a browser does.
    async fn send(&mut self, token: &str, entered: &[(&str, &str)]) -> Page {
        let mut fields = vec![("csrf_token", token), ("form_id", "1a")];
        fields.extend(entered);
        let origin = self.app.url.clone();
        let (path, fields) = (self.path.clone(), owned(&fields));
        let headers = [("origin", origin.as_str())];
        self.browser.send(Method::POST, &path, &fields, &headers).await
    }

    /// Sends the form with the kept input of a page.
    async fn send_again(&mut self, page: &Page) -> Page {
        let (path, fields) = kept_form(page);
        self.browser.send(Method::POST, &path, &fields, &[]).await
    }

    async fn app_name(&self) -> String {
        let made = self
            .admin
            .get(&in_tenant("/apps/com.example.kept"))
            .await
            .expect(200);
        made["app_name"].as_str().unwrap().to_owned()
    }
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let fields = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    fields.collect()
}

fn unescaped(text: &str) -> String {
    let text = text
        .replace("&#34;", "\"")
        .replace("&#60;", "<")
        .replace("&#62;", ">");
    text.replace("&#38;", "&")
}

/// Returns the address and the hidden fields of the form with kept input.
fn kept_form(page: &Page) -> (String, Vec<(String, String)>) {
    let (_, form) = page
        .text
        .split_once("id=\"kept\" action=\"")
        .unwrap_or_else(|| panic!("{}", page.text));
    let (form, _) = form.split_once("</form>").unwrap();
    let (action, rest) = form.split_once('"').unwrap();
    let field = |input: &str| {
        let (name, rest) = input.split_once('"')?;
        let value = rest.strip_prefix(" value=\"")?.split('"').next()?;
        Some((name.to_owned(), unescaped(value)))
    };
    let fields = rest.split("<input type=\"hidden\" name=\"").filter_map(field);
    (unescaped(action), fields.collect())
}

/// Signs in with the form of a page.
async fn sign_in_on(browser: &mut Browser, page: &Page, password: &str) -> Page {
    let hidden = |name| unescaped(&page.hidden("sign-in", name).unwrap());
    let fields = [
        ("csrf_token".to_owned(), page.token()),
        ("username".to_owned(), ADMIN.to_owned()),
        ("password".to_owned(), password.to_owned()),
        ("kept".to_owned(), hidden("kept")),
        ("kept_action".to_owned(), hidden("kept_action")),
    ];
    browser.send(Method::POST, "/console/sign-in", &fields, &[]).await
}

async fn a_form_is_sent_again_after_the_sign_in(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let token = fixture.browser.get("/console/help").await.token();
    // The session ends on another node.
    let elsewhere = &mut fixture.browser.clone();
    elsewhere.post("/console/sign-out", &[]).await;
    let page = fixture.send(&token, &ENTERED).await;
    assert_eq!(page.status, 401, "{}", page.text);
    assert_has(&page, &["Your session has ended. Your input is kept"]);
    let wrong = sign_in_on(&mut fixture.browser, &page, "wrong").await;
    assert_eq!(wrong.status, 401, "{}", wrong.text);
    let page = sign_in_on(&mut fixture.browser, &wrong, PASSWORD).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert_has(
        &page,
        &[
            "A &#60;b&#62;long",
            "com.example.two",
            "the form has not been sent yet",
        ],
    );
    assert_ne!(page.token(), token);
    let sent = fixture.send_again(&page).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    assert_eq!(fixture.app_name().await, ENTERED[1].1);
    // A program that names no origin gets what it got before.
    fixture.browser.cookies.clear();
    let fields = owned(&ENTERED);
    let path = fixture.path.clone();
    let page = fixture.browser.send(Method::POST, &path, &fields, &[]).await;
    assert_eq!((page.status, page.location()), (303, "/console/sign-in"));
}

async fn a_form_of_an_earlier_session_is_kept(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let token = Browser::signed_in(&fixture.app, ADMIN, PASSWORD)
        .await
        .get("/console/help")
        .await
        .token();
    let page = fixture.send(&token, &ENTERED).await;
    assert_eq!(page.status, 403, "{}", page.text);
    assert_eq!(
        fixture
            .admin
            .get(&in_tenant("/apps/com.example.kept"))
            .await
            .status,
        404
    );
    let sent = fixture.send_again(&page).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    assert_eq!(fixture.app_name().await, ENTERED[1].1);
}

async fn a_form_is_kept_without_its_passwords(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    fixture.path = format!("/console/tenants/{TENANT}/people");
    let entered = [
        ("username", "li"),
        ("password", "a very secret text"),
        ("role", "viewer"),
    ];
    let page = fixture.send("00", &entered).await;
    assert_eq!(page.status, 403, "{}", page.text);
    assert_has(&page, &["Passwords are not kept", "value=\"li\""]);
    assert!(!page.text.contains("a very secret text"), "{}", page.text);
    let again = fixture.send_again(&page).await;
    assert_eq!(again.status, 400, "{}", again.text);
    assert_has(&again, &["value=\"li\"", "-password-error\""]);
    // Nothing of a password change could be kept.
    "/console/account".clone_into(&mut fixture.path);
    let entered = [("current", PASSWORD), ("new", "a very secret text")];
    let page = fixture.send("00", &entered).await;
    assert!(!page.text.contains("id=\"kept\""), "{}", page.text);
    assert!(!page.text.contains("a very secret text"), "{}", page.text);
}

async fn a_form_is_kept_when_its_role_was_removed(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    make_person(&fixture.admin, TENANT, "viewer", "viewer").await;
    fixture.browser = Browser::signed_in(&fixture.app, "viewer", PASSWORD).await;
    fixture.browser.headers = vec![("accept-language".to_owned(), "zh".to_owned())];
    let token = fixture.browser.get("/console/help").await.token();
    let page = fixture.send(&token, &ENTERED).await;
    assert_eq!(page.status, 403, "{}", page.text);
    assert_has(&page, &["您的输入", "com.example.two"]);
}

async fn a_form_is_sent_again_when_the_database_answers(database: TestDatabase) {
    // The connection that the catalog syncs over stays open.
    let app = TestApp::start_with(database, |config| config.poll_interval_ms = 60_000).await;
    app.tenant_admin(TENANT).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let page = browser.get("/console/help").await;
    app.running.context.db().clone().close().await.unwrap();
    let mut fields = vec![("csrf_token".to_owned(), page.token())];
    fields.extend(owned(&ENTERED));
    let path = format!("/console/tenants/{TENANT}/apps");
    for _ in 0..2 {
        let headers = [("origin", app.url.as_str())];
        let page = browser.send(Method::POST, &path, &fields, &headers).await;
        assert_eq!(page.status, 503, "{}", page.text);
        assert_has(&page, &["In the memory of this node", "Send again"]);
        let (action, kept) = kept_form(&page);
        assert_eq!(action, path);
        fields.sort_unstable();
        assert_eq!(sorted(kept), fields);
    }
}

fn sorted(mut fields: Vec<(String, String)>) -> Vec<(String, String)> {
    fields.sort_unstable();
    fields
}

on_both_databases!(
    a_form_is_sent_again_after_the_sign_in,
    a_form_of_an_earlier_session_is_kept,
    a_form_is_kept_without_its_passwords,
    a_form_is_kept_when_its_role_was_removed,
    a_form_is_sent_again_when_the_database_answers,
);
