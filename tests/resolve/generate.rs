//! Scenarios: the state of a tenant and a check on it, in the format of `check-cases.json`.
//!
//! Names, versions, codes and times are drawn from a handful of values, so that rules collide. The admin API would have
//! accepted every catalog. Requests are sometimes malformed.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use serde_json::{Map, Value, json};

use super::reference::release_md5;

const APP: &str = "com.hema.wms";
const OTHER_APP: &str = "com.hema.pos";
const UNKNOWN_APP: &str = "com.hema.pda";
const OLD_NAMES: [&str; 2] = ["com.hema.wms.old", "com.hema.wms.lite"];
/// The app itself, and resources that sort before and after it.
const IDENTIFIERS: [&str; 4] = [APP, "com.hema.wms.chuku", "com.hema.wms.Ruku", "com.alipay.scan"];
const HIGHEST_CODE: i64 = 12;

/// With the rollout key `edge`, the first six have the buckets 0, 1, 4999, 5000, 9998 and 9999.
const DEVICES: &str =
    "PDA00443 | PDA08351 | PDA00335 | PDA06926 | PDA25223 | PDA12956 | HM8007PDA001 | 门店-01";
const DEVICE_TYPES: &str = "10013 | 10021 | kiosk";

/// 8007, 8011 and HM-SH have two parents each, and 8007 is on two levels.
const ORG_PATHS: [&[&str]; 12] = [
    &["HM", "HM-SH", "8007"],
    &["HM", "HM-SH", "8011"],
    &["HM", "HM-BJ", "9001"],
    &["SKR", "SKR-HZ", "1203"],
    &["HM", "HM-BJ", "8007"],
    &["SKR", "HM-SH", "8011"],
    &["HM", "HM-SH", "8007", "冷链"],
    &["HM", "HM-SH", "8007", "F1", "T2"],
    &["SKR", "SKR-HZ", "1203", "F1"],
    &["HM", "HM-SH"],
    &["HM"],
    &["SKR", "8007"],
];

/// State of one tenant, and one check on it.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub case: Value,
    pub request: Value,
    pub now: DateTime<Utc>,
    pub stale: bool,
}

/// Generates a scenario.
pub(crate) fn scenario() -> impl Strategy<Value = Scenario> {
    let offsets = select(vec![0, 0, -1000, -999, 999, 1000]);
    let stale = select(vec![false, false, false, false, false, false, true]);
    (case(), wish(), offsets, stale).prop_map(|(case, wish, milliseconds, stale)| Scenario {
        request: request(&case, wish),
        case,
        now: noon() + TimeDelta::milliseconds(milliseconds),
        stale,
    })
}

/// Instant around which all times lie.
fn noon() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_772_416_800)
}

fn instant(seconds: i64) -> Value {
    let instant = noon() + TimeDelta::seconds(seconds);
    json!(instant.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// Splits a line like `a | b | c` into its choices.
fn choices(line: &'static str) -> Vec<&'static str> {
    line.split('|').map(str::trim).collect()
}

/// Returns the elements of a JSON array.
fn all(array: &Value) -> Vec<Value> {
    array.as_array().expect("an array").clone()
}

// ---------------------------------------------------------------------------------- the catalog

/// Some members of an object.
type Members = Map<String, Value>;

/// Generates one of several objects, or an empty one, which is `absent` times as likely as each of them.
fn some_of(absent: usize, objects: &Value) -> BoxedStrategy<Members> {
    let objects = all(objects)
        .into_iter()
        .map(|it| it.as_object().expect("an object").clone());
    let nothing = vec![Members::new(); absent];
    select(nothing.into_iter().chain(objects).collect::<Vec<_>>()).boxed()
}

/// Generates one member, present with a probability.
fn member(
    name: &'static str,
    probability: f64,
    value: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Members> {
    weighted(probability, value)
        .prop_map(move |value| value.map(|value| (name.to_owned(), value)).into_iter().collect())
        .boxed()
}

fn object(members: Vec<Members>) -> Value {
    Value::Object(members.into_iter().flatten().collect())
}

fn case() -> impl Strategy<Value = Value> {
    let switches = json!([
        {"offers_enabled": false},
        {"offers_enabled": true, "enabled": true},
        {"enabled": false},
    ]);
    let directory = subsequence(ORG_PATHS.to_vec(), 3..=ORG_PATHS.len());
    let apps = (app(), weighted(0.5, other_app()));
    (some_of(50, &switches), directory, apps).prop_map(|(tenant, directory, (app, other))| {
        let apps: Vec<Value> = std::iter::once(app).chain(other).collect();
        json!({"tenant": tenant, "org_directory": directory, "apps": apps})
    })
}

/// Generates another app of the tenant, with a resource of the same name and possibly a pin.
fn other_app() -> impl Strategy<Value = Value> {
    let pins = json!([
        {},
        {"pins": [{"identifier": IDENTIFIERS[3], "mode": "hold", "org_path": ["HM"]}]},
    ]);
    (1..=HIGHEST_CODE, some_of(1, &pins)).prop_map(|(version_code, mut app)| {
        let release = json!({"identifier": IDENTIFIERS[3], "version_code": version_code});
        app.insert("package_name".to_owned(), json!(OTHER_APP));
        app.insert("app_name".to_owned(), json!("Hema POS"));
        app.insert("releases".to_owned(), json!([release]));
        Value::Object(app)
    })
}

/// Unvalidated content of an app.
#[derive(Debug, Clone)]
struct AppDraft {
    members: Vec<Members>,
    settings: Vec<Vec<Members>>,
    releases: Vec<(&'static str, i64, Vec<Members>)>,
    pins: Vec<PinDraft>,
    kinds_were_set_later: bool,
}

#[derive(Debug, Clone)]
struct PinDraft {
    identifier: &'static str,
    members: Vec<Members>,
    mode: &'static str,
    bound: i64,
    existing: Index,
}

fn app() -> impl Strategy<Value = Value> {
    let old_names = json!([
        {"old_package_names": []},
        {"old_package_names": OLD_NAMES},
        {"old_package_names": [OLD_NAMES[1]]},
    ]);
    let icons = json!([{"icon_url": "https://cdn.example.com/app.png"}, {"icon_url": ""}]);
    let members = vec![
        some_of(3, &old_names),
        some_of(1, &icons),
        some_of(30, &json!([{"enabled": true}, {"enabled": false}])),
    ];
    let settings: Vec<_> = IDENTIFIERS.iter().map(|it| resource_settings(it)).collect();
    let releases = vec((identifier(), version_code(), release()), 3..16);
    let kinds_were_set_later = select(vec![false, false, false, false, true]);
    (
        members,
        settings,
        releases,
        vec(pin(), 0..5),
        kinds_were_set_later,
    )
        .prop_map(|(members, settings, releases, pins, kinds_were_set_later)| {
            build_app(AppDraft {
                members,
                settings,
                releases,
                pins,
                kinds_were_set_later,
            })
        })
}

/// Builds an app from a draft, without the parts that the admin API would have refused.
fn build_app(draft: AppDraft) -> Value {
    let mut releases: Vec<Value> = Vec::new();
    let mut versions: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut known = HashSet::new();
    for (identifier, version_code, members) in draft.releases {
        let mut release = object(members);
        if release["state"] != "discarded" {
            let taken = versions.entry(identifier).or_default();
            if taken.contains(&version_code) {
                continue;
            }
            taken.push(version_code);
        }
        release["identifier"] = json!(identifier);
        release["version_code"] = json!(version_code);
        known.insert(identifier);
        releases.push(release);
    }

    let mut settings: Vec<Value> = draft.settings.into_iter().map(object).collect();
    settings.retain(|it| it["identifier"].as_str().is_some_and(|it| known.contains(it)));
    for release in &mut releases {
        let own = settings
            .iter()
            .find(|it| it["identifier"] == release["identifier"]);
        let default = if release["identifier"] == APP {
            "apk"
        } else {
            "other"
        };
        let is_apk = own.and_then(|it| it["kind"].as_str()).unwrap_or(default) == "apk";
        if is_apk && release["recall_mode"] == "rollback" && !draft.kinds_were_set_later {
            release["recall_mode"] = json!("stop");
        }
    }

    let mut targets = HashSet::new();
    let mut pins = Vec::new();
    for draft in draft.pins {
        let mut pin = object(draft.members);
        let existing = versions.get(draft.identifier).map_or(&[][..], Vec::as_slice);
        match draft.mode {
            "exact" if existing.is_empty() => continue,
            "exact" => pin["version_code"] = json!(draft.existing.get(existing)),
            "ceiling" => pin["version_code"] = json!(draft.bound),
            _ => {}
        }
        let target = format!("{} {} {}", draft.identifier, pin["device_id"], pin["org_path"]);
        if known.contains(draft.identifier) && targets.insert(target) {
            pin["identifier"] = json!(draft.identifier);
            pin["mode"] = json!(draft.mode);
            pins.push(pin);
        }
    }

    let mut app = object(draft.members);
    app["package_name"] = json!(APP);
    app["app_name"] = json!("盒马 WMS");
    app["resources"] = json!(settings);
    app["releases"] = json!(releases);
    app["pins"] = json!(pins);
    app
}

fn identifier() -> impl Strategy<Value = &'static str> {
    let [app, first, second, third] = IDENTIFIERS;
    select(vec![
        first, first, first, first, second, second, third, app, app, app,
    ])
}

fn version_code() -> impl Strategy<Value = i64> {
    (0..=2 * HIGHEST_CODE).prop_map(|it| if it == 0 { i64::MAX } else { (it + 1) / 2 })
}

fn resource_settings(identifier: &'static str) -> Vec<BoxedStrategy<Members>> {
    let kinds = json!([
        {"kind": "miniapp"}, {"kind": "miniapp"}, {"kind": "offline_package"}, {"kind": "config"},
        {"kind": "firmware"}, {"kind": "other"}, {"kind": "apk"},
    ]);
    vec![
        some_of(0, &json!([{"identifier": identifier}])),
        some_of(4, &kinds),
        some_of(
            1,
            &json!([{"repair_on_mismatch": true}, {"repair_on_mismatch": true}]),
        ),
        some_of(20, &json!([{"enabled": true}, {"enabled": false}])),
    ]
}

fn release() -> impl Strategy<Value = Vec<Members>> {
    let facts = json!([
        {"version_name": "1.1.10", "download_url": "https://cdn.example.com/a.bin?a=1&b=2"},
        {"size": 0, "md5": "0cc175b9c0f1b6a831c399e269772661"},
        {"size": i64::MAX, "update_desc": "修复扫码 & 提速 <20%>\n\u{1f4e6}"},
        {"config_json": {"scanner": {"beep": true, "gain": [1, 2.5]}, "名称": "出库 \"A\""}},
    ]);
    let icons = json!([
        {"icon_url": "https://cdn.example.com/r.png", "qrcode": "https://cdn.example.com/q.png"},
        {"icon_url": "", "qrcode": ""},
        {"icon_url": null, "qrcode": null},
    ]);
    let device_types = subsequence(choices(DEVICE_TYPES), 0..=2).prop_map(|it| json!(it));
    let device_ids = subsequence(choices(DEVICES), 0..=6).prop_map(|it| json!(it));
    vec![
        some_of(0, &states()),
        some_of(6, &facts),
        some_of(6, &icons),
        some_of(10, &json!([{"auto_install": true}])),
        some_of(6, &json!([{"mandatory": true}])),
        some_of(1, &json!([{"floor": true}])),
        member("org_scopes", 0.2, vec(scope(), 0..4).prop_map(|it| json!(it))),
        member(
            "org_exclusions",
            0.15,
            vec(scope(), 0..3).prop_map(|it| json!(it)),
        ),
        member("device_types", 0.1, device_types),
        member(
            "attribute_rules",
            0.2,
            vec(select(attribute_rules()), 1..=2).prop_map(|it| json!(it)),
        ),
        member("device_ids", 0.3, device_ids),
        member("rollout", 0.4, rollout()),
        some_of(5, &json!([{"min_sdk": 21}, {"min_sdk": 30}, {"min_sdk": 65_535}])),
        some_of(15, &json!([{"file_damaged": true}])),
        host_range(),
        window(),
    ]
}

fn states() -> Value {
    let mut states = vec![json!({}); 30];
    states.extend(vec![json!({"state": "published"}); 5]);
    for (mode, weight) in [("stop", 2), ("rollback", 9), ("removal", 4)] {
        states.extend(vec![json!({"state": "recalled", "recall_mode": mode}); weight]);
    }
    states.extend(["draft", "paused", "paused", "discarded"].map(|it| json!({"state": it})));
    json!(states)
}

fn host_range() -> BoxedStrategy<Members> {
    let given = select(choices(" | | | | | | min | max | both"));
    (1..=HIGHEST_CODE, 0..5i64, given)
        .prop_map(|(min, width, given)| {
            let mut members = Members::new();
            if given == "min" || given == "both" {
                members.insert("host_version_min".to_owned(), json!(min));
            }
            if given == "max" || given == "both" {
                members.insert("host_version_max".to_owned(), json!(min + width));
            }
            members
        })
        .boxed()
}

fn window() -> BoxedStrategy<Members> {
    let edges = (0..4usize, 1..=4usize);
    (edges, select(choices(" | | | | | | start | end | both")))
        .prop_map(|((start, length), given)| {
            let edges = [-86_400, -1, 0, 1, 86_400];
            let mut members = Members::new();
            if given == "start" || given == "both" {
                members.insert("starts_at".to_owned(), instant(edges[start]));
            }
            if given == "end" || given == "both" {
                members.insert("ends_at".to_owned(), instant(edges[(start + length).min(4)]));
            }
            members
        })
        .boxed()
}

fn rollout() -> impl Strategy<Value = Value> {
    let shares = json!([
        {"percent": 0}, {"percent": 0.01}, {"percent": 0.02}, {"percent": 10}, {"percent": 50},
        {"percent": 50.01}, {"percent": 99.99}, {"percent": 100},
    ]);
    let keys =
        json!([{"key": "edge"}, {"key": "edge"}, {"key": "wave-1"}, {"key": "春季灰度"}, {"key": null}]);
    let units = json!([
        {"unit": "device"}, {"unit": "l1"}, {"unit": "l2"}, {"unit": "l3"}, {"unit": "l3"},
        {"unit": "l4"}, {"unit": "l5"},
    ]);
    vec![some_of(1, &shares), some_of(2, &keys), some_of(3, &units)].prop_map(object)
}

/// Generates level codes from the top, or only some of them.
fn scope() -> impl Strategy<Value = Value> {
    let masks = select(vec![0xff, 0xff, 0xff, 0, 1, 2, 4]);
    (select(ORG_PATHS.to_vec()), 1..=4usize, masks).prop_map(|(path, depth, mask)| {
        let depth = depth.min(path.len());
        let levels = (1..=depth).filter(|level| *level == depth || mask & (1 << (level - 1)) != 0);
        levels
            .map(|level| (format!("l{level}Code"), json!(path[level - 1])))
            .collect()
    })
}

fn pin() -> impl Strategy<Value = PinDraft> {
    let devices: Vec<Value> = choices(DEVICES)
        .iter()
        .map(|it| json!({"device_id": it}))
        .collect();
    let nodes: Vec<Value> = ORG_PATHS
        .iter()
        .flat_map(|path| (1..=path.len()).map(|depth| json!({"org_path": path[..depth]})))
        .collect();
    let expiries: Vec<Value> = [-86_400, -1, 0, 1, 86_400]
        .map(|it| json!({"expires_at": instant(it)}))
        .into();
    let targets = prop_oneof![3 => some_of(0, &json!(nodes)), 2 => some_of(0, &json!(devices))];
    let modes = select(choices("hold | exact | exact | ceiling | ceiling"));
    (
        identifier(),
        targets,
        some_of(5, &json!(expiries)),
        modes,
        version_code(),
        any::<Index>(),
    )
        .prop_map(|(identifier, target, expiry, mode, bound, existing)| PinDraft {
            identifier,
            members: vec![target, expiry],
            mode,
            bound,
            existing,
        })
}

fn attribute_rules() -> Vec<Value> {
    let rules = json!([
        ["model", "eq", "PDA-X1"],
        ["model", "eq", 8],
        ["model", "eq", "8"],
        ["model", "ne", "PDA-X1"],
        ["model", "in", ["PDA-X1", "PDA-X2"]],
        ["model", "in", [8, true]],
        ["model", "not_in", ["PDA-X1", 8]],
        ["model", "exists", true],
        ["model", "exists", false],
        ["model", "gt", 7],
        ["model", "semver", ">=8"],
        ["free_mb", "gt", 500],
        ["free_mb", "ge", 500],
        ["free_mb", "lt", 500],
        ["free_mb", "le", 500],
        ["free_mb", "gt", 500.5],
        ["free_mb", "ge", 500.5],
        ["free_mb", "lt", 500.5],
        ["free_mb", "le", 500.5],
        ["free_mb", "gt", 9_007_199_254_740_992_i64],
        ["free_mb", "le", 9_007_199_254_740_992_i64],
        ["free_mb", "ge", -1],
        ["free_mb", "lt", 0],
        ["free_mb", "eq", 500],
        ["free_mb", "eq", 500.5],
        ["free_mb", "lt", u64::MAX],
        ["free_mb", "ge", 1e3],
        ["webview", "semver", ">=8.0, <12"],
        ["webview", "semver", "^8.1"],
        ["webview", "semver", "=8.1.0"],
        ["webview", "semver", ">=12.0.0-beta"],
        ["webview", "semver", "*"],
        ["webview", "exists", false],
        ["webview", "ge", 8.1],
        ["webview", "ne", "8.1"],
        ["os.name", "eq", "android"],
        ["os.name", "not_in", ["ios"]],
        ["os.name", "exists", false],
        ["os.v.sdk", "ge", 28],
        ["os.v.sdk", "exists", true],
        ["os", "exists", false],
        ["os", "exists", true],
        ["rooted", "eq", true],
        ["rooted", "eq", "true"],
        ["rooted", "ne", "no"],
        ["rooted", "exists", false],
    ]);
    let rules = rules.as_array().expect("the list above");
    rules
        .iter()
        .map(|it| json!({"name": it[0], "op": it[1], "value": it[2]}))
        .collect()
}

// ---------------------------------------------------------------------------------- the request

/// Abstract request of a device, before the catalog is known.
#[derive(Debug, Clone)]
struct Wish {
    package_name: &'static str,
    version: VersionWish,
    device: Members,
    old_versions: (Vec<EntryWish>, &'static str, Wrapping),
    org_info: (Vec<MembershipWish>, &'static str, Wrapping),
    attributes: (Vec<&'static str>, Wrapping),
    oddity: Option<Oddity>,
}

/// A version and its notation, in which `#` stands for its digits.
#[derive(Debug, Clone)]
struct VersionWish {
    code: CodeWish,
    form: &'static str,
}

/// Version of a recalled release, of the newest published one, of any release, or a number.
#[derive(Debug, Clone)]
enum CodeWish {
    Recalled(Index),
    Newest,
    Released(Index),
    Number(i64),
}

/// An entry of `old_versions`. In the texts, `#` stands for the respective value.
#[derive(Debug, Clone)]
struct EntryWish {
    identifier: &'static str,
    version: VersionWish,
    name: &'static str,
    facts: &'static str,
}

/// A membership of `org_info`. In the forms, `#` stands for the level and `@` for the code.
#[derive(Debug, Clone)]
struct MembershipWish {
    path: &'static [&'static str],
    given: &'static str,
    mask: u8,
    contradiction: Option<(usize, &'static str)>,
    leaf_form: &'static str,
    form: &'static str,
    further: &'static str,
}

/// Encoding of a JSON field.
#[derive(Debug, Clone)]
enum Wrapping {
    Plain,
    Text,
    PaddedText,
    TextInText,
    TextInTextInText,
    CutText,
    Nothing(Value),
    Left,
}

/// Replacement of a field, usually by an invalid value.
#[derive(Debug, Clone)]
enum Oddity {
    Replaced(&'static str, Value),
    Left(&'static str),
    Large(&'static str, usize, bool),
}

fn wish() -> impl Strategy<Value = Wish> {
    let package_names = prop_oneof![
        60 => Just(APP),
        10 => select(OLD_NAMES.to_vec()),
        2 => Just(OTHER_APP),
        1 => Just(UNKNOWN_APP),
    ];
    let device_ids: Vec<Value> = choices(DEVICES)
        .iter()
        .map(|it| json!({"device_id": it}))
        .collect();
    let device_types = json!([
        {"device_type": "10013"}, {"device_type": "10013"}, {"device_type": "10021"},
        {"device_type": "10021"}, {"device_type": "kiosk"}, {"device_type": "kiosk"},
        {"device_type": "10099"}, {"device_type": null}, {"device_type": " \u{3000}"},
    ]);
    let device = (some_of(0, &json!(device_ids)), some_of(1, &device_types))
        .prop_map(|(device_id, device_type)| device_id.into_iter().chain(device_type).collect());
    let old_shapes = select(choices("map | map | map | array | array | one"));
    let old_versions = (vec(entry_wish(), 0..7), old_shapes, wrapping());
    let org_shapes = select(choices("object | object | object | array"));
    let org_info = (memberships_wish(), org_shapes, wrapping());
    let attributes: Vec<_> = ATTRIBUTES.iter().map(|it| select(choices(it))).collect();
    let json_fields = (old_versions, org_info, (attributes, wrapping()));
    (
        package_names,
        version_wish(),
        device,
        json_fields,
        weighted(0.1, oddity()),
    )
        .prop_map(
            |(package_name, version, device, (old_versions, org_info, attributes), oddity)| Wish {
                package_name,
                version,
                device,
                old_versions,
                org_info,
                attributes,
                oddity,
            },
        )
}

fn version_wish() -> impl Strategy<Value = VersionWish> {
    let codes = prop_oneof![
        4 => any::<Index>().prop_map(CodeWish::Recalled),
        2 => Just(CodeWish::Newest),
        2 => any::<Index>().prop_map(CodeWish::Released),
        4 => (0..=HIGHEST_CODE + 1).prop_map(CodeWish::Number),
        4 => select(vec![1, 1, 2, 2, 3, 3, 4, 4, i64::MAX]).prop_map(CodeWish::Number),
    ];
    let forms = select(choices(r##"# | # | # | "#" | " #\t" | "00#" | "\u3000#""##));
    (codes, forms).prop_map(|(code, form)| VersionWish { code, form })
}

fn entry_wish() -> impl Strategy<Value = EntryWish> {
    let names = r##"
        "packageName":"#" | "packageName":"#" | "package_name":"#" | "identifier":"#" |
        "packageName":"com.x","identifier":"#" | "package_name":7,"packageName":"#","identifier":null
    "##;
    // The empty choice is a version without an object around it. `@` stands for the release's digest.
    let facts = r#"
        | | "versionCode":# | "version_code":# | "versionCode":#,"version_code":"x" |
        "versionCode":"x","versionCode":# | "versionCode":#,"md5":"@" | "versionCode":#,"md5":"@" |
        "versionCode":#,"md5":"0CC175B9C0F1B6A831C399E269772661" |
        "versionCode":#,"md5":"900150983cd24fb0d6963f7d28e17f72" |
        "versionCode":#,"md5":"900150983cd24fb0d6963f7d28e17f72" |
        "versionCode":#,"md5":"900150983cd24fb0d6963f7d28e17f72" |
        "versionCode":#,"md5":"900150983cd24fb0d6963f7d28e17f72","md5":"@" |
        "versionCode":#,"md5":" " | "md5":null,"versionCode":#,"x":[1]
    "#;
    let others = choices("com.android.chrome | com.hema.wms.old | COM.HEMA.WMS");
    let identifiers = prop_oneof![20 => identifier(), 1 => select(others)];
    (
        identifiers,
        version_wish(),
        select(choices(names)),
        select(choices(facts)),
    )
        .prop_map(|(identifier, version, name, facts)| EntryWish {
            identifier,
            version,
            name,
            facts,
        })
}

fn memberships_wish() -> impl Strategy<Value = Vec<MembershipWish>> {
    prop_oneof![
        2 => Just(Vec::new()),
        12 => vec(membership_wish(), 1),
        6 => vec(membership_wish(), 2..4),
        1 => vec(membership_wish(), 7..10),
    ]
}

fn membership_wish() -> impl Strategy<Value = MembershipWish> {
    let forms = r#"
        "l#Code":"@" | "l#Code":"@" | "l#_code":"@" | "l#":"@" | "l#Code":" @\t" | "l#Code":@ |
        "l#Code":null,"l#":"@" | "l#":"XX","l#_code":"@","l#Code":" " |
        "l#Code":"@","l#_code":"XX" | "l#":"XX","l#Code":"@" | "l#Code":true,"l#Code":"@"
    "#;
    let further = r#"
        | | | "l1Name":"盒马" | "shopType":{"a":[1]} | "L1Code":"XX" | "l6Code":[]
    "#;
    let given = select(choices("all | all | all | leaf | leaf | leaf | some | none"));
    let contradicting = select(choices("HM | SKR | HM-SH | 8007 | hm | XX"));
    let contradiction = weighted(0.12, (0..4usize, contradicting));
    let forms = || select(choices(forms));
    let paths = select(ORG_PATHS.to_vec());
    (
        paths,
        given,
        any::<u8>(),
        contradiction,
        forms(),
        forms(),
        select(choices(further)),
    )
        .prop_map(
            |(path, given, mask, contradiction, leaf_form, form, further)| MembershipWish {
                path,
                given,
                mask,
                contradiction,
                leaf_form,
                form,
                further,
            },
        )
}

/// Members of `attributes`. At most one of each row is sent.
const ATTRIBUTES: [&str; 7] = [
    r#"
        | | "model":"PDA-X1" | "model":"PDA-X2" | "model":"pda-x1" | "model":8 | "model":"8" |
        "model":"x","model":"PDA-X1"
    "#,
    r#"
        | | | "free_mb":500 | "free_mb":"500" | "free_mb":" 500 " | "free_mb":500.5 | "free_mb":1500 |
        "free_mb":90 | "free_mb":"1e3" | "free_mb":-1 | "free_mb":-0.5 | "free_mb":"inf" |
        "free_mb":9007199254740993 | "free_mb":18446744073709551615 | "free_mb":"much" | "free_mb":null
    "#,
    r#"
        | | | "webview":"8.0.0" | "webview":"8.1" | "webview":8.1 | "webview":"11" | "webview":12 |
        "webview":"12.0.0-beta.1" | "webview":"12-beta.1" | "webview":"9.1+b-1" | "webview":"1.2.3.4" |
        "webview":"08.1" | "webview":" 8.1" | "webview":"unknown"
    "#,
    r#"
        | | | "os":{"name":"android","v":{"sdk":30}} | "os.name":"android","os":{"v":{"sdk":"27"}} |
        "os":{"name":null},"os.name":"ios" | "os":{"name":"ios"},"os":{"name":"android"} |
        "os":{"v.sdk":28} | "os":"linux" | "os":{} | "os":{"name":"android"},"os.v.sdk":29
    "#,
    r#"
        | | "sdkInt":29 | "sdkInt":30 | "sdkInt":"29" | "sdkInt":" 30 " | "sdkInt":29.5 | "sdkInt":31 |
        "sdkInt":"S" | "sdkInt":"" | "sdkInt":null | "sdkInt":true | "sdkInt":0 | "sdkInt":{"v":1}
    "#,
    r#" | | "rooted":true | "rooted":"true" | "rooted":"no" | "rooted":false | "rooted":null "#,
    r#" | | | | "a":{"b":{"c":{"d":{"e":{"f":{"g":1}}}}}} | "a b":"","":1 "#,
];

fn wrapping() -> impl Strategy<Value = Wrapping> {
    let nothings = all(&json!([
        null,
        "",
        " \u{3000}\n",
        "{}",
        "[]",
        "null",
        {},
        [],
        "\"\"",
        "\"\\t\"",
        "\"null\"",
        "\" {} \"",
    ]));
    prop_oneof![
        100 => Just(Wrapping::Plain),
        100 => Just(Wrapping::Text),
        20 => Just(Wrapping::PaddedText),
        20 => Just(Wrapping::TextInText),
        10 => select(nothings).prop_map(Wrapping::Nothing),
        5 => Just(Wrapping::Left),
        1 => Just(Wrapping::TextInTextInText),
        1 => Just(Wrapping::CutText),
    ]
}

fn oddity() -> impl Strategy<Value = Oddity> {
    let replaced = |field, values: Vec<Value>| select(values).prop_map(move |it| Oddity::Replaced(field, it));
    let json_fields = choices("old_versions | org_info | attributes");
    let fields = choices("package_name | version_code | device_id | old_versions | org_info");
    let sizes = (select(json_fields), 65_535..=65_537usize, any::<bool>());
    prop_oneof![
        4 => replaced("package_name", odd_package_names()),
        6 => replaced("version_code", odd_integers()),
        4 => replaced("device_id", odd_device_ids()),
        3 => replaced("device_type", odd_device_types()),
        12 => replaced("old_versions", odd_old_versions()),
        10 => replaced("org_info", odd_org_infos()),
        10 => replaced("attributes", odd_attributes()),
        2 => select(fields).prop_map(Oddity::Left),
        1 => sizes.prop_map(|(field, bytes, is_text)| Oddity::Large(field, bytes, is_text)),
    ]
}

fn odd_package_names() -> Vec<Value> {
    all(&json!([
        null,
        "",
        "\u{3000}",
        1,
        {},
        " com.hema.wms",
        "COM.HEMA.WMS"
    ]))
}

fn odd_device_ids() -> Vec<Value> {
    let (longest, too_long) = ("门".repeat(128), "门".repeat(129));
    all(&json!([
        null,
        " \t",
        12345,
        "a\nb",
        "a\u{85}b",
        longest,
        too_long,
        " PDA00443",
        ["x"]
    ]))
}

fn odd_device_types() -> Vec<Value> {
    all(&json!([10013, true, [], {}, " 10013", "\u{0}"]))
}

fn odd_integers() -> Vec<Value> {
    all(&json!([
        null,
        "",
        " ",
        "abc",
        -1,
        "-1",
        "+1",
        "1.5",
        1.5,
        50.0,
        "50.0",
        "1e3",
        "0x1",
        "１",
        "1 2",
        true,
        [1],
        {},
        u64::MAX,
        1e300,
        "9223372036854775808",
        "9223372036854775807",
        "00000000000000000000000000005",
        "0",
        0,
    ]))
}

fn odd_old_versions() -> Vec<Value> {
    let mut odd = all(&json!([
        3, true, "x", "3", "true", "{com.a: 1}", "{'com.a': 1}", "{\"com.a\":1,}", "{} {}",
        "\u{feff}{}", [3], ["com.a"], [null], [[]], [{}], [{"com.hema.wms.chuku": 3}],
        {"com.hema.wms.chuku": []}, {"com.hema.wms.chuku": {}}, {"com.hema.wms.chuku": {"md5": "x"}},
        [{"versionCode": 3}], {"version_code": 3}, {"packageName": "com.hema.wms.chuku"},
        {"identifier": "com.hema.wms.chuku", "versionCode": -1},
        {"identifier": " ", "packageName": "com.hema.wms.chuku", "versionCode": 3},
        {"identifier": 3, "packageName": "com.hema.wms.chuku", "versionCode": 3},
        {"identifier": null, "com.a": 3}, {"": 3},
        [{"identifier": "com.hema.wms.chuku", "versionCode": 3, "md5": 5}],
        {"com.hema.wms.chuku": {"versionCode": 3, "md5": ["x"]}},
        {"com.hema.wms.chuku": 3, "com.unknown": "x"},
        "{\"com.hema.wms.chuku\":\"x\",\"com.hema.wms.chuku\":3}",
        "{\"com.hema.wms.chuku\":{\"versionCode\":\"x\",\"versionCode\":3}}",
        "{\"com.hema.wms.chuku\":-0}", "{\"com.hema.wms.chuku\":3e0}",
        {"com.hema.wms.chuku": {"versionCode": 3, "x": [[[[[1]]]]]}},
        {"com.hema.wms.chuku": {"versionCode": 3, "x": [[[[[[]]]]]]}},
        {"com.hema.wms.chuku": {"versionCode": 3, "x": [[[[[[[]]]]]]]}},
    ]));
    for integer in odd_integers() {
        odd.push(json!({"com.hema.wms.chuku": integer}));
        odd.push(json!([{"identifier": "com.hema.wms.chuku", "versionCode": integer}]));
    }
    odd
}

fn odd_org_infos() -> Vec<Value> {
    let mut odd = all(&json!([
        "HM", "8007", 8007, false, "{l1Code:'HM'", ["HM"], [null], [[]], [{}], [{}, {"l1Code": "HM"}],
        [{"l1Code": "HM"}, {"l1Code": {"code": "HM"}}], {"l1Code": "HM", "l1": false},
        {"l1Code": "HM", "l5_code": [5]}, {"l3Code": 8007.0}, {"l3Code": 8007.5}, {"l3Code": -1},
        "{\"l3Code\":8007.5,\"l3Code\":8007}", "{\"l3Code\":8.007e3}",
        "{\"l3Code\":99999999999999999999}",
        {"shop": [[[[[[[1]]]]]]]}, {"shop": [[[[[[[[1]]]]]]]]},
    ]));
    for count in [8, 9] {
        odd.push(json!(vec![json!({"l1Code": "HM"}); count]));
        odd.push(json!(vec![json!({}); count]));
    }
    odd
}

fn odd_attributes() -> Vec<Value> {
    all(&json!([
        "{", "model=8", "12", 12, true, "[\"x\"]", ["x"], [{}], {"model": []}, {"model": ["PDA-X1"]},
        {"os": {"name": [1]}}, {"os.name": "android", "os": {"name": "android"}},
        {"os.name": null, "os": {"name": "android"}},
        "{\"os\":{\"name\":[]},\"os\":{\"name\":\"android\"}}", "{\"a.b.c\":1,\"a\":{\"b.c\":1}}",
        {"a": {"b": {"c": {"d": {"e": {"f": {"g": {}}}}}}}},
        {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {}}}}}}}}},
        "{\"model\":1e999}", "{\"model\":\"\\ud800\"}", "{\"model\":1e3}", {"free_mb": 1e21},
    ]))
}

// ------------------------------------------------------------------------ wishes become requests

fn request(case: &Value, wish: Wish) -> Value {
    let app = &case["apps"][0];
    let releases = app["releases"].as_array().expect("made by build_app");
    let old_names = app["old_package_names"].as_array().map_or(&[][..], Vec::as_slice);
    let is_held = case["apps"][1]["package_name"] == wish.package_name
        || old_names.iter().any(|it| it == wish.package_name);
    let package_name = if is_held || wish.package_name == UNKNOWN_APP {
        wish.package_name
    } else {
        APP
    };

    let mut request = Value::Object(wish.device);
    request["package_name"] = json!(package_name);
    request["version_code"] = parsed(&written(&wish.version, code(releases, APP, &wish.version)));
    let (entries, shape, wrapping) = wish.old_versions;
    send(
        &mut request,
        "old_versions",
        wrapping,
        &old_versions_text(releases, &entries, shape),
    );
    let (memberships, shape, wrapping) = wish.org_info;
    send(
        &mut request,
        "org_info",
        wrapping,
        &org_info_text(&memberships, shape),
    );
    let (attributes, wrapping) = wish.attributes;
    send(&mut request, "attributes", wrapping, &object_text(&attributes));

    match wish.oddity {
        None => {}
        Some(Oddity::Replaced(field, value)) => request[field] = value,
        Some(Oddity::Left(field)) => send(&mut request, field, Wrapping::Left, ""),
        Some(Oddity::Large(field, bytes, true)) => {
            request[field] = json!(format!("{{}}{}", " ".repeat(bytes - 2)));
        }
        Some(Oddity::Large(field, bytes, false)) => {
            request[field] = json!({"l6Code": "x".repeat(bytes - r#"{"l6Code":""}"#.len())});
        }
    }
    request
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("the texts of this file are JSON")
}

fn object_text(members: &[impl AsRef<str>]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(AsRef::as_ref)
        .filter(|member| !member.is_empty())
        .collect();
    format!("{{{}}}", members.join(","))
}

fn send(request: &mut Value, field: &str, wrapping: Wrapping, text: &str) {
    let in_text = |text: &str| json!(text).to_string();
    request[field] = match wrapping {
        Wrapping::Plain => parsed(text),
        Wrapping::Text => json!(text),
        Wrapping::PaddedText => json!(format!(" \n{text}\t ")),
        Wrapping::TextInText => json!(in_text(text)),
        Wrapping::TextInTextInText => json!(in_text(&in_text(text))),
        Wrapping::CutText => json!(text[..text.len() - 1]),
        Wrapping::Nothing(nothing) => nothing,
        Wrapping::Left => {
            request.as_object_mut().expect("a request").remove(field);
            return;
        }
    };
}

/// Returns the version of an abstract request, or 3 if there is no such release.
fn code(releases: &[Value], identifier: &str, wish: &VersionWish) -> i64 {
    let codes_of = |is_wanted: fn(&Value) -> bool| -> Vec<i64> {
        let own = releases
            .iter()
            .filter(|it| it["identifier"] == identifier && is_wanted(it));
        own.filter_map(|it| it["version_code"].as_i64()).collect()
    };
    let recalled = codes_of(|it| it["state"] == "recalled");
    let published = codes_of(|it| it["state"].is_null());
    let all = codes_of(|_| true);
    match &wish.code {
        CodeWish::Recalled(index) if !recalled.is_empty() => *index.get(&recalled),
        CodeWish::Recalled(index) | CodeWish::Released(index) if !all.is_empty() => *index.get(&all),
        CodeWish::Recalled(_) | CodeWish::Released(_) => 3,
        CodeWish::Newest => published.into_iter().max().unwrap_or(3),
        CodeWish::Number(number) => *number,
    }
}

fn written(wish: &VersionWish, code: i64) -> String {
    wish.form.replace('#', &code.to_string())
}

fn old_versions_text(releases: &[Value], entries: &[EntryWish], shape: &str) -> String {
    let mut elements = Vec::new();
    let mut members = Vec::new();
    for EntryWish {
        identifier,
        version,
        name,
        facts,
    } in entries
    {
        let code = code(releases, identifier, version);
        let is_own = |it: &&Value| it["identifier"] == *identifier && it["version_code"] == code;
        let md5 = releases.iter().find(is_own).map_or_else(String::new, release_md5);
        let version = written(version, code);
        let in_entry = if facts.is_empty() {
            "\"versionCode\":#"
        } else {
            facts
        };
        let in_entry = in_entry.replace('#', &version).replace('@', &md5);
        elements.push(format!("{{{},{in_entry}}}", name.replace('#', identifier)));
        members.push(if facts.is_empty() {
            format!("\"{identifier}\":{version}")
        } else {
            format!("\"{identifier}\":{{{in_entry}}}")
        });
    }
    match (shape, &elements[..]) {
        ("one", [only, ..]) => only.clone(),
        ("array", _) => format!("[{}]", elements.join(",")),
        _ => object_text(&members),
    }
}

fn org_info_text(memberships: &[MembershipWish], shape: &str) -> String {
    let texts: Vec<String> = memberships.iter().map(membership_text).collect();
    match &texts[..] {
        [only] if shape == "object" => only.clone(),
        texts => format!("[{}]", texts.join(",")),
    }
}

fn membership_text(wish: &MembershipWish) -> String {
    let mut members = Vec::new();
    for (position, code) in wish.path.iter().enumerate() {
        let is_leaf = position + 1 == wish.path.len();
        let is_given = match wish.given {
            "all" => true,
            "leaf" => is_leaf,
            "some" => wish.mask & (1 << position) != 0,
            _ => false,
        };
        if !is_given {
            continue;
        }
        let code = match wish.contradiction {
            Some((level, other)) if level == position => other,
            _ => code,
        };
        let form = if is_leaf { wish.leaf_form } else { wish.form };
        let is_number = code.bytes().all(|it| it.is_ascii_digit());
        let form = if form.ends_with('@') && !is_number {
            "\"l#Code\":\"@\""
        } else {
            form
        };
        members.push(form.replace('#', &(position + 1).to_string()).replace('@', code));
    }
    members.push(wish.further.to_owned());
    object_text(&members)
}
