//! The next change of a release manager, chosen from the state of the tenant. It changes something and can be repeated
//! until it is acknowledged.

use reqwest::Method;
use serde_json::{Value, json};

use crate::resolve::case::list;

/// Equal in every tenant, so that any mix-up between tenants shows.
pub(super) const APPS: [&str; 2] = ["com.hema.pos", "com.hema.wms"];
pub(super) const STORES: [&str; 3] = ["8007", "8008", "8009"];
pub(super) const DEVICE_TYPES: [&str; 2] = ["10013", "10014"];
const DEVICES: u8 = 12;
/// Number of releases after which an app is retired and created again.
const MOST_RELEASES: usize = 12;
const REGIONS: [&str; 3] = ["HM-SH", "HM-BJ", "HM-HZ"];

/// Returns the identifiers of the app itself and its parts.
pub(super) fn identifiers(app: &str) -> [String; 3] {
    [app.to_owned(), format!("{app}.chuku"), format!("{app}.config")]
}

pub(super) fn old_name(app: &str) -> String {
    format!("{app}.old")
}

pub(super) fn device_id(rng: &mut fastrand::Rng) -> String {
    format!("PDA{}", rng.u8(..DEVICES))
}

/// A write, and the condition that must hold after it is acknowledged.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) method: Method,
    /// Path below the tenant.
    pub(super) path: String,
    pub(super) body: Value,
    pub(super) effect: Effect,
}

#[derive(Debug)]
pub(super) enum Effect {
    /// The object exists exactly once and has these fields.
    Holds(Object, Value),
    Gone(Object),
}

#[derive(Debug)]
pub(super) enum Object {
    App(String),
    Resource(String, String),
    /// Release by app, identifier and version code.
    Release(String, String, i64),
    /// Pin by app, identifier and device.
    Pin(String, String, String),
    /// The org directory, as `{"paths": …}`.
    Directory,
}

impl Write {
    pub(super) fn creates_a_release(&self) -> bool {
        self.path.ends_with("/releases")
    }
}

impl Effect {
    /// Describes the missing object or field in a state, if any.
    pub(super) fn missing_in(&self, case: &Value) -> Option<String> {
        match self {
            Self::Gone(object) => {
                let found = object.find(case);
                (!found.is_empty()).then(|| format!("{object:?} is still there"))
            }
            Self::Holds(object, fields) => {
                let found = object.find(case);
                let [only] = found.as_slice() else {
                    return Some(format!("{object:?} is there {} times", found.len()));
                };
                let fields = fields.as_object().expect("an object");
                let differing = fields
                    .iter()
                    .find(|(field, value)| only[field.as_str()] != **value);
                differing.map(|(field, value)| {
                    format!("{object:?} has {field} {}, not {value}", only[field.as_str()])
                })
            }
        }
    }
}

impl Object {
    fn find(&self, case: &Value) -> Vec<Value> {
        let app = |name: &str| {
            list(&case["apps"])
                .iter()
                .filter(|app| app["package_name"] == name)
                .cloned()
                .collect()
        };
        let in_app = |name: &str, what: &str, is_it: &dyn Fn(&Value) -> bool| {
            let apps: Vec<Value> = app(name);
            let objects = apps.iter().flat_map(|app| list(&app[what]));
            objects.filter(|object| is_it(object)).cloned().collect()
        };
        match self {
            Self::App(name) => app(name),
            Self::Resource(name, identifier) => in_app(name, "resources", &|resource| {
                resource["identifier"] == **identifier
            }),
            Self::Release(name, identifier, version) => in_app(name, "releases", &|release| {
                release["identifier"] == **identifier && release["version_code"] == *version
            }),
            Self::Pin(name, identifier, device) => in_app(name, "pins", &|pin| {
                pin["identifier"] == **identifier && pin["device_id"] == **device
            }),
            Self::Directory => vec![json!({"paths": case["org_directory"]})],
        }
    }
}

/// Returns the next write of a tenant.
pub(super) fn next(case: &Value, rng: &mut fastrand::Rng) -> Write {
    if rng.u8(..12) == 0 {
        return directory(case, rng);
    }
    let name = APPS[rng.usize(..APPS.len())];
    let Some(app) = list(&case["apps"]).iter().find(|app| app["package_name"] == name) else {
        return create_app(name);
    };
    let releases = list(&app["releases"]);
    if releases.len() >= MOST_RELEASES {
        return retire(app);
    }
    let release = (!releases.is_empty()).then(|| &releases[rng.usize(..releases.len())]);
    match (rng.u8(..12), release) {
        (0, _) => rename(app, rng),
        (1, Some(release)) => resource_settings(app, release),
        (2..=4, Some(release)) => pin(app, release, rng),
        (5 | 6, Some(release)) => rollout(app, release, rng),
        (7 | 8, Some(release)) => step(app, release, rng),
        _ => publish(app, rng),
    }
}

fn directory(case: &Value, rng: &mut fastrand::Rng) -> Write {
    // Regions differ between tenants and change over time.
    let paths = loop {
        let path = |store: &&str| json!(["HM", REGIONS[rng.usize(..REGIONS.len())], store]);
        let paths = json!(STORES.iter().map(path).collect::<Vec<_>>());
        if case["org_directory"] != paths {
            break paths;
        }
    };
    let nodes: Vec<_> = list(&paths).iter().map(|path| json!({"path": path})).collect();
    Write {
        method: Method::PUT,
        path: "/org-directory".to_owned(),
        body: json!({"nodes": nodes}),
        effect: Effect::Holds(Object::Directory, json!({"paths": paths})),
    }
}

fn create_app(name: &str) -> Write {
    Write {
        method: Method::POST,
        path: "/apps".to_owned(),
        body: json!({"package_name": name, "app_name": "An app", "old_package_names": [old_name(name)]}),
        effect: Effect::Holds(Object::App(name.to_owned()), json!({"app_name": "An app"})),
    }
}

/// Recalls published and paused releases one by one, and then deletes the app.
fn retire(app: &Value) -> Write {
    let is_alive = |release: &&Value| release["state"] == "published" || release["state"] == "paused";
    match list(&app["releases"]).iter().find(is_alive) {
        Some(release) => recall(app, release, "stop"),
        None => Write {
            method: Method::DELETE,
            path: format!("/apps/{}", name(app)),
            body: Value::Null,
            effect: Effect::Gone(Object::App(name(app))),
        },
    }
}

fn rename(app: &Value, rng: &mut fastrand::Rng) -> Write {
    let fields = json!({"app_name": format!("App {}", rng.u32(..)), "enabled": rng.u8(..4) > 0});
    Write {
        method: Method::PATCH,
        path: format!("/apps/{}", name(app)),
        body: fields.clone(),
        effect: Effect::Holds(Object::App(name(app)), fields),
    }
}

fn resource_settings(app: &Value, release: &Value) -> Write {
    let identifier = text(&release["identifier"]);
    let resource = list(&app["resources"])
        .iter()
        .find(|resource| resource["identifier"] == identifier);
    let enabled = resource.expect("each release has its resource")["enabled"] == json!(false);
    let fields = json!({"enabled": enabled, "repair_on_mismatch": enabled});
    Write {
        method: Method::PATCH,
        path: format!("/apps/{}/resources/{identifier}", name(app)),
        body: fields.clone(),
        effect: Effect::Holds(Object::Resource(name(app), identifier), fields),
    }
}

fn pin(app: &Value, release: &Value, rng: &mut fastrand::Rng) -> Write {
    let (device, identifier) = (device_id(rng), text(&release["identifier"]));
    let object = Object::Pin(name(app), identifier.clone(), device.clone());
    let there = list(&app["pins"])
        .iter()
        .find(|pin| pin["identifier"] == *identifier && pin["device_id"] == *device);
    if let Some(pin) = there {
        return Write {
            method: Method::DELETE,
            path: format!("/pins/{}", text(&pin["id"])),
            body: Value::Null,
            effect: Effect::Gone(object),
        };
    }
    let mut fields = match rng.u8(..3) {
        0 => json!({"mode": "hold"}),
        1 => json!({"mode": "exact", "version_code": release["version_code"]}),
        _ => json!({"mode": "ceiling", "version_code": release["version_code"]}),
    };
    let effect = Effect::Holds(object, fields.clone());
    fields["package_name"] = app["package_name"].clone();
    fields["identifier"] = json!(identifier);
    fields["device_id"] = json!(device);
    fields["reason"] = json!("a pin of the runner");
    Write {
        method: Method::PUT,
        path: "/pins".to_owned(),
        body: fields,
        effect,
    }
}

fn rollout(app: &Value, release: &Value, rng: &mut fastrand::Rng) -> Write {
    let unit = if rng.bool() { "device" } else { "l3" };
    let percent = loop {
        let percent = json!(rng.u8(..=10) * 10);
        if percent != release["rollout"]["percent"] {
            break percent;
        }
    };
    let mut after = release["rollout"].clone();
    after["percent"] = percent.clone();
    after["unit"] = json!(unit);
    Write {
        method: Method::PUT,
        path: format!("{}/rollout", path_of(app, release)),
        body: json!({"percent": percent, "unit": unit}),
        effect: Effect::Holds(object_of(app, release), json!({"rollout": after})),
    }
}

fn step(app: &Value, release: &Value, rng: &mut fastrand::Rng) -> Write {
    let verb = |verb: &str, state: &str| Write {
        method: Method::POST,
        path: format!("{}/{verb}", path_of(app, release)),
        body: Value::Null,
        effect: Effect::Holds(object_of(app, release), json!({"state": state})),
    };
    match (text(&release["state"]).as_str(), rng.u8(..3)) {
        ("published", 0 | 1) => verb("pause", "paused"),
        ("paused", 0 | 1) => verb("resume", "published"),
        ("recalled", _) if release["recall_mode"] == "stop" => recall(app, release, "removal"),
        ("recalled", _) if release["recall_mode"] == "removal" => {
            recall(app, release, mode_beside_removal(app, release))
        }
        ("recalled", _) => recall(app, release, "stop"),
        _ => recall(app, release, mode_beside_removal(app, release)),
    }
}

/// An app itself cannot be rolled back.
fn mode_beside_removal(app: &Value, release: &Value) -> &'static str {
    if app["package_name"] == release["identifier"] {
        "stop"
    } else {
        "rollback"
    }
}

fn recall(app: &Value, release: &Value, mode: &str) -> Write {
    Write {
        method: Method::POST,
        path: format!("{}/recall", path_of(app, release)),
        body: json!({"mode": mode, "reason": "a recall of the runner"}),
        effect: Effect::Holds(
            object_of(app, release),
            json!({"state": "recalled", "recall_mode": mode}),
        ),
    }
}

fn publish(app: &Value, rng: &mut fastrand::Rng) -> Write {
    let all = identifiers(&name(app));
    let identifier = all[rng.usize(..all.len())].clone();
    let newest = list(&app["releases"])
        .iter()
        .filter(|release| release["identifier"] == *identifier)
        .filter_map(|release| release["version_code"].as_i64())
        .max();
    let version = newest.unwrap_or(0) + rng.i64(1..4);
    let mut fields = json!({
        "identifier": identifier,
        "version_code": version,
        "version_name": format!("1.0.{version}"),
        "download_url": format!("https://files.example/{identifier}/{version}.bin"),
        "size": rng.i64(1..1_000_000),
        "md5": format!("{:032x}", rng.u128(..)),
        "mandatory": rng.u8(..5) == 0,
        "floor": rng.u8(..6) == 0,
        "auto_install": rng.bool(),
        "config_json": {"number": rng.u32(..)},
    });
    target(&mut fields, rng);
    let effect = json!({"state": "published", "md5": fields["md5"]});
    fields["publish"] = json!(true);
    Write {
        method: Method::POST,
        path: format!("/apps/{}/releases", name(app)),
        body: fields,
        effect: Effect::Holds(Object::Release(name(app), identifier, version), effect),
    }
}

fn target(fields: &mut Value, rng: &mut fastrand::Rng) {
    match rng.u8(..8) {
        0 => fields["org_scopes"] = json!([{"l2Code": REGIONS[0]}]),
        1 => {
            fields["org_exclusions"] = json!([{"l1Code": "HM", "l2Code": REGIONS[1]}, {"l3Code": STORES[0]}]);
        }
        2 => fields["device_types"] = json!([DEVICE_TYPES[0]]),
        3 => fields["host_version_min"] = json!(rng.i64(1..20)),
        4 => fields["attribute_rules"] = json!([{"name": "abi", "op": "eq", "value": "arm64-v8a"}]),
        5 => fields["rollout"] = json!({"percent": 50, "unit": "l3"}),
        6 => {
            fields["rollout"] = json!({"percent": rng.u8(..=100)});
            fields["device_ids"] = json!([device_id(rng), "somebody else"]);
        }
        _ => {}
    }
}

fn object_of(app: &Value, release: &Value) -> Object {
    let version = release["version_code"].as_i64().expect("a version is a number");
    Object::Release(name(app), text(&release["identifier"]), version)
}

fn path_of(app: &Value, release: &Value) -> String {
    format!("/apps/{}/releases/{}", name(app), text(&release["id"]))
}

fn name(app: &Value) -> String {
    text(&app["package_name"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
