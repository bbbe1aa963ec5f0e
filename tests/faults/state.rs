//! Converts a tenant's rows to a case of the reference resolver, without code of the product.

use serde_json::{Map, Value, json};

use crate::resolve::case::list;

/// Returns the case of these rows, with the additional ids of releases and pins.
pub(super) fn case_of(rows: &str) -> Value {
    let rows: Value = serde_json::from_str(rows).expect("the database wrote it");
    let directory = rows["directory"].as_str().map_or(json!([]), parsed);
    let paths: Vec<_> = list(&directory).iter().map(|node| node["path"].clone()).collect();
    json!({
        "tenant": rows["tenant"],
        "org_directory": paths,
        "apps": list(&rows["apps"]).iter().map(|app| app_of(&rows, app)).collect::<Vec<_>>(),
    })
}

fn app_of(rows: &Value, app: &Value) -> Value {
    let own = |table: &str| {
        list(&rows[table])
            .iter()
            .filter(|row| row["app_id"] == app["id"])
            .cloned()
            .collect::<Vec<_>>()
    };
    let names = own("names");
    let old_names: Vec<_> = names
        .iter()
        .filter(|row| row["position"] != 0)
        .map(|row| row["name"].clone())
        .collect();
    json!({
        "package_name": app["package_name"],
        "app_name": app["app_name"],
        "icon_url": app["icon_url"],
        "enabled": app["enabled"],
        "old_package_names": old_names,
        "resources": own("resources"),
        "releases": own("releases").into_iter().map(release_of).collect::<Vec<_>>(),
        "pins": own("pins").into_iter().map(pin_of).collect::<Vec<_>>(),
    })
}

fn release_of(mut row: Value) -> Value {
    let hundredths = row["rollout_share"].as_i64().expect("a number");
    let percent = if hundredths % 100 == 0 {
        json!(hundredths / 100)
    } else {
        json!(f64::from(i32::try_from(hundredths).expect("at most 10000")) / 100.0)
    };
    // The default key of a release is its id.
    let key = row["rollout_key"]
        .as_str()
        .or(row["id"].as_str())
        .map(str::to_owned);
    row["rollout"] = json!({"percent": percent, "key": key, "unit": row["rollout_unit"]});
    row["config_json"] = text_of(&row, "config_json");
    let targeting = text_of(&row, "targeting");
    members(&mut row).extend(targeting.as_object().expect("an object").clone());
    row
}

fn pin_of(mut row: Value) -> Value {
    if row["org_path"].is_string() {
        row["org_path"] = text_of(&row, "org_path");
    }
    row
}

fn text_of(row: &Value, column: &str) -> Value {
    parsed(row[column].as_str().expect("a text"))
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("the column holds JSON")
}

fn members(row: &mut Value) -> &mut Map<String, Value> {
    row.as_object_mut().expect("a row is an object")
}
