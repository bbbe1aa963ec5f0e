//! Every field of every request body: absent, null and of another type. The server answers as the API's description
//! states.

use serde_json::{Value, json};

use super::described_operations::{Callers, document, resolve, with_descriptions};
use super::harness::{Answer, Caller, TENANT, TestApp};
use super::operations::{Objects, Operation, call, operations};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Fields that depend on others. A pin needs one target, and a version in the modes `exact` and `ceiling`. A rollout
/// change needs at least one field. A release needs these facts of its file unless an artifact supplies them.
const DEPENDENT: [(&str, &str); 7] = [
    ("create_release", "version_name"),
    ("create_release", "download_url"),
    ("create_release", "size"),
    ("create_release", "md5"),
    ("put_pin", "org_path"),
    ("put_pin", "version_code"),
    ("set_rollout", "percent"),
];

/// Field of a body: its pointer, its name in refusals, and its schema.
struct Field<'a> {
    pointer: String,
    name: String,
    schema: &'a Value,
    is_required: bool,
}

async fn each_field_is_required_and_nullable_as_described(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let objects = Objects::make(&app, &admin, TENANT, 1).await;
    let callers = Callers::of(&app, &admin, &objects).await;
    let document = document();
    let mut tried = 0;
    for (operation, described) in with_descriptions(operations(&objects)) {
        let caller = callers.of_operation(&described);
        let Some(body) = &operation.body else {
            continue;
        };
        let schema = &described.object["requestBody"]["content"]["application/json"]["schema"];
        let (fields, body) = fields_of(document, schema, body.clone());
        for field in &fields {
            tried += 1;
            try_field(document, caller, &operation, &body, field).await;
        }
    }
    assert!(tried > 100, "{tried}");
}

async fn an_empty_body_is_accepted_where_the_body_is_optional(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let objects = Objects::make(&app, &admin, TENANT, 1).await;
    let callers = Callers::of(&app, &admin, &objects).await;
    for (mut operation, described) in with_descriptions(operations(&objects)) {
        if operation.body.take().is_none() || operation.id == "set_rollout" {
            continue;
        }
        let is_required = described.object["requestBody"]["required"] == true;
        let answer = call(callers.of_operation(&described), &operation).await;
        let context = format!("{}: {}", operation.id, answer.text);
        assert_eq!(is_required, answer.status == 400, "{context}");
    }
}

async fn unknown_members_are_refused_where_the_schema_has_no_others(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let objects = Objects::make(&app, &admin, TENANT, 1).await;
    let callers = Callers::of(&app, &admin, &objects).await;
    let document = document();
    for (mut operation, described) in with_descriptions(operations(&objects)) {
        let Some(body) = &mut operation.body else {
            continue;
        };
        body["a_member_of_nothing"] = json!(1);
        let schema = &described.object["requestBody"]["content"]["application/json"]["schema"];
        let is_closed = resolve(document, schema)["additionalProperties"] == false;
        let answer = call(callers.of_operation(&described), &operation).await;
        let named = named_fields(&answer).contains(&"a_member_of_nothing".to_owned());
        assert_eq!(is_closed, named, "{}: {}", operation.id, answer.text);
    }
}

async fn try_field(
    document: &Value,
    caller: &Caller,
    operation: &Operation,
    body: &Value,
    field: &Field<'_>,
) {
    let is_dependent = DEPENDENT.contains(&(operation.id, field.name.as_str()));
    let send = async |value: Option<Value>| {
        let mut operation = operation.clone();
        let mut body = body.clone();
        set(&mut body, &field.pointer, value);
        operation.body = Some(body);
        call(caller, &operation).await
    };
    let context =
        |what: &str, answer: &Answer| format!("{} {what} {}: {}", operation.id, field.name, answer.text);

    let absent = send(None).await;
    let is_missed = named_fields(&absent).contains(&field.name);
    assert!(
        is_missed == field.is_required || is_dependent,
        "{}",
        context("without", &absent)
    );

    let null = send(Some(Value::Null)).await;
    let is_refused = is_named(&null, &field.name);
    assert!(
        is_refused != accepts(document, field.schema, "null") || is_dependent,
        "{}",
        context("with null for", &null)
    );

    for (kind, value) in [
        ("boolean", json!(true)),
        ("string", json!("x")),
        ("integer", json!(7)),
    ] {
        if accepts(document, field.schema, kind) {
            continue;
        }
        let wrong = send(Some(value)).await;
        assert!(is_named(&wrong, &field.name), "{}", context(kind, &wrong));
        break;
    }
}

/// Returns the fields that a 400 names.
fn named_fields(answer: &Answer) -> Vec<String> {
    let errors = answer.body["errors"].as_array();
    errors
        .into_iter()
        .flatten()
        .filter(|_| answer.status == 400)
        .map(|error| error["field"].as_str().unwrap().to_owned())
        .collect()
}

/// Returns true if the answer is a 400 that names the field, or the object or list that contains it.
fn is_named(answer: &Answer, name: &str) -> bool {
    named_fields(answer)
        .iter()
        .any(|named| name == named || (name.starts_with(named.as_str()) && !named.is_empty()))
}

/// Sets or removes the value at a pointer.
fn set(body: &mut Value, pointer: &str, value: Option<Value>) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let members = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
}

/// Returns true if the schema permits the type.
fn accepts(document: &Value, schema: &Value, kind: &str) -> bool {
    let schema = resolve(document, schema);
    if let Some(choices) = schema.get("oneOf").or_else(|| schema.get("anyOf")) {
        let choices = choices.as_array().unwrap();
        return choices.iter().any(|choice| accepts(document, choice, kind));
    }
    if let Some(refused) = schema.get("not") {
        return !accepts(document, refused, kind);
    }
    let is_own = |own: &Value| own == kind || (own == "number" && kind == "integer");
    match &schema["type"] {
        Value::Array(all) => all.iter().any(is_own),
        Value::Null => true,
        own => is_own(own),
    }
}

/// Returns the fields of a body, and the body with each of its optional objects added.
fn fields_of<'a>(document: &'a Value, schema: &'a Value, body: Value) -> (Vec<Field<'a>>, Value) {
    let (mut fields, mut body) = (Vec::new(), body);
    collect(document, schema, &mut body, ("", ""), &mut fields);
    (fields, body)
}

fn collect<'a>(
    document: &'a Value,
    schema: &'a Value,
    body: &mut Value,
    (pointer, prefix): (&str, &str),
    fields: &mut Vec<Field<'a>>,
) {
    let schema = resolve(document, schema);
    let properties = schema["properties"].as_object();
    for (name, property) in properties.into_iter().flatten() {
        let required = schema["required"].as_array();
        let field = Field {
            pointer: format!("{pointer}/{name}"),
            name: format!("{prefix}{name}"),
            schema: property,
            is_required: required.is_some_and(|all| all.contains(&json!(name))),
        };
        let (inner, own) = (field.name.clone(), field.pointer.clone());
        fields.push(field);
        let property = resolve(document, property);
        let item = resolve(document, &property["items"]);
        if property["properties"].is_object() {
            body[name].is_null().then(|| body[name] = json!({}));
            let place = (own.as_str(), format!("{inner}."));
            collect(document, property, &mut body[name], (place.0, &place.1), fields);
        } else if let Some(example) = item.get("properties").and_then(|_| item.get("example")) {
            body[name].is_null().then(|| body[name] = json!([example]));
            let place = (format!("{own}/0"), format!("{inner}[0]."));
            collect(document, item, &mut body[name][0], (&place.0, &place.1), fields);
        } else if item["properties"].is_object() && body[name].is_array() {
            let place = (format!("{own}/0"), format!("{inner}[0]."));
            collect(document, item, &mut body[name][0], (&place.0, &place.1), fields);
        }
    }
}

on_both_databases!(
    each_field_is_required_and_nullable_as_described,
    an_empty_body_is_accepted_where_the_body_is_optional,
    unknown_members_are_refused_where_the_schema_has_no_others,
);
