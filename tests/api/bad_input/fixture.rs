//! A server with one object of every kind, and the judge of its refusals.

use std::collections::BTreeSet;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::table::{ExpectedProblem, Operation, Row, cut};
use crate::api::harness::{Answer, Caller, TENANT, TestApp, app_fields, release_fields};
use slipway_test_support::database::TestDatabase;

pub(super) const APP: &str = "com.hema.wms";
pub(super) const OLD_NAME: &str = "com.hema.old";
pub(super) const RESOURCE: &str = "com.hema.wms.chuku";

/// A server with a tenant, an app with an old name, a resource with a published release and a draft, and a pin.
pub(super) struct Fixture {
    pub(super) app: TestApp,
    pub(super) platform: Caller,
    pub(super) admin: Caller,
    pub(super) device: Caller,
    /// Id of the published release.
    pub(super) published: String,
    pub(super) draft: String,
    pub(super) pin: String,
    failures: Vec<String>,
    refusals: usize,
}

pub(super) fn tenant(rest: &str) -> String {
    format!("/api/v1/tenants/{TENANT}{rest}")
}

pub(super) fn app_path(rest: &str) -> String {
    tenant(&format!("/apps/{APP}{rest}"))
}

impl Fixture {
    pub(super) async fn set(database: TestDatabase) -> Self {
        let app = TestApp::start(database).await;
        let platform = app.platform_admin().await;
        let admin = app.tenant_admin(TENANT).await;
        let device = app.device(&admin, TENANT).await;
        let mut fields = app_fields(APP);
        fields["old_package_names"] = json!([OLD_NAME]);
        admin.post(&tenant("/apps"), &fields).await.expect(201);
        let mut release = release_fields(RESOURCE, 240);
        release["publish"] = json!(true);
        let published = admin.post(&app_path("/releases"), &release).await.expect(201);
        let draft = release_fields(RESOURCE, 241);
        let draft = admin.post(&app_path("/releases"), &draft).await.expect(201);
        let pin = json!({"package_name": APP, "identifier": RESOURCE, "device_id": "PDA-held", "mode": "hold", "reason": "a test"});
        let pin = admin.put(&tenant("/pins"), &pin).await.expect(200);
        let id = |object: &Value| object["id"].as_str().unwrap().to_owned();
        Self {
            published: id(&published),
            draft: id(&draft),
            pin: id(&pin),
            app,
            platform,
            admin,
            device,
            failures: Vec::new(),
            refusals: 0,
        }
    }

    /// Sends every wrong body of an operation as this caller, and then the valid body, which must be answered with
    /// `accepted`. This shows that each wrong body is refused for its one error alone.
    pub(super) async fn try_operation(&mut self, caller: &Caller, operation: &Operation, accepted: u16) {
        self.try_rows(caller, operation, operation.rows()).await;
        let request = caller.request(operation.method.clone(), &operation.path);
        let answer = caller.send(request.json(&operation.valid)).await;
        let label = format!("{} {}", operation.method, operation.path);
        if answer.status != accepted {
            self.fail(
                &label,
                &format!("the valid body: {} {}", answer.status, answer.text),
            );
        }
    }

    /// Sends wrong bodies. Checks after every few that the audit has not grown.
    pub(super) async fn try_rows(&mut self, caller: &Caller, operation: &Operation, rows: Vec<Row>) {
        const LOOK_EVERY: usize = 25;
        let mut before = self.newest_event().await;
        let last = rows.len().saturating_sub(1);
        for (number, row) in rows.into_iter().enumerate() {
            let request = caller
                .request(operation.method.clone(), &operation.path)
                .header("content-type", "application/json")
                .body(row.body);
            let label = format!("{} {}: {}", operation.method, operation.path, row.label);
            self.expect_refusal(&label, caller, request, &row.expected).await;
            if number % LOOK_EVERY == 0 || number == last {
                let after = self.newest_event().await;
                if after != before {
                    self.fail(
                        &label,
                        &format!("this or one of the {LOOK_EVERY} before it was written"),
                    );
                }
                before = after;
            }
        }
    }

    /// Sends a request that must be refused with this problem.
    pub(super) async fn expect_refusal(
        &mut self,
        label: &str,
        caller: &Caller,
        request: RequestBuilder,
        expected: &ExpectedProblem,
    ) {
        let answer = caller.send(request).await;
        if let Err(why) = judge(&answer, expected) {
            self.fail(label, &why);
        }
        self.refusals += 1;
    }

    pub(super) fn fail(&mut self, label: &str, why: &str) {
        let why: String = why.chars().take(1_500).collect();
        self.failures.push(format!("{}\n    {why}", cut(label)));
    }

    /// Returns every list that the administrators of the tenant and of the platform can read.
    pub(super) async fn everything(&self) -> Vec<Value> {
        let mut lists = vec![self.platform.get("/api/v1/tenants?limit=200").await.expect(200)];
        for list in [
            "users",
            "app-keys",
            "device-keys",
            "api-tokens",
            "apps",
            "pins",
            "pushes",
            "audit",
        ] {
            lists.push(
                self.admin
                    .get(&tenant(&format!("/{list}?limit=200")))
                    .await
                    .expect(200),
            );
        }
        lists.push(self.admin.get(&tenant("/org-directory")).await.expect(200));
        lists.push(
            self.admin
                .get(&app_path("/resources?limit=200"))
                .await
                .expect(200),
        );
        lists.push(self.admin.get(&app_path("/releases?limit=200")).await.expect(200));
        // A refused request still counts as a use of its credential.
        let items = lists.iter_mut().filter_map(|list| list["items"].as_array_mut());
        for item in items.flatten().filter_map(Value::as_object_mut) {
            item.remove("last_used_on");
        }
        lists
    }

    /// Fails with all requests that were not refused as expected.
    pub(super) fn finish(self) {
        let Self {
            failures, refusals, ..
        } = self;
        assert!(
            failures.is_empty(),
            "{} of {refusals} were not refused as they should be:\n{}",
            failures.len(),
            failures.join("\n")
        );
    }

    async fn newest_event(&self) -> Value {
        let audit = self.admin.get(&tenant("/audit?limit=1")).await.expect(200);
        audit["items"][0]["id"].clone()
    }
}

/// Checks that an answer is the expected problem, in words that a caller understands.
pub(super) fn judge(answer: &Answer, expected: &ExpectedProblem) -> Result<(), String> {
    let whole = format!("{} {}", answer.status, answer.text);
    let must = |holds: bool, what: &str| {
        if holds {
            Ok(())
        } else {
            Err(format!("{what}: {whole}"))
        }
    };
    must(
        answer.status == expected.status,
        &format!("not {}", expected.status),
    )?;
    must(
        answer.header("content-type") == "application/problem+json",
        "no problem document",
    )?;
    let body = &answer.body;
    must(body["code"] == expected.code, &format!("not {}", expected.code))?;
    must(body["status"] == expected.status, "another status inside")?;
    must(
        is_plain(body["detail"].as_str().unwrap_or_default()),
        "the detail is not plain",
    )?;
    let mut named = BTreeSet::new();
    for error in body["errors"].as_array().ok_or("no errors")? {
        named.insert(error["field"].as_str().ok_or("no field")?.to_owned());
        must(
            is_plain(error["message"].as_str().unwrap_or_default()),
            "the message is not plain",
        )?;
        let known = ["required", "invalid", "unknown"];
        must(
            known.iter().any(|code| error["code"] == *code),
            "the error's code is unknown",
        )?;
    }
    let expected: BTreeSet<_> = expected.fields.iter().cloned().collect();
    must(named == expected, &format!("names {named:?}, not {expected:?}"))
}

/// Returns true if a text has a readable length and no terms of Rust.
fn is_plain(text: &str) -> bool {
    const JARGON: [&str; 22] = [
        "i8",
        "i16",
        "i32",
        "i64",
        "i128",
        "u8",
        "u16",
        "u32",
        "u64",
        "f32",
        "f64",
        "usize",
        "struct",
        "serde",
        "enum",
        "variant",
        "sequence",
        "tuple",
        "newtype",
        "visitor",
        "deserialize",
        "utf8error",
    ];
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    let is_jargon = |word: &str| {
        JARGON.contains(&word.to_lowercase().as_str())
            || word.ends_with("Request")
            || word.ends_with("Fields")
    };
    !text.trim().is_empty() && text.chars().count() <= 2_500 && !words.any(is_jargon)
}
