//! Cases in the format of `check-cases.json`, converted to the resolver's input.

use chrono::{DateTime, Utc};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use slipway::http::{JSON, OFFER_ENCODERS};
use slipway_domain::catalog::app::{App, Resource, ResourceKind};
use slipway_domain::catalog::artifact::DownloadKey;
use slipway_domain::catalog::ids::{AppId, PinId, ReleaseId};
use slipway_domain::catalog::min_sdk::MinSdk;
use slipway_domain::catalog::org::{OrgCode, OrgDirectory};
use slipway_domain::catalog::pin::{Pin, PinMode, PinTarget};
use slipway_domain::catalog::release::{RecallMode, Release, ReleaseArtifact, ReleaseState};
use slipway_domain::catalog::release_content::{ReleaseContent, ReleaseFile};
use slipway_domain::catalog::rollout::{Rollout, RolloutUnit, Share};
use slipway_domain::catalog::targeting::Targeting;
use slipway_domain::catalog::text::{
    ConfigJson, DeviceId, FileName, Identifier, Md5, Name, PackageName, Reason, RolloutKey,
    UpdateDescription, Url, VersionName,
};
use slipway_domain::catalog::version::VersionCode;
use slipway_resolver::{Check, CheckContext, CheckFields, Offer, PublishedApp, RawField, decide, read_check};

/// State of one tenant, compiled.
pub(crate) struct CompiledCase {
    apps: Vec<PublishedApp>,
    directory: OrgDirectory,
    enabled: bool,
    offers_enabled: bool,
}

impl CompiledCase {
    pub(crate) fn new(case: &Value) -> Self {
        let paths: Vec<Vec<String>> = list(&case["org_directory"])
            .iter()
            .map(|path| texts(path).collect())
            .collect();
        Self {
            apps: list(&case["apps"]).iter().map(published_app).collect(),
            directory: OrgDirectory::new(paths.iter().map(Vec::as_slice)),
            enabled: case["tenant"]["enabled"] != json!(false),
            offers_enabled: case["tenant"]["offers_enabled"] != json!(false),
        }
    }

    /// Replaces each app with one that is read from a changed encoding. `change` changes the encoding. The error is the
    /// reason for refusing the app.
    pub(crate) fn with_changed_apps(mut self, change: impl Fn(&mut Value)) -> Result<Self, String> {
        for app in &mut self.apps {
            let mut written = serde_json::to_value(&*app).unwrap();
            change(&mut written);
            *app = serde_json::from_value(written).map_err(|error| error.to_string())?;
        }
        Ok(self)
    }

    /// Answers like a server, in the form of the cases' `expect` but with every field.
    pub(crate) fn check(&self, request: &Value, now: DateTime<Utc>, stale: bool) -> Value {
        let served = Served {
            enabled: self.enabled,
            offers_enabled: self.offers_enabled,
            directory: &self.directory,
            app: &|name| self.app(name),
        };
        answer(&served, request, now, stale)
    }

    pub(crate) fn app(&self, name: &str) -> Option<&PublishedApp> {
        self.apps
            .iter()
            .find(|published| published.every_name().any(|own| own.as_str() == name))
    }
}

/// State of one tenant in a server.
pub(crate) struct Served<'a> {
    pub(crate) enabled: bool,
    pub(crate) offers_enabled: bool,
    pub(crate) directory: &'a OrgDirectory,
    pub(crate) app: &'a dyn Fn(&str) -> Option<&'a PublishedApp>,
}

/// Answers like a server, in the form of the cases' `expect` but with every field.
pub(crate) fn answer(served: &Served<'_>, request: &Value, now: DateTime<Utc>, stale: bool) -> Value {
    let request = Request::new(request);
    let mut check = match request.read() {
        Ok(check) => check,
        Err(field) => return json!({"error": "invalid_parameter", "field": field}),
    };
    if !served.enabled {
        return json!({"error": "permission"});
    }
    check.complete_memberships(served.directory);
    let Some(app) = (served.app)(check.package_name) else {
        return json!({"offers": [], "msg_code": "APP_UNKNOWN"});
    };
    let context = CheckContext {
        now,
        stale,
        offers_enabled: served.offers_enabled,
    };
    let offers: Vec<_> = decide(app, &check, &context).iter().map(offer_json).collect();
    json!({"offers": offers, "msg_code": ""})
}

/// Fields of a request as JSON; a check borrows from them.
pub(crate) struct Request {
    raw: Vec<Box<RawValue>>,
    texts: Vec<Option<String>>,
}

impl Request {
    pub(crate) fn new(request: &Value) -> Self {
        let raw: Vec<_> = [
            "package_name",
            "version_code",
            "device_id",
            "device_type",
            "old_versions",
            "org_info",
            "attributes",
        ]
        .into_iter()
        .map(|field| serde_json::value::to_raw_value(&request[field]).unwrap())
        .collect();
        let texts = raw
            .iter()
            .map(|raw| serde_json::from_str(raw.get()).ok())
            .collect();
        Self { raw, texts }
    }

    /// Reads the check. The error is the first wrong field.
    pub(crate) fn read(&self) -> Result<Check<'_>, String> {
        let given = |index: usize| match &self.texts[index] {
            Some(text) => RawField::Text(text),
            None if self.raw[index].get() == "null" => RawField::Absent,
            None => RawField::Json(&self.raw[index]),
        };
        let fields = CheckFields {
            package_name: given(0),
            version_code: given(1),
            device_id: given(2),
            device_type: given(3),
            old_versions: given(4),
            org_info: given(5),
            attributes: given(6),
        };
        read_check(&fields).map_err(|errors| errors[0].field.clone())
    }
}

/// Converts an offer to JSON.
fn offer_json(offer: &Offer<'_>) -> Value {
    let mut json = Vec::new();
    JSON.write(offer, &mut json);
    serde_json::from_slice(&json).unwrap()
}

/// Returns a release's fields with the defaults of the format filled in, in the form of the admin API.
pub(crate) fn release_with_defaults(release: &Value) -> Value {
    let identifier = release["identifier"].as_str().unwrap();
    let version = release["version_code"].as_i64().unwrap();
    let mut full = json!({
        "version_name": format!("1.0.{version}"),
        "download_url": format!("https://cdn.example.com/{identifier}/{version}.bin"),
        "size": 1000 + version % 1000,
        "md5": md5_hex(&format!("{identifier}:{version}")),
    });
    for (field, value) in release.as_object().unwrap() {
        full[field] = value.clone();
    }
    full
}

fn md5_hex(text: &str) -> String {
    use md5::Digest;
    hex::encode(md5::Md5::digest(text))
}

pub(crate) fn app(json: &Value) -> App {
    App {
        id: slipway::random::id::<AppId>(),
        package_name: PackageName::parse(text(&json["package_name"])).unwrap(),
        app_name: Name::parse(text(&json["app_name"])).unwrap(),
        old_package_names: texts(&json["old_package_names"])
            .map(|name| PackageName::parse(name).unwrap())
            .collect(),
        icon_url: optional_url(&json["icon_url"]),
        enabled: json["enabled"] != json!(false),
    }
}

fn published_app(app: &Value) -> PublishedApp {
    let domain = self::app(app);
    let releases: Vec<_> = list(&app["releases"])
        .iter()
        .map(|json| release(&domain, json))
        .collect();
    let pins = list(&app["pins"]).iter().map(|json| pin(&domain, json)).collect();
    let mut resources: Vec<Resource> = Vec::new();
    for release in &releases {
        if resources
            .iter()
            .all(|resource| resource.identifier != release.identifier)
        {
            resources.push(resource(&domain, &release.identifier, app));
        }
    }
    PublishedApp::compile(&domain, resources, releases, pins, &OFFER_ENCODERS).unwrap()
}

pub(crate) fn resource(app: &App, identifier: &Identifier, json: &Value) -> Resource {
    let mut resource = Resource::first_seen(app, identifier.clone());
    let settings = list(&json["resources"])
        .iter()
        .find(|settings| settings["identifier"] == identifier.as_str());
    if let Some(settings) = settings {
        if let Some(kind) = settings["kind"].as_str() {
            resource.kind = ResourceKind::parse(kind).unwrap();
        }
        resource.enabled = settings["enabled"] != json!(false);
        resource.repair_on_mismatch = settings["repair_on_mismatch"] == json!(true);
    }
    resource
}

pub(crate) fn release(app: &App, json: &Value) -> Release {
    let json = release_with_defaults(json);
    let identifier = text(&json["identifier"]);
    let version_code = json["version_code"].as_i64().unwrap();
    let targeting: Targeting = serde_json::from_value(json!({
        "org_scopes": list(&json["org_scopes"]),
        "org_exclusions": list(&json["org_exclusions"]),
        "device_types": list(&json["device_types"]),
        "host_version_min": json["host_version_min"],
        "host_version_max": json["host_version_max"],
        "attribute_rules": list(&json["attribute_rules"]),
        "device_ids": list(&json["device_ids"]),
    }))
    .unwrap();
    Release {
        id: slipway::random::id::<ReleaseId>(),
        app_id: app.id,
        identifier: Identifier::parse(identifier).unwrap(),
        state: state(&json),
        content: ReleaseContent {
            version_code: VersionCode::of_release(version_code).unwrap(),
            version_name: VersionName::parse(text(&json["version_name"])).unwrap(),
            file: ReleaseFile {
                download_url: Some(Url::parse(text(&json["download_url"])).unwrap()),
                artifact: None,
                size: json["size"].as_i64().unwrap(),
                md5: Md5::parse(&text(&json["md5"])).unwrap(),
                sha256: None,
                min_sdk: json["min_sdk"]
                    .as_u64()
                    .and_then(|level| MinSdk::of_file(level.try_into().unwrap())),
            },
            update_desc: UpdateDescription::parse(text(&json["update_desc"])).unwrap(),
            auto_install: json["auto_install"] == json!(true),
            mandatory: json["mandatory"] == json!(true),
            floor: json["floor"] == json!(true),
            qrcode: optional_url(&json["qrcode"]),
            icon_url: optional_url(&json["icon_url"]),
            config_json: match &json["config_json"] {
                Value::Null => ConfigJson::empty(),
                value => ConfigJson::parse(&to_raw_value(value).unwrap()).unwrap(),
            },
            targeting,
            rollout: rollout(&json, version_code),
            starts_at: instant(&json["starts_at"]),
            ends_at: instant(&json["ends_at"]),
        },
        artifact: (json["file_damaged"] == json!(true)).then(damaged_artifact),
    }
}

fn damaged_artifact() -> ReleaseArtifact {
    ReleaseArtifact {
        key: DownloadKey::new([0; 16]),
        filename: FileName::parse("a.apk").unwrap(),
        is_damaged: true,
    }
}

pub(crate) fn state(json: &Value) -> ReleaseState {
    match json["state"].as_str().unwrap_or("published") {
        "draft" => ReleaseState::Draft,
        "published" => ReleaseState::Published,
        "paused" => ReleaseState::Paused,
        "discarded" => ReleaseState::Discarded,
        "recalled" => ReleaseState::Recalled(RecallMode::parse(&text(&json["recall_mode"])).unwrap()),
        other => panic!("unknown state {other}"),
    }
}

/// Builds a rollout. The default key of a release is its id, which a case does not contain; the reference uses this
/// text instead.
fn rollout(json: &Value, version_code: i64) -> Rollout {
    let rollout = &json["rollout"];
    let own_key = format!("{}@{version_code}", text(&json["identifier"]));
    Rollout {
        share: rollout["percent"]
            .as_number()
            .map_or(Share::EVERYBODY, |percent| Share::from_percent(percent).unwrap()),
        key: Some(RolloutKey::parse(rollout["key"].as_str().unwrap_or(&own_key)).unwrap()),
        unit: RolloutUnit::parse(rollout["unit"].as_str().unwrap_or("device")).unwrap(),
    }
}

pub(crate) fn pin(app: &App, json: &Value) -> Pin {
    let target = match json["device_id"].as_str() {
        Some(device) => PinTarget::Device(DeviceId::parse(device).unwrap()),
        None => PinTarget::OrgNode(
            texts(&json["org_path"])
                .map(|code| OrgCode::parse(&code).unwrap())
                .collect(),
        ),
    };
    let version = json["version_code"].as_i64();
    let version = version.map(|version| VersionCode::new(version).unwrap());
    Pin {
        id: slipway::random::id::<PinId>(),
        app_id: app.id,
        identifier: Identifier::parse(text(&json["identifier"])).unwrap(),
        target,
        mode: PinMode::parse(&text(&json["mode"]), version).unwrap(),
        reason: Reason::parse("a case").unwrap(),
        expires_at: instant(&json["expires_at"]),
    }
}

pub(crate) fn list(json: &Value) -> &[Value] {
    json.as_array().map_or(&[], Vec::as_slice)
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

fn texts(json: &Value) -> impl Iterator<Item = String> {
    list(json).iter().map(text)
}

fn optional_url(json: &Value) -> Option<Url> {
    json.as_str()
        .filter(|url| !url.is_empty())
        .map(|url| Url::parse(url).unwrap())
}

fn instant(json: &Value) -> Option<DateTime<Utc>> {
    json.as_str().map(|at| at.parse().unwrap())
}
