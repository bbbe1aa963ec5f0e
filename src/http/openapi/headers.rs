//! Headers of requests and responses.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use utoipa::IntoParams;

use super::document::{for_each_operation, resolve};

/// Precondition of a write.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header")]
pub(in crate::http) struct IfMatch {
    /// `ETag` of the object as it was read. If the object has changed since, the write is refused with 412. `*` requires
    /// that the object exists.
    #[param(
        rename = "If-Match",
        required = false,
        pattern = r#"^(\*|(W/)?"[^"]*"( *, *(W/)?"[^"]*")*)$"#,
        example = "\"2b1f0c7d9a3e4f56\""
    )]
    if_match: String,
}

/// Key of a request that may be sent again.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header")]
pub(in crate::http) struct IdempotencyKey {
    /// Key that identifies the request for 24 hours. A repeated request with the same key and body returns the first
    /// response and changes nothing.
    #[param(
        rename = "Idempotency-Key",
        required = false,
        min_length = 1,
        max_length = 255,
        example = "build-4711"
    )]
    idempotency_key: String,
}

/// Precondition of a read.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header")]
pub(in crate::http) struct IfNoneMatch {
    /// `ETag` of the last response. If it is still current, the response is 304 without a body.
    #[param(
        rename = "If-None-Match",
        required = false,
        example = "\"0f8e6b1c2d3a49587690a1b2c3d4e5f6\""
    )]
    if_none_match: String,
}

/// Headers of responses: the name among the components, the header, and its object.
fn response_headers() -> [(&'static str, &'static str, Value); 7] {
    let text = |description: &str, example: &str| json!({"description": description, "schema": {"type": "string", "example": example}});
    let number =
        |description: &str| json!({"description": description, "schema": {"type": "integer", "minimum": 0}});
    [
        (
            "RequestId",
            "X-Request-Id",
            text(
                "Id of the request in the server's log. A valid id in the request is returned as it is.",
                "018f6d2e5b7c",
            ),
        ),
        (
            "ETag",
            "ETag",
            text(
                "Entity tag of the object, for `If-Match`.",
                "\"2b1f0c7d9a3e4f56\"",
            ),
        ),
        (
            "Revision",
            "Slipway-Revision",
            text(
                "Catalog revision that the response was computed from, or that contains the write.",
                "4711.9c1d",
            ),
        ),
        (
            "IdempotencyReplayed",
            "Idempotency-Replayed",
            text(
                "`true` if the response repeats that of an earlier request.",
                "true",
            ),
        ),
        (
            "Stale",
            "Slipway-Stale",
            number("Seconds since a stale node last compared its catalog with the database."),
        ),
        (
            "PushesWaiting",
            "Slipway-Pushes-Waiting",
            number("Number of pushes that wait for the device."),
        ),
        (
            "TokenRenewal",
            "Slipway-Token-Renewal",
            text("`due` if the device should enrol again with its token.", "due"),
        ),
    ]
}

/// Adds the response headers, and moves the parameters of headers to the components.
pub(super) fn complete(document: &mut Value) {
    for (name, _, header) in response_headers() {
        document["components"]["headers"][name] = header;
    }
    let tagged = paths_with_entity_tags(document);
    let mut parameters = Map::new();
    for_each_operation(document, |operation| {
        let accepted = move_header_parameters(operation.object, &mut parameters);
        let mut sent = vec!["RequestId"];
        if accepted.contains("IdempotencyKey") {
            sent.push("IdempotencyReplayed");
        }
        let is_publication = operation.path.ends_with("/publish");
        if is_publication || (operation.method != "get" && !accepted.is_empty()) {
            sent.push("Revision");
        }
        let is_check = operation.path == "/v1/check";
        if is_check {
            sent.extend(["Revision", "Stale", "PushesWaiting", "TokenRenewal"]);
        }
        let is_create = operation.object["responses"].get("201").is_some();
        let has_entity_tag = is_check
            || accepted.contains("IfMatch")
            || accepted.contains("IfNoneMatch")
            || (operation.method == "get"
                && tagged.contains(operation.path)
                && !returns_page(operation.object))
            || (is_create && tagged.iter().any(|path| is_item_of(path, operation.path)));
        let responses = operation.object["responses"].as_object_mut();
        for (status, response) in responses.into_iter().flatten() {
            let has_content = response.get("content").is_some() || status == "304";
            if response.get("$ref").is_none() {
                let own = has_entity_tag && has_content;
                add_headers(response, sent.iter().copied().chain(own.then_some("ETag")));
            }
        }
    });
    document["components"]["parameters"] = Value::Object(parameters);
    let responses = document["components"]["responses"].as_object_mut();
    for response in responses.into_iter().flat_map(Map::values_mut) {
        add_headers(response, ["RequestId"]);
    }
}

/// Returns the paths with an operation that accepts `If-Match`.
fn paths_with_entity_tags(document: &mut Value) -> BTreeSet<String> {
    let copy = document.clone();
    let mut paths = BTreeSet::new();
    for_each_operation(document, |operation| {
        let parameters = operation.object.get("parameters").and_then(Value::as_array);
        let accepts = parameters
            .into_iter()
            .flatten()
            .any(|parameter| resolve(&copy, parameter)["name"] == "If-Match");
        if accepts {
            paths.insert(operation.path.to_owned());
        }
    });
    paths
}

/// Returns true if the operation returns a page of a list.
fn returns_page(operation: &Map<String, Value>) -> bool {
    let content = &operation["responses"]["200"]["content"]["application/json"];
    content["schema"]["$ref"]
        .as_str()
        .is_some_and(|name| name.ends_with("Page"))
}

/// Returns true if the path is a list's path and the id of one item.
fn is_item_of(path: &str, list: &str) -> bool {
    let rest = path.strip_prefix(list).and_then(|rest| rest.strip_prefix('/'));
    rest.is_some_and(|rest| rest.starts_with('{') && !rest.contains('/'))
}

/// Moves the parameters of headers to the components. Returns their names there.
fn move_header_parameters(
    operation: &mut Map<String, Value>,
    moved: &mut Map<String, Value>,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        if parameter["in"] == "header" {
            let name = parameter["name"].as_str().unwrap_or_default().replace('-', "");
            let reference = json!({"$ref": format!("#/components/parameters/{name}")});
            moved.insert(name.clone(), std::mem::replace(parameter, reference));
            names.insert(name);
        }
    }
    names
}

fn add_headers<'a>(response: &mut Value, names: impl IntoIterator<Item = &'a str>) {
    for (component, header, _) in names.into_iter().filter_map(header_of) {
        response["headers"][header] = json!({"$ref": format!("#/components/headers/{component}")});
    }
}

fn header_of(component: &str) -> Option<(&'static str, &'static str, Value)> {
    response_headers()
        .into_iter()
        .find(|(name, ..)| *name == component)
}
