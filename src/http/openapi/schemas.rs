//! Completion of the schemas: pages, free objects, names of enum values, optional bodies, and forms.

use serde_json::{Map, Value, json};

use super::document::{for_each_object, for_each_operation, has_type, resolve};
use slipway_domain::catalog::release_content::ReleaseChanges;

/// Name that the library gives to the schema of a page, before the name of its items.
const PAGE_PREFIX: &str = "PageResponse_";

/// Completes the schemas of the document.
pub(super) fn complete(document: &mut Value) {
    require_release_fields(document);
    name_pages(document);
    for_each_object(document, &mut open_free_object);
    name_enum_values(document);
    make_bodies_optional(document);
    put_forms_first(document);
}

/// Adds the fields that a new release requires. They are optional in an update, which has the same list of fields.
fn require_release_fields(document: &mut Value) {
    let missing = ReleaseChanges::default().into_new().err().unwrap_or_default();
    let required = &mut document["components"]["schemas"]["CreateReleaseRequest"]["required"];
    if let Value::Array(required) = required {
        required.extend(missing.into_iter().map(|error| Value::from(error.field)));
    }
}

/// Names the schemas of pages after their items, and refers to the items instead of repeating them.
fn name_pages(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else {
        return;
    };
    let named = std::mem::take(schemas).into_iter().map(|(name, mut schema)| {
        let Some(item) = name.strip_prefix(PAGE_PREFIX) else {
            return (name, schema);
        };
        schema["properties"]["items"]["items"] = json!({"$ref": format!("#/components/schemas/{item}")});
        (page_name(item), schema)
    });
    *schemas = named.collect();
    for_each_object(document, &mut |object| {
        let Some(Value::String(reference)) = object.get_mut("$ref") else {
            return;
        };
        if let Some((place, item)) = reference.split_once(PAGE_PREFIX) {
            *reference = format!("{place}{}", page_name(item));
        }
    });
}

fn page_name(item: &str) -> String {
    format!("{}Page", item.strip_suffix("Response").unwrap_or(item))
}

/// States that an object without listed properties may have any. Generators take it for an empty object otherwise.
fn open_free_object(object: &mut Map<String, Value>) {
    let lists_members = object.contains_key("properties") || object.contains_key("additionalProperties");
    if has_type(object, "object") && !lists_members {
        object.insert("additionalProperties".to_owned(), Value::Bool(true));
    }
}

/// Names the values of each enum after its schema, because some languages have one namespace for the values of all. The
/// names follow the style guide of Protocol Buffers, which has the same reason.
fn name_enum_values(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object_mut();
    for (name, schema) in schemas.into_iter().flatten() {
        let Some(values) = schema.get("enum").and_then(Value::as_array) else {
            continue;
        };
        let names: Vec<_> = values
            .iter()
            .map(|value| variant_name(name, value.as_str().unwrap_or_default()))
            .collect();
        schema["x-enum-varnames"] = json!(names);
    }
}

/// Returns a name such as `RELEASE_STATE_DRAFT`.
fn variant_name(schema: &str, value: &str) -> String {
    let mut name = String::new();
    for (index, letter) in schema.char_indices() {
        if letter.is_ascii_uppercase() && index > 0 {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    let value = if value.is_empty() { "none" } else { value };
    name.push('_');
    name.extend(value.chars().map(|letter| match letter {
        letter if letter.is_ascii_alphanumeric() => letter.to_ascii_uppercase(),
        _ => '_',
    }));
    name
}

/// Marks a body as optional if its object requires no field: an empty body counts as `{}`.
fn make_bodies_optional(document: &mut Value) {
    let copy = document.clone();
    for_each_operation(document, |operation| {
        let Some(body) = operation.object.get_mut("requestBody") else {
            return;
        };
        let Some(json) = body["content"].get("application/json") else {
            return;
        };
        let schema = resolve(&copy, &json["schema"]);
        if schema["required"].as_array().is_none_or(Vec::is_empty) {
            body["required"] = Value::Bool(false);
        }
    });
}

/// Lists the form before the other media types of a body. `openapi-generator` makes its code for the first media type: if
/// a form comes later, the code refers to the form's schema, but the schema is left out.
fn put_forms_first(document: &mut Value) {
    const FORM: &str = "multipart/form-data";
    for_each_operation(document, |operation| {
        let body = operation.object.get_mut("requestBody");
        let content = body.and_then(|body| body["content"].as_object_mut());
        if let Some(content) = content
            && let Some(form) = content.shift_remove(FORM)
        {
            content.shift_insert(0, FORM.to_owned(), form);
        }
    });
}
