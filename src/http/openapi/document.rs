//! Access to the parts of a serialized API description.

use serde_json::{Map, Value};

/// Methods of an operation, as they are named in a path item.
pub(super) const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Operation with its method and path.
pub(super) struct OperationRef<'a> {
    pub(super) method: &'static str,
    pub(super) path: &'a str,
    pub(super) object: &'a mut Map<String, Value>,
}

/// Calls a function with each operation.
pub(super) fn for_each_operation(document: &mut Value, mut act: impl FnMut(OperationRef<'_>)) {
    let paths = document["paths"].as_object_mut();
    for (path, item) in paths.into_iter().flatten() {
        for method in METHODS {
            if let Some(object) = item.get_mut(method).and_then(Value::as_object_mut) {
                act(OperationRef { method, path, object });
            }
        }
    }
}

/// Calls a function with each object of the document.
pub(super) fn for_each_object(value: &mut Value, act: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            act(members);
            members
                .values_mut()
                .for_each(|member| for_each_object(member, act));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| for_each_object(item, act)),
        _ => {}
    }
}

/// Returns the schema that a reference names, or the schema itself.
pub(super) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let pointer = schema["$ref"].as_str().and_then(|text| text.strip_prefix('#'));
    pointer
        .and_then(|pointer| document.pointer(pointer))
        .unwrap_or(schema)
}

/// Returns true if the schema has this type, alone or among others.
pub(super) fn has_type(schema: &Map<String, Value>, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(own)) => own == name,
        Some(Value::Array(all)) => all.iter().any(|own| own == name),
        _ => false,
    }
}

/// Returns the example that a schema or a parameter states.
pub(super) fn stated_example(object: &Value) -> Option<&Value> {
    object.get("example").or_else(|| object.get("examples")?.get(0))
}
