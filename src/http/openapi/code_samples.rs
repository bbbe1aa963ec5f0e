//! Code samples: a command with curl for each operation.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::document::{OperationRef, for_each_operation, resolve, stated_example};

/// Adds a sample to each operation. The variable `SLIPWAY_URL` is the address of the server, and `TOKEN` the credential.
pub(super) fn complete(document: &mut Value) {
    let copy = document.clone();
    for_each_operation(document, |operation| {
        let source = command(&copy, &operation);
        let sample = json!([{"lang": "Shell", "label": "curl", "source": source}]);
        operation.object.insert("x-codeSamples".to_owned(), sample);
    });
}

fn command(document: &Value, operation: &OperationRef<'_>) -> String {
    let object = &*operation.object;
    let mut arguments = vec![format!("curl \"$SLIPWAY_URL{}\"", address(document, operation))];
    if operation.method != "get" {
        arguments.push(format!("--request {}", operation.method.to_ascii_uppercase()));
    }
    if needs_credential(object) {
        arguments.push("--header \"Authorization: Bearer $TOKEN\"".to_owned());
    }
    let content = object.get("requestBody").map(|body| &body["content"]);
    let has = |media_type: &str| content.is_some_and(|content| content.get(media_type).is_some());
    if has("application/octet-stream") {
        arguments.push("--upload-file wms-1.1.10.apk".to_owned());
    }
    if let Some(example) = content.and_then(|content| content.pointer("/application~1json/example")) {
        arguments.push("--header 'Content-Type: application/json'".to_owned());
        arguments.push(format!("--data '{}'", example.to_string().replace('\'', "'\\''")));
    }
    arguments.join(" \\\n  ")
}

/// Returns the path and query, filled with the examples of the parameters.
fn address(document: &Value, operation: &OperationRef<'_>) -> String {
    let mut path = operation.path.to_owned();
    let mut query = Vec::new();
    let parameters = operation.object.get("parameters").and_then(Value::as_array);
    for parameter in parameters.into_iter().flatten() {
        let parameter = resolve(document, parameter);
        let name = parameter["name"].as_str().unwrap_or_default();
        let value = example_of(parameter);
        match parameter["in"].as_str() {
            Some("path") => path = path.replace(&format!("{{{name}}}"), &value),
            Some("query") if parameter["required"] == true => query.push(format!("{name}={value}")),
            _ => {}
        }
    }
    if query.is_empty() {
        path
    } else {
        format!("{path}?{}", query.join("&"))
    }
}

/// Characters that are encoded in a path.
const ENCODED: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');

fn example_of(parameter: &Value) -> String {
    let example = stated_example(parameter).or_else(|| stated_example(&parameter["schema"]));
    let example = match example {
        Some(Value::String(text)) => text.clone(),
        other => other.map(ToString::to_string).unwrap_or_default(),
    };
    utf8_percent_encode(&example, ENCODED).to_string()
}

fn needs_credential(operation: &Map<String, Value>) -> bool {
    let demands = operation.get("security").and_then(Value::as_array);
    demands.is_none_or(|demands| demands.iter().any(|demand| *demand != json!({})))
}
