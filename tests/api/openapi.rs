//! The API's description: committed, served, complete; and answers at unknown paths.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::described_operations::{described, document, with_descriptions};
use super::harness::{TENANT, TestApp};
use super::operations::{Objects, call, operations};
use slipway_test_support::database::TestDatabase;

const ASYNC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/slipway-async.json");
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/slipway.json");

/// First words of summaries: the usual verbs, and those of a life cycle.
const VERBS: [&str; 27] = [
    "Acknowledge",
    "Change",
    "Check",
    "Create",
    "Delete",
    "Discard",
    "Download",
    "Enrol",
    "Explain",
    "Get",
    "Import",
    "List",
    "Log",
    "Pause",
    "Poll",
    "Publish",
    "Recall",
    "Receive",
    "Refresh",
    "Replace",
    "Resume",
    "Revoke",
    "Rotate",
    "Set",
    "Update",
    "Upload",
    "Withdraw",
];

async fn app() -> TestApp {
    TestApp::start(TestDatabase::sqlite().await).await
}

#[test]
fn the_committed_description_is_the_one_of_the_code() {
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    let generated = format!("{:#}", slipway::http::openapi());
    assert!(
        committed.trim_end() == generated,
        "openapi/slipway.json is stale; run `cargo run -- openapi > openapi/slipway.json`"
    );
}

#[test]
fn every_operation_is_described() {
    let mut seen = BTreeMap::new();
    for operation in described() {
        let place = format!("{} {}", operation.method, operation.path);
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        assert!(
            !operation.id.is_empty() && operation.id.bytes().all(is_word),
            "{place}: {}",
            operation.id
        );
        if let Some(other) = seen.insert(operation.id.clone(), place.clone()) {
            panic!("{place} and {other} have the same operationId");
        }
        let object = &operation.object;
        assert_eq!(
            object["tags"].as_array().map_or(0, Vec::len),
            1,
            "{place} has one tag"
        );
        let summary = object["summary"].as_str().unwrap_or_default();
        let verb = summary.split(' ').next().unwrap_or_default();
        assert!(VERBS.contains(&verb), "{place}: {summary}");
        assert!(
            !summary.ends_with('.') && summary.chars().count() <= 60,
            "{place}: {summary}"
        );
        let responses = object["responses"].as_object().unwrap();
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{place} has no success"
        );
    }
}

#[test]
fn every_tag_is_explained() {
    let document = document();
    let explained: Vec<_> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| &tag["name"])
        .collect();
    for operation in described() {
        let tag = &operation.object["tags"][0];
        assert!(
            explained.contains(&tag),
            "{tag} of {} is not explained",
            operation.id
        );
    }
}

/// Some generators use one namespace for the values of all enums, or for the schemas and the responses of operations.
#[test]
fn names_that_generators_put_into_one_namespace_are_unique() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut names: Vec<String> = schemas.keys().cloned().collect();
    for operation in described() {
        let words = operation.id.split('_');
        let pascal: String = words.map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        names.push(format!("{pascal}Response"));
    }
    for (name, schema) in schemas.iter().filter(|(_, schema)| schema["enum"].is_array()) {
        let (values, variants) = (&schema["enum"], schema["x-enum-varnames"].as_array());
        let variants = variants.unwrap_or_else(|| panic!("the values of {name} have no names"));
        assert_eq!(values.as_array().unwrap().len(), variants.len(), "{name}");
        names.extend(
            variants
                .iter()
                .map(|variant| variant.as_str().unwrap().to_owned()),
        );
    }
    names.sort_unstable();
    let repeated = names.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(repeated, None);
}

/// Generators use the first media type, and several fail if a form comes later.
#[test]
fn a_form_is_the_first_media_type_of_its_body() {
    const FORM: &str = "multipart/form-data";
    let mut forms = 0;
    for operation in described() {
        let content = operation.object["requestBody"]["content"].as_object();
        let types: Vec<_> = content.into_iter().flatten().map(|(name, _)| name).collect();
        if types.iter().any(|name| *name == FORM) {
            assert_eq!(types[0], FORM, "{}", operation.id);
            forms += 1;
        }
    }
    assert!(forms > 0);
}

#[test]
fn every_operation_has_a_description_and_a_code_sample() {
    for operation in described() {
        let object = &operation.object;
        assert!(object["description"].is_string(), "{}", operation.id);
        let sample = object["x-codeSamples"][0]["source"].as_str().unwrap_or_default();
        assert!(sample.starts_with("curl "), "{}: {sample}", operation.id);
        assert!(!sample.contains("--data 'null'"), "{sample}");
        let address = sample.lines().next().unwrap_or_default();
        assert!(!address.contains("//") && !address.contains("/\""), "{sample}");
        assert!(
            !sample.contains(['{', '}']) || sample.contains("--data"),
            "{sample}"
        );
    }
}

/// The placeholder of a text without a sample value in `src/http/openapi/samples.rs` is "text".
#[test]
fn every_text_of_an_example_has_a_sample_value() {
    for operation in described() {
        let object = operation.object.to_string();
        assert!(
            !object.contains(":\"text\"") && !object.contains("[\"text\"]"),
            "{object}"
        );
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = Vec::new();
    collect_references(document, &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

/// The description of pushes refers to the schemas of the API's description.
#[test]
fn every_reference_of_the_async_description_leads_somewhere() {
    let own: Value = serde_json::from_str(&std::fs::read_to_string(ASYNC).unwrap()).unwrap();
    let document = document();
    assert_eq!(own["info"]["version"], document["info"]["version"]);
    let mut references = Vec::new();
    collect_references(&own, &mut references);
    assert!(references.len() > 10);
    for reference in references {
        let found = match reference.strip_prefix("./slipway.json#") {
            Some(pointer) => document.pointer(pointer),
            None => own.pointer(reference.strip_prefix('#').unwrap()),
        };
        assert!(found.is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn the_placeholders_of_a_path_are_its_path_parameters() {
    for operation in described() {
        let mut placeholders: Vec<_> = operation
            .path
            .split('/')
            .filter_map(|piece| piece.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        let parameters = operation.object["parameters"].as_array();
        let mut parameters: Vec<_> = parameters
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        placeholders.sort_unstable();
        parameters.sort_unstable();
        assert_eq!(parameters, placeholders, "{}", operation.id);
    }
}

/// A protected operation names its credential, and a public operation states that it needs none.
#[tokio::test(flavor = "multi_thread")]
async fn what_answers_401_has_a_security_requirement_and_nothing_else_has() {
    let document = document();
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    let app = app().await;
    let objects = objects(&app).await;
    for (operation, described) in with_descriptions(operations(&objects)) {
        let own = &described.object["security"];
        let demanded = if own.is_null() { &document["security"] } else { own };
        let is_open = demanded
            .as_array()
            .unwrap()
            .iter()
            .all(|demand| *demand == json!({}));
        let answer = call(&app.anyone(), &operation).await;
        assert_eq!(is_open, answer.status != 401, "{} says {demanded}", operation.id);
        if !is_open {
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{}", operation.id);
            assert!(
                !described.object["responses"]["401"].is_null(),
                "{}",
                operation.id
            );
        }
        for demand in demanded.as_array().unwrap() {
            let known = demand
                .as_object()
                .unwrap()
                .keys()
                .all(|scheme| schemes.contains_key(scheme));
            assert!(known, "{}: {demand}", operation.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_served() {
    let answer = app().await.anyone().get("/openapi.json").await;
    assert!(answer.header("content-type").starts_with("application/json"));
    assert_eq!(answer.expect(200), *document());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_is_served_from_the_program_itself() {
    let app = app().await;
    let page = app.anyone().get("/docs/").await;
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(page.status, 200);
    let linked = links(&page.text);
    assert!(linked.len() > 2, "{}", page.text);
    for link in linked {
        assert!(
            !link.contains("://") && !link.starts_with("//"),
            "{link} is of another server"
        );
        let part = app
            .anyone()
            .get(&format!("/docs/{}", link.trim_start_matches("./")))
            .await;
        assert_eq!(part.status, 200, "{link}");
    }
    // The address without the slash redirects to it.
    assert_eq!(app.anyone().get("/docs").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_answered_where_get_is() {
    let app = app().await;
    let platform = app.platform_admin().await;
    let objects = objects(&app).await;
    let described = operations(&objects)
        .into_iter()
        .filter(|operation| operation.method == Method::GET);
    let paths = described.map(|operation| operation.path);
    for path in paths.chain(["/openapi.json".to_owned(), "/docs/".to_owned()]) {
        let head = platform.send(platform.request(Method::HEAD, &path)).await;
        let get = platform.get(&path).await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(head.header("etag"), get.header("etag"), "{path}");
        assert_eq!(head.text, "", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_is_told_the_right_ones() {
    let app = app().await;
    let objects = objects(&app).await;
    let by_shape = methods_by_path();
    for (operation, described) in with_descriptions(operations(&objects)) {
        let right = &by_shape[&described.path];
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            if right.contains(&method) {
                continue;
            }
            let context = format!("{method} {}", operation.path);
            let caller = app.anyone();
            let answer = caller.send(caller.request(method, &operation.path)).await;
            assert_eq!(answer.status, 405, "{context}: {}", answer.text);
            let mut allow: Vec<_> = answer.header("allow").split(", ").map(str::to_owned).collect();
            let mut expected: Vec<_> = right.iter().map(ToString::to_string).collect();
            if right.contains(&Method::GET) {
                expected.push("HEAD".to_owned());
            }
            allow.sort_unstable();
            expected.sort_unstable();
            assert_eq!(allow, expected, "{context}");
            answer.problem(405, "method_not_allowed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_and_the_documentation_are_there_to_be_read_alone() {
    let app = app().await;
    for path in ["/openapi.json", "/docs/"] {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let caller = app.anyone();
            let answer = caller.send(caller.request(method, path)).await;
            assert_eq!(answer.header("allow"), "GET, HEAD", "{path}");
            answer.problem(405, "method_not_allowed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_a_problem_like_any_other() {
    let app = app().await;
    let unknown = [
        "/nothing",
        "/api",
        "/api/v1",
        "/api/v1/nothing",
        "/v1/nothing",
        "/v2/check",
    ];
    for path in unknown {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let caller = app.anyone();
            let answer = caller.send(caller.request(method, path)).await;
            assert!(!answer.header("x-request-id").is_empty());
            answer.problem(404, "not_found");
        }
    }
}

async fn objects(app: &TestApp) -> Objects {
    let admin = app.tenant_admin(TENANT).await;
    Objects::make(app, &admin, TENANT, 1).await
}

fn methods_by_path() -> BTreeMap<String, Vec<Method>> {
    let mut methods: BTreeMap<String, Vec<Method>> = BTreeMap::new();
    for operation in described() {
        methods.entry(operation.path).or_default().push(operation.method);
    }
    methods
}

fn collect_references(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            for member in members.values() {
                collect_references(member, references);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, references)),
        _ => {}
    }
}

/// Returns the resources that a page loads.
fn links(html: &str) -> Vec<String> {
    let of = |attribute: &str| -> Vec<String> {
        let pieces = html.split(attribute).skip(1);
        pieces
            .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
            .collect()
    };
    [of("src=\""), of("href=\"")].concat()
}
