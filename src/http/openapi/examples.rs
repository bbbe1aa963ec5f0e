//! Examples of request and response bodies, composed from the schemas and the sample values of their fields.

use serde_json::{Map, Value, json};

use super::document::{for_each_operation, has_type, resolve, stated_example};
use super::samples::sample;

/// Adds an example to each JSON body.
pub(super) fn complete(document: &mut Value) {
    let copy = document.clone();
    for_each_operation(document, |operation| {
        if let Some(body) = operation.object.get_mut("requestBody") {
            add_example(&copy, body, Fields::OfRequest);
        }
        let responses = operation.object["responses"].as_object_mut();
        for response in responses.into_iter().flat_map(Map::values_mut) {
            add_example(&copy, response, Fields::All);
        }
    });
}

/// Fields that an example contains.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fields {
    All,
    /// The required fields, and the optional ones whose schema has an example.
    OfRequest,
}

fn add_example(document: &Value, body: &mut Value, fields: Fields) {
    let Some(content) = body
        .get_mut("content")
        .and_then(|content| content.get_mut("application/json"))
    else {
        return;
    };
    if content.get("example").is_none() && content.get("examples").is_none() {
        content["example"] = example_of(document, &content["schema"], fields);
    }
}

fn example_of(document: &Value, schema: &Value, fields: Fields) -> Value {
    if let Some(example) = stated_example(schema) {
        return example.clone();
    }
    let schema = resolve(document, schema);
    if let Some(example) = stated_example(schema) {
        return example.clone();
    }
    if let Some(Value::Array(values)) = schema.get("enum") {
        return values.first().cloned().unwrap_or_default();
    }
    if let Some(Value::Array(parts)) = schema.get("allOf") {
        let parts = parts.iter().map(|part| example_of(document, part, fields));
        return parts
            .filter_map(into_members)
            .flatten()
            .collect::<Map<_, _>>()
            .into();
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(Value::Array(choices)) = schema.get(choice) {
            let first = choices.iter().find(|choice| choice["type"] != "null");
            return first.map_or(Value::Null, |choice| example_of(document, choice, fields));
        }
    }
    schema
        .as_object()
        .map_or(Value::Null, |schema| plain_example(document, schema, fields))
}

fn into_members(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// Returns an example of a schema without choices.
fn plain_example(document: &Value, schema: &Map<String, Value>, fields: Fields) -> Value {
    if has_type(schema, "array") {
        let item = schema.get("items").map(|item| example_of(document, item, fields));
        return Value::Array(item.into_iter().collect());
    }
    if let Some(Value::Object(properties)) = schema.get("properties") {
        return object_example(document, schema, properties, fields);
    }
    if has_type(schema, "object") {
        return json!({});
    }
    if has_type(schema, "boolean") {
        return json!(true);
    }
    if has_type(schema, "integer") || has_type(schema, "number") {
        return schema.get("minimum").cloned().unwrap_or(json!(1));
    }
    match schema.get("format").and_then(Value::as_str) {
        Some("uuid") => json!("0190a6e4-5b7c-7a31-9d2e-3f4c5b6a7d80"),
        Some("date-time") => json!("2026-03-02T02:00:00Z"),
        Some("date") => json!("2026-03-02"),
        _ => json!("text"),
    }
}

fn object_example(
    document: &Value,
    schema: &Map<String, Value>,
    properties: &Map<String, Value>,
    fields: Fields,
) -> Value {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|own| own == name));
    let is_shown = |name: &str, schema: &Value| {
        fields == Fields::All || is_required(name) || stated_example(schema).is_some()
    };
    properties
        .iter()
        .filter(|(name, schema)| is_shown(name, schema))
        .map(|(name, schema)| (name.clone(), field_example(document, name, schema, fields)))
        .collect::<Map<_, _>>()
        .into()
}

fn field_example(document: &Value, name: &str, schema: &Value, fields: Fields) -> Value {
    if let Some(example) = stated_example(schema) {
        return example.clone();
    }
    match sample(name) {
        Some(value) if accepts(resolve(document, schema), &value) => value,
        _ => example_of(document, schema, fields),
    }
}

/// Returns true if the schema lists the type of the value. A field of the same name can have another type elsewhere.
fn accepts(schema: &Value, value: &Value) -> bool {
    let Some(schema) = schema.as_object() else {
        return false;
    };
    if let Some(Value::Array(values)) = schema.get("enum") {
        return values.contains(value);
    }
    if let Some(Value::Array(choices)) = schema.get("anyOf") {
        return choices.iter().any(|choice| accepts(choice, value));
    }
    let name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    has_type(schema, name)
}
