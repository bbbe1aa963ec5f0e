//! Complete state of a tenant, to show that a request changed nothing.

use serde_json::{Map, Value, json};

use super::harness::Caller;

/// Reads everything of a tenant that the API shows, including the audit. `reader` is a platform administrator, or an
/// administrator of the tenant, who may not read the tenant itself.
pub(crate) async fn dump(reader: &Caller, tenant: i64) -> Value {
    let base = format!("/api/v1/tenants/{tenant}");
    let mut all = Map::new();
    for list in [
        "users",
        "app-keys",
        "device-keys",
        "api-tokens",
        "pins",
        "apps",
        "devices",
        "pushes",
        "audit",
    ] {
        all.insert(
            list.to_owned(),
            json!(items(reader, &format!("{base}/{list}")).await),
        );
    }
    let directory = reader.get(&format!("{base}/org-directory")).await.expect(200);
    all.insert("org-directory".to_owned(), directory);
    all.insert("tenant".to_owned(), reader.get(&base).await.body);
    for app in all["apps"].clone().as_array().unwrap() {
        let path = format!("{base}/apps/{}", app["package_name"].as_str().unwrap());
        for list in ["releases", "resources"] {
            let path = format!("{path}/{list}");
            all.insert(path.clone(), json!(items(reader, &path).await));
        }
    }
    Value::Object(all)
}

/// Reads a list from its first page to its last.
pub(crate) async fn items(reader: &Caller, path: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut page = format!("{path}?limit=200");
    loop {
        let answer = reader.get(&page).await.expect(200);
        items.extend(
            answer["items"]
                .as_array()
                .unwrap()
                .iter()
                .cloned()
                .map(|mut item| {
                    // These are updated in the background after a call.
                    if let Some(fields) = item.as_object_mut() {
                        fields.remove("last_used_on");
                    }
                    item
                }),
        );
        match answer["next_cursor"].as_str() {
            Some(cursor) => page = format!("{path}?limit=200&cursor={cursor}"),
            None => return items,
        }
    }
}
