use std::collections::BTreeMap;

use reqwest::Client;
use serde_json::{Value, json};
use slipway::secrets::{Keyring, sealed_for_app_key};
use slipway::storage::credentials::app_keys::SealedSecret;
use slipway::storage::{credentials, tenants};
use slipway_domain::access::{AppKey, AppKeyRole, KeyFacts, TenantScope};
use slipway_domain::catalog::enrolment::EnrolmentPolicy;
use slipway_domain::catalog::ids::{KeyId, TenantId};
use slipway_domain::catalog::push::UrlSchemes;
use slipway_domain::catalog::tenant::Tenant;
use slipway_domain::catalog::text::Name;
use slipway_gateway::sign::{SignMethod, canonical_text};

use super::{Answer, Caller, NOW, TestApp, test_config};

use slipway_test_support::database::TestDatabase;

/// Name of the method of the check.
pub(crate) const CHECK: &str = "wdk.rexout.resource.list.check";

/// Name of the method of the push.
pub(crate) const PUSH: &str = "yunos.miniapp.offlinepkg.push";

/// A client of the gateway, like an SDK.
#[derive(Clone)]
pub(crate) struct TopClient {
    pub(crate) url: String,
    pub(crate) http: Client,
    pub(crate) app_key: String,
    pub(crate) secret: String,
}

/// A call to be signed and sent.
#[derive(Clone)]
pub(crate) struct TopCall {
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) secret: String,
}

impl TestApp {
    /// Creates a key of this role as `admin`, and returns a gateway client of the tenant.
    pub(crate) async fn top_client(&self, admin: &Caller, tenant: i64, role: &str) -> TopClient {
        let path = format!("/api/v1/tenants/{tenant}/app-keys");
        let made = admin
            .post(&path, &json!({"name": "sdk", "role": role}))
            .await
            .expect(201);
        TopClient {
            url: format!("{}/router/rest", self.url),
            http: Client::new(),
            app_key: made["app_key"].as_str().unwrap().to_owned(),
            secret: made["app_secret"].as_str().unwrap().to_owned(),
        }
    }
}

impl TopClient {
    /// Builds a call of a method with these business parameters, at an instant in UTC+8.
    pub(crate) fn call(&self, method: &str, timestamp: &str, params: &[(&str, &str)]) -> TopCall {
        let public = [
            ("app_key", self.app_key.as_str()),
            ("method", method),
            ("timestamp", timestamp),
            ("v", "2.0"),
            ("sign_method", "hmac-sha256"),
            ("format", "json"),
        ];
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        TopCall {
            params: public.iter().chain(params).map(owned).collect(),
            secret: self.secret.clone(),
        }
    }

    /// Sends all parameters in the form of a POST.
    pub(crate) async fn send(&self, call: &TopCall) -> Answer {
        let request = self
            .http
            .post(&self.url)
            .header("content-type", "application/x-www-form-urlencoded");
        Answer::read(request.body(call.form()).send().await.unwrap()).await
    }

    /// Sends a batch with these public parameters. The signature covers the body.
    pub(crate) async fn send_batch(&self, query: &TopCall, body: &str, separator: Option<&str>) -> Answer {
        let query = form(&query.signed_with(body));
        let url = format!("{}?{query}", self.url.replace("/router/rest", "/router/batch"));
        let mut request = self
            .http
            .post(url)
            .header("content-type", "text/plain;charset=UTF-8")
            .body(body.to_owned());
        if let Some(separator) = separator {
            request = request.header("top-api-separator", separator);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    /// Sends all parameters in the query of a GET.
    pub(crate) async fn get(&self, call: &TopCall) -> Answer {
        let url = format!("{}?{}", self.url, call.form());
        Answer::read(self.http.get(url).send().await.unwrap()).await
    }
}

/// Stores a tenant with an operator's key of a given name and secret. The server would generate them.
pub(crate) async fn plant_app_key(database: &TestDatabase, tenant: i64, app_key: &str, secret: &str) {
    database.db.migrate().await.unwrap();
    let keyring = Keyring::parse(&test_config(&database.url).secret_key.unwrap()).unwrap();
    let tenant = Tenant {
        id: TenantId::parse(tenant).unwrap(),
        name: Name::parse("planted").unwrap(),
        enabled: true,
        offers_enabled: true,
        push_url_schemes: UrlSchemes::default(),
        enrolment: EnrolmentPolicy::Key,
        artifact_quota: slipway_domain::catalog::artifact::ArtifactQuota::default(),
    };
    let key = AppKey {
        facts: KeyFacts::default(),
        id: slipway::random::id::<KeyId>(),
        name: Name::parse("planted").unwrap(),
        role: AppKeyRole::Operator,
        app_key: app_key.to_owned(),
    };
    let sealed = keyring.seal(secret, &sealed_for_app_key(key.id)).unwrap();
    let secret = SealedSecret {
        text: sealed.sealed,
        sealing_key_id: sealed.key_id,
    };
    let now = NOW.parse().unwrap();
    let scope = TenantScope::internal(tenant.id);
    let tx = database.db.begin_catalog(scope).await.unwrap();
    tenants::insert(&tx, tenant, now).await.unwrap();
    credentials::insert(&tx, scope, key, secret, now).await.unwrap();
    tx.commit().await.unwrap();
}

impl TopCall {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.params.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.params.remove(name);
        self
    }

    /// Returns all parameters with the signature over them and the body of a batch, unless a signature was given.
    pub(crate) fn signed_with(&self, body: &str) -> BTreeMap<String, String> {
        let mut signed = self.params.clone();
        if !signed.contains_key("sign") {
            let set = signed.iter();
            let set = set.map(|(name, value)| (name.as_str(), value.as_str()));
            let text = canonical_text(&set.collect()) + body;
            let name = signed.get("sign_method").map_or("md5", String::as_str);
            let algorithm = SignMethod::parse(name).unwrap_or(SignMethod::Md5);
            signed.insert(
                "sign".to_owned(),
                hex::encode_upper(algorithm.sign(&self.secret, &text)),
            );
        }
        signed
    }

    /// Encodes the parameters as a form.
    pub(crate) fn form(&self) -> String {
        form(&self.signed_with(""))
    }
}

/// Encodes parameters as a form.
pub(crate) fn form(params: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = params
        .iter()
        .map(|(name, value)| format!("{}={}", percent(name), percent(value)))
        .collect();
    pairs.join("&")
}

/// Percent-encodes a text for a form.
pub(crate) fn percent(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Returns the fields of a check as texts, as a gateway's client sends them. Null fields are omitted.
pub(crate) fn as_texts(request: &Value) -> Vec<(String, String)> {
    let fields = request.as_object().unwrap().iter();
    fields
        .filter_map(|(name, value)| match value {
            Value::Null => None,
            Value::String(text) => Some((name.clone(), text.clone())),
            other => Some((name.clone(), other.to_string())),
        })
        .collect()
}

/// Converts an XML answer to the JSON that it represents. Every leaf is a text, and repeated `d_t_o` form a list.
pub(crate) fn xml_to_json(text: &str) -> Value {
    use quick_xml::Reader;
    use quick_xml::events::Event;

    let mut reader = Reader::from_str(text);
    let mut stack: Vec<(String, Value, String)> = vec![(String::new(), json!({}), String::new())];
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                let name = start.name().as_ref().to_owned();
                stack.push((name, json!({}), String::new()));
            }
            Event::Text(text) => stack.last_mut().unwrap().2.push_str(&text),
            Event::GeneralRef(reference) => {
                let c = match &*reference {
                    "lt" => "<",
                    "gt" => ">",
                    "amp" => "&",
                    "#13" => "\r",
                    other => panic!("the reference {other}"),
                };
                stack.last_mut().unwrap().2.push_str(c);
            }
            Event::End(_) => {
                let (name, children, text) = stack.pop().unwrap();
                let is_leaf = children.as_object().unwrap().is_empty();
                let value = if is_leaf { json!(text) } else { children };
                let parent = &mut stack.last_mut().unwrap().1;
                if name == "d_t_o" {
                    let list = parent.as_object_mut().unwrap().entry(name).or_insert(json!([]));
                    list.as_array_mut().unwrap().push(value);
                } else {
                    parent[&name] = value;
                }
            }
            Event::Eof => return stack.pop().unwrap().1,
            _ => {}
        }
    }
}
