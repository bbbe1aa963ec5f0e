//! Scenarios: what a tenant has and a check that meets it, in the format of `check-cases.json`.
//!
//! Names, versions, codes and times come from a handful of values, so that rules collide. The
//! catalog is always one that the admin API would have accepted; requests are sometimes malformed.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::strategy::Union;
use serde_json::{Map, Value, json};

use super::reference::release_md5;

const APP: &str = "com.hema.wms";
const OTHER_APP: &str = "com.hema.pos";
const OLD_NAMES: [&str; 2] = ["com.hema.wms.old", "com.hema.wms.lite"];
/// The app itself and resources that sort before and after it.
const IDENTIFIERS: [&str; 4] = [APP, "com.hema.wms.chuku", "com.hema.wms.Ruku", "com.alipay.scan"];
const NEWEST_CODE: i64 = 12;

/// With the rollout key `edge` these have the buckets 0, 1, 4999, 5000, 9998 and 9999.
const DEVICES: [&str; 8] = [
    "PDA00443",
    "PDA08351",
    "PDA00335",
    "PDA06926",
    "PDA25223",
    "PDA12956",
    "HM8007PDA001",
    "门店-01",
];
const DEVICE_TYPES: [&str; 3] = ["10013", "10021", "kiosk"];

/// 8007 and HM-SH stand under two parents each, and 8007 on two levels.
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

/// What one tenant has, and one check of it.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) case: Value,
    pub(crate) request: Value,
    pub(crate) now: DateTime<Utc>,
    pub(crate) stale: bool,
}

/// Any scenario.
pub(crate) fn scenario() -> impl Strategy<Value = Scenario> {
    let now = select(vec![0, 0, -1000, -999, 999, 1000]);
    (case(), wish(), now, weighted_bool(0.12)).prop_map(|(case, wish, milliseconds, stale)| Scenario {
        request: request(&case, wish),
        case,
        now: noon() + TimeDelta::milliseconds(milliseconds),
        stale,
    })
}

/// The instant around which everything happens.
fn noon() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_772_416_800)
}

fn instant(seconds: i64) -> Value {
    let instant = noon() + TimeDelta::seconds(seconds);
    json!(instant.to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn weighted_bool(probability: f64) -> impl Strategy<Value = bool> {
    prop::bool::weighted(probability)
}

fn one_of(choices: Vec<(u32, Value)>) -> impl Strategy<Value = Value> {
    Union::new_weighted(
        choices
            .into_iter()
            .map(|(weight, value)| (weight, Just(value)))
            .collect(),
    )
}

// ---------------------------------------------------------------------------------- the catalog

fn case() -> impl Strategy<Value = Value> {
    let tenant = one_of(vec![
        (94, json!({})),
        (2, json!({"offers_enabled": false})),
        (2, json!({"offers_enabled": true, "enabled": true})),
        (2, json!({"enabled": false})),
    ]);
    let directory = subsequence(ORG_PATHS.to_vec(), 0..=ORG_PATHS.len());
    (tenant, directory, app(), weighted(0.3, other_app())).prop_map(|(tenant, directory, app, other)| {
        let apps: Vec<Value> = std::iter::once(app).chain(other).collect();
        json!({"tenant": tenant, "org_directory": directory, "apps": apps})
    })
}

/// Another app of the tenant, with a resource of the same name and a pin of its own.
fn other_app() -> impl Strategy<Value = Value> {
    (1..=NEWEST_CODE, weighted_bool(0.3)).prop_map(|(version_code, held)| {
        let pins = if held {
            json!([{"identifier": IDENTIFIERS[3], "mode": "hold", "org_path": ["HM"]}])
        } else {
            json!([])
        };
        json!({
            "package_name": OTHER_APP,
            "app_name": "Hema POS",
            "pins": pins,
            "releases": [{"identifier": IDENTIFIERS[3], "version_code": version_code}],
        })
    })
}

fn app() -> impl Strategy<Value = Value> {
    let members = vec![
        member(
            "old_package_names",
            0.5,
            subsequence(OLD_NAMES.to_vec(), 0..=2).prop_map(|it| json!(it)),
        ),
        member(
            "icon_url",
            0.5,
            one_of(vec![
                (4, json!("https://cdn.example.com/app.png")),
                (1, json!("")),
            ]),
        ),
        member("enabled", 0.2, one_of(vec![(4, json!(true)), (1, json!(false))])),
    ];
    let settings: Vec<_> = IDENTIFIERS
        .iter()
        .map(|it| weighted(0.5, resource_settings(it)))
        .collect();
    let releases = vec((identifier(), version_code(), release()), 2..14);
    (members, settings, releases, vec(pin(), 0..5), weighted_bool(0.1)).prop_map(build_app)
}

type Members = Vec<(&'static str, Value)>;
type PinWish = (&'static str, Members, &'static str, i64, Index);

/// Puts an app together, leaving out what the admin API would have refused.
fn build_app(
    (members, settings, releases, pins, kinds_came_later): (
        Vec<Members>,
        Vec<Option<Members>>,
        Vec<(&'static str, i64, Vec<Members>)>,
        Vec<PinWish>,
        bool,
    ),
) -> Value {
    let mut app = object(members.concat());
    app["package_name"] = json!(APP);
    app["app_name"] = json!("盒马 WMS");

    let mut kept: Vec<Value> = Vec::new();
    let mut versions: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut known = HashSet::new();
    for (identifier, version_code, members) in releases {
        let mut release = object(members.concat());
        release["identifier"] = json!(identifier);
        release["version_code"] = json!(version_code);
        if release["state"] != "discarded" {
            let taken = versions.entry(identifier).or_default();
            if taken.contains(&version_code) {
                continue;
            }
            taken.push(version_code);
        }
        known.insert(identifier);
        kept.push(release);
    }

    let settings: Vec<Value> = settings
        .into_iter()
        .flatten()
        .map(object)
        .filter(|it| it["identifier"].as_str().is_some_and(|it| known.contains(it)))
        .collect();
    for release in &mut kept {
        let own = settings
            .iter()
            .find(|it| it["identifier"] == release["identifier"]);
        let default = if release["identifier"] == APP {
            "apk"
        } else {
            "other"
        };
        let is_apk = own.and_then(|it| it["kind"].as_str()).unwrap_or(default) == "apk";
        if is_apk && release["recall_mode"] == "rollback" && !kinds_came_later {
            release["recall_mode"] = json!("stop");
        }
    }

    let mut targets = HashSet::new();
    let mut kept_pins = Vec::new();
    for (identifier, members, mode, bound, index) in pins {
        let mut pin = object(members);
        let target = format!("{identifier} {} {}", pin["device_id"], pin["org_path"]);
        let existing = versions.get(identifier).map_or(&[][..], Vec::as_slice);
        pin["identifier"] = json!(identifier);
        pin["mode"] = json!(mode);
        match mode {
            "exact" if existing.is_empty() => continue,
            "exact" => pin["version_code"] = json!(index.get(existing)),
            "ceiling" => pin["version_code"] = json!(bound),
            _ => {}
        }
        if known.contains(identifier) && targets.insert(target) {
            kept_pins.push(pin);
        }
    }

    app["resources"] = json!(settings);
    app["releases"] = json!(kept);
    app["pins"] = json!(kept_pins);
    app
}

/// An object of those members that are given.
fn object(members: Members) -> Value {
    let members: Map<String, Value> = members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    members.into()
}

fn member(
    name: &'static str,
    probability: f64,
    value: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Members> {
    weighted(probability, value)
        .prop_map(move |it| it.map(|it| (name, it)).into_iter().collect())
        .boxed()
}

fn identifier() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just(APP), 4 => Just(IDENTIFIERS[1]), 2 => Just(IDENTIFIERS[2]), 1 => Just(IDENTIFIERS[3])]
}

fn version_code() -> impl Strategy<Value = i64> {
    prop_oneof![30 => 1..=NEWEST_CODE, 1 => Just(i64::MAX)]
}

fn resource_settings(identifier: &'static str) -> impl Strategy<Value = Members> {
    let kinds = [
        "miniapp",
        "miniapp",
        "other",
        "config",
        "firmware",
        "offline_package",
        "apk",
    ];
    vec![
        Just(vec![("identifier", json!(identifier))]).boxed(),
        member("kind", 0.6, select(kinds.to_vec()).prop_map(|it| json!(it))),
        member(
            "repair_on_mismatch",
            0.7,
            one_of(vec![(5, json!(true)), (1, json!(false))]),
        ),
        member("enabled", 0.3, one_of(vec![(3, json!(true)), (1, json!(false))])),
    ]
    .prop_map(|it| it.concat())
}

fn release() -> impl Strategy<Value = Vec<Members>> {
    let text = |it: &'static str| Just(json!(it));
    let device_types = subsequence(DEVICE_TYPES.to_vec(), 0..=2).prop_map(|it| json!(it));
    let device_ids = subsequence(DEVICES.to_vec(), 0..=4).prop_map(|it| json!(it));
    let configs = vec![
        (1, json!({})),
        (
            1,
            json!({"scanner": {"beep": true, "gain": [1, 2.5]}, "名称": "出库 \"A\""}),
        ),
    ];
    vec![
        life(),
        member("version_name", 0.2, text("1.1.10")),
        member("download_url", 0.2, text("https://cdn.example.com/a.bin?a=1&b=2")),
        member("size", 0.2, one_of(vec![(1, json!(0)), (1, json!(i64::MAX))])),
        member("md5", 0.3, text("0cc175b9c0f1b6a831c399e269772661")),
        member("update_desc", 0.2, text("修复扫码 & 提速 <20%>\n\u{1f4e6}")),
        member("config_json", 0.3, one_of(configs)),
        member(
            "qrcode",
            0.2,
            one_of(vec![
                (1, json!(null)),
                (1, json!("")),
                (3, json!("https://cdn.example.com/q.png")),
            ]),
        ),
        member(
            "icon_url",
            0.3,
            one_of(vec![
                (1, json!(null)),
                (1, json!("")),
                (3, json!("https://cdn.example.com/r.png")),
            ]),
        ),
        member("auto_install", 0.1, Just(json!(true))),
        member("mandatory", 0.2, Just(json!(true))),
        member("floor", 0.25, Just(json!(true))),
        member("org_scopes", 0.25, vec(scope(), 0..4).prop_map(|it| json!(it))),
        member(
            "org_exclusions",
            0.15,
            vec(scope(), 0..3).prop_map(|it| json!(it)),
        ),
        member("device_types", 0.12, device_types),
        member(
            "attribute_rules",
            0.2,
            vec(select(attribute_rules()), 1..=2).prop_map(|it| json!(it)),
        ),
        member("device_ids", 0.2, device_ids),
        member("rollout", 0.35, rollout()),
        host_range(),
        window(),
    ]
}

fn life() -> BoxedStrategy<Members> {
    let recalled = |mode: &str| json!({"state": "recalled", "recall_mode": mode});
    one_of(vec![
        (60, json!({})),
        (8, json!({"state": "published"})),
        (4, json!({"state": "draft"})),
        (5, json!({"state": "paused"})),
        (4, json!({"state": "discarded"})),
        (3, recalled("stop")),
        (9, recalled("rollback")),
        (7, recalled("removal")),
    ])
    .prop_map(|it| {
        ["state", "recall_mode"]
            .into_iter()
            .filter_map(|name| Some((name, it.get(name)?.clone())))
            .collect()
    })
    .boxed()
}

fn host_range() -> BoxedStrategy<Members> {
    let given = select(vec!["", "", "", "", "", "min", "max", "both"]);
    (1..=NEWEST_CODE, 0..4i64, given)
        .prop_map(|(min, width, given)| {
            let mut members = Members::new();
            if given == "min" || given == "both" {
                members.push(("host_version_min", json!(min)));
            }
            if given == "max" || given == "both" {
                members.push(("host_version_max", json!(min + width)));
            }
            members
        })
        .boxed()
}

fn window() -> BoxedStrategy<Members> {
    let edges = subsequence(vec![-86_400, -1, 0, 1, 86_400], 2);
    (
        edges,
        select(vec!["", "", "", "", "", "starts_at", "ends_at", "both"]),
    )
        .prop_map(|(edges, given)| {
            let mut members = Members::new();
            if given == "starts_at" || given == "both" {
                members.push(("starts_at", instant(edges[0])));
            }
            if given == "ends_at" || given == "both" {
                members.push(("ends_at", instant(edges[1])));
            }
            members
        })
        .boxed()
}

fn rollout() -> impl Strategy<Value = Value> {
    let percents = [
        json!(0),
        json!(0.01),
        json!(0.02),
        json!(10),
        json!(50),
        json!(50.01),
        json!(99.99),
        json!(100),
    ];
    let units = ["device", "device", "l1", "l2", "l3", "l3", "l4", "l5"];
    vec![
        member("percent", 0.95, select(percents.to_vec())),
        member(
            "key",
            0.7,
            select(vec![
                json!("edge"),
                json!("edge"),
                json!("wave-1"),
                json!("春季灰度"),
                json!(null),
            ]),
        ),
        member("unit", 0.6, select(units.to_vec()).prop_map(|it| json!(it))),
    ]
    .prop_map(|it| object(it.concat()))
}

/// Level codes from the top, or some of them only.
fn scope() -> impl Strategy<Value = Value> {
    (
        select(ORG_PATHS.to_vec()),
        1..=5usize,
        1..32u8,
        weighted_bool(0.3),
    )
        .prop_map(|(path, depth, mask, sparse)| {
            let depth = depth.min(path.len());
            let mut scope = Map::new();
            for (level, code) in path[..depth].iter().enumerate() {
                let is_deepest = level + 1 == depth;
                if is_deepest || !sparse || mask & (1 << level) != 0 {
                    scope.insert(format!("l{}Code", level + 1), json!(code));
                }
            }
            scope.into()
        })
}

fn pin() -> impl Strategy<Value = PinWish> {
    let nodes = (select(ORG_PATHS.to_vec()), 1..=3usize)
        .prop_map(|(path, depth)| vec![("org_path", json!(path[..depth.min(path.len())]))]);
    let devices = select(DEVICES.to_vec()).prop_map(|it| vec![("device_id", json!(it))]);
    let expiries = member(
        "expires_at",
        0.4,
        select(vec![-86_400, -1, 0, 1, 86_400]).prop_map(instant),
    );
    let bounds = prop_oneof![20 => 1..=NEWEST_CODE + 1, 1 => Just(i64::MAX)];
    (
        identifier(),
        prop_oneof![2 => nodes, 1 => devices],
        expiries,
        select(vec!["hold", "exact", "exact", "ceiling", "ceiling"]),
        bounds,
        any::<Index>(),
    )
        .prop_map(|(identifier, target, expiry, mode, bound, index)| {
            (identifier, [target, expiry].concat(), mode, bound, index)
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

/// What a device wishes to ask, before it is known what there is to ask for.
#[derive(Debug, Clone)]
struct Wish {
    package_name: &'static str,
    version: VersionWish,
    version_form: &'static str,
    device_id: &'static str,
    device_type: Option<Value>,
    old_versions: (Vec<EntryWish>, &'static str, Wrapping),
    org_info: (Vec<MembershipWish>, bool, Wrapping),
    attributes: (Vec<Option<&'static str>>, Wrapping),
    oddity: Option<Oddity>,
}

/// The version of a recalled release, of any release, or just a number.
#[derive(Debug, Clone)]
enum VersionWish {
    Recalled(Index),
    Released(Index),
    Code(i64),
}

#[derive(Debug, Clone)]
struct EntryWish {
    identifier: &'static str,
    version: VersionWish,
    version_form: &'static str,
    version_key: &'static str,
    md5: &'static str,
    name: &'static str,
    is_plain_number: bool,
}

#[derive(Debug, Clone)]
struct MembershipWish {
    path: &'static [&'static str],
    levels: &'static str,
    mask: u8,
    contradiction: Option<(usize, &'static str)>,
    leaf_form: &'static str,
    form: &'static str,
    further: &'static str,
}

/// How a JSON field is sent.
#[derive(Debug, Clone)]
enum Wrapping {
    Plain,
    Text,
    PaddedText,
    TextInText,
    TextInTextInText,
    CutText,
    Nothing(Option<Value>),
}

/// A field replaced by something else, mostly by what cannot be read.
#[derive(Debug, Clone)]
enum Oddity {
    Replaced(&'static str, Value),
    Left(&'static str),
    Large(&'static str, usize, bool),
}

fn wish() -> impl Strategy<Value = Wish> {
    let package_names = prop_oneof![40 => Just(APP), 4 => select(OLD_NAMES.to_vec()), 2 => Just(OTHER_APP), 1 => Just("com.hema.pda")];
    let device_types = prop_oneof![
        8 => select(DEVICE_TYPES.to_vec()).prop_map(|it| Some(json!(it))),
        1 => select(vec![None, Some(json!(null)), Some(json!("")), Some(json!(" \u{3000}")), Some(json!("10099"))]),
    ];
    let old_shapes = select(vec!["map", "map", "map", "array", "array", "one"]);
    let attributes: Vec<_> = attribute_texts()
        .into_iter()
        .map(|it| weighted(0.6, select(it)))
        .collect();
    let host = (version_wish(), version_form());
    let old_versions = (vec(entry_wish(), 0..6), old_shapes, wrapping());
    let org_info = (memberships_wish(), weighted_bool(0.2), wrapping());
    let device = (select(DEVICES.to_vec()), device_types);
    (
        package_names,
        host,
        device,
        old_versions,
        org_info,
        (attributes, wrapping()),
        weighted(0.1, oddity()),
    )
        .prop_map(
            |(
                package_name,
                (version, version_form),
                (device_id, device_type),
                old_versions,
                org_info,
                attributes,
                oddity,
            )| {
                Wish {
                    package_name,
                    version,
                    version_form,
                    device_id,
                    device_type,
                    old_versions,
                    org_info,
                    attributes,
                    oddity,
                }
            },
        )
}

fn version_wish() -> impl Strategy<Value = VersionWish> {
    prop_oneof![
        3 => any::<Index>().prop_map(VersionWish::Recalled),
        3 => any::<Index>().prop_map(VersionWish::Released),
        5 => (0..=NEWEST_CODE + 1).prop_map(VersionWish::Code),
        1 => select(vec![1, 2, 3, i64::MAX]).prop_map(VersionWish::Code),
    ]
}

/// Where `#` stands in JSON for the number.
fn version_form() -> impl Strategy<Value = &'static str> {
    select(vec![
        "#",
        "#",
        "#",
        "\"#\"",
        "\" #\\t\"",
        "\"00#\"",
        "\"\u{3000}#\"",
    ])
}

fn entry_wish() -> impl Strategy<Value = EntryWish> {
    let identifiers = prop_oneof![20 => identifier(), 1 => select(vec!["com.android.chrome", OLD_NAMES[0], "COM.HEMA.WMS"])];
    let version_keys = select(vec![
        "\"versionCode\":#",
        "\"versionCode\":#",
        "\"version_code\":#",
        "\"versionCode\":#,\"version_code\":\"x\"",
        "\"versionCode\":\"x\",\"versionCode\":#",
    ]);
    // Where `@` stands for the right digest.
    let md5s = select(vec![
        "",
        "",
        ",\"md5\":\"@\"",
        ",\"md5\":\"0CC175B9C0F1B6A831C399E269772661\"",
        ",\"md5\":\"900150983cd24fb0d6963f7d28e17f72\"",
        ",\"md5\":\"900150983cd24fb0d6963f7d28e17f72\"",
        ",\"md5\":\" \"",
        ",\"md5\":null",
        ",\"md5\":\"900150983cd24fb0d6963f7d28e17f72\",\"md5\":\"@\"",
        ",\"x\":[1]",
    ]);
    let names = select(vec![
        "\"packageName\":\"#\"",
        "\"packageName\":\"#\"",
        "\"package_name\":\"#\"",
        "\"identifier\":\"#\"",
        "\"packageName\":\"com.x\",\"identifier\":\"#\"",
        "\"package_name\":7,\"packageName\":\"#\",\"identifier\":null",
    ]);
    let version = prop_oneof![2 => any::<Index>().prop_map(VersionWish::Recalled), 3 => version_wish()];
    (
        identifiers,
        version,
        version_form(),
        version_keys,
        md5s,
        names,
        weighted_bool(0.3),
    )
        .prop_map(
            |(identifier, version, version_form, version_key, md5, name, is_plain_number)| EntryWish {
                identifier,
                version,
                version_form,
                version_key,
                md5,
                name,
                is_plain_number,
            },
        )
}

fn memberships_wish() -> impl Strategy<Value = Vec<MembershipWish>> {
    prop_oneof![2 => vec(membership_wish(), 0), 10 => vec(membership_wish(), 1), 4 => vec(membership_wish(), 2..4), 1 => vec(membership_wish(), 7..10)]
}

fn membership_wish() -> impl Strategy<Value = MembershipWish> {
    let level_choices = select(vec![
        "all", "all", "all", "deepest", "deepest", "deepest", "some", "none",
    ]);
    let contradictions = weighted(
        0.12,
        (0..5usize, select(vec!["HM", "SKR", "HM-SH", "8007", "hm", "XX"])),
    );
    // `#` stands for the level, `@` for the code.
    let forms = || {
        select(vec![
            "\"l#Code\":\"@\"",
            "\"l#Code\":\"@\"",
            "\"l#_code\":\"@\"",
            "\"l#\":\"@\"",
            "\"l#Code\":\" @\\t\"",
            "\"l#Code\":@",
            "\"l#Code\":null,\"l#\":\"@\"",
            "\"l#\":\"XX\",\"l#_code\":\"@\",\"l#Code\":\" \"",
            "\"l#Code\":\"@\",\"l#_code\":\"XX\"",
            "\"l#\":\"XX\",\"l#Code\":\"@\"",
            "\"l#Code\":true,\"l#Code\":\"@\"",
        ])
    };
    let further = select(vec![
        "",
        "",
        "\"l1Name\":\"盒马\"",
        "\"shopType\":{\"a\":[1]}",
        "\"L1Code\":\"XX\"",
        "\"l6Code\":[]",
    ]);
    (
        select(ORG_PATHS.to_vec()),
        level_choices,
        any::<u8>(),
        contradictions,
        forms(),
        forms(),
        further,
    )
        .prop_map(
            |(path, levels, mask, contradiction, leaf_form, form, further)| MembershipWish {
                path,
                levels,
                mask,
                contradiction,
                leaf_form,
                form,
                further,
            },
        )
}

/// Members of `attributes`, at most one of each row at a time.
fn attribute_texts() -> Vec<Vec<&'static str>> {
    vec![
        vec![
            r#""model":"PDA-X1""#,
            r#""model":"PDA-X2""#,
            r#""model":"pda-x1""#,
            r#""model":8"#,
            r#""model":"8""#,
            r#""model":"x","model":"PDA-X1""#,
        ],
        vec![
            r#""free_mb":500"#,
            r#""free_mb":"500""#,
            r#""free_mb":" 500 ""#,
            r#""free_mb":500.5"#,
            r#""free_mb":1500"#,
            r#""free_mb":90"#,
            r#""free_mb":"1e3""#,
            r#""free_mb":-1"#,
            r#""free_mb":-0.5"#,
            r#""free_mb":9007199254740993"#,
            r#""free_mb":18446744073709551615"#,
            r#""free_mb":"inf""#,
            r#""free_mb":"much""#,
            r#""free_mb":null"#,
        ],
        vec![
            r#""webview":"8.0.0""#,
            r#""webview":"8.1""#,
            r#""webview":8.1"#,
            r#""webview":"11""#,
            r#""webview":12"#,
            r#""webview":"12.0.0-beta.1""#,
            r#""webview":"12-beta.1""#,
            r#""webview":"9.1+b-1""#,
            r#""webview":"1.2.3.4""#,
            r#""webview":"08.1""#,
            r#""webview":" 8.1""#,
            r#""webview":"unknown""#,
        ],
        vec![
            r#""os":{"name":"android","v":{"sdk":30}}"#,
            r#""os.name":"android","os":{"v":{"sdk":"27"}}"#,
            r#""os":{"name":null},"os.name":"ios""#,
            r#""os":{"name":"ios"},"os":{"name":"android"}"#,
            r#""os":{"v.sdk":28}"#,
            r#""os":"linux""#,
            r#""os":{}"#,
            r#""os":{"name":"android"},"os.v.sdk":29"#,
        ],
        vec![
            r#""rooted":true"#,
            r#""rooted":"true""#,
            r#""rooted":"no""#,
            r#""rooted":false"#,
            r#""rooted":null"#,
        ],
        vec![r#""a":{"b":{"c":{"d":{"e":{"f":{"g":1}}}}}}"#, r#""a b":"","":1"#],
    ]
}

fn wrapping() -> impl Strategy<Value = Wrapping> {
    let nothings = [
        json!(null),
        json!(""),
        json!(" \u{3000}\n"),
        json!("{}"),
        json!("[]"),
        json!("null"),
        json!({}),
        json!([]),
        json!("\"\""),
        json!("\"\\t\""),
        json!("\"null\""),
        json!("\" {} \""),
    ];
    let nothings: Vec<Option<Value>> = nothings.into_iter().map(Some).chain([None]).collect();
    prop_oneof![
        100 => Just(Wrapping::Plain),
        100 => Just(Wrapping::Text),
        20 => Just(Wrapping::PaddedText),
        20 => Just(Wrapping::TextInText),
        1 => Just(Wrapping::TextInTextInText),
        1 => Just(Wrapping::CutText),
        20 => select(nothings).prop_map(Wrapping::Nothing),
    ]
}

fn oddity() -> impl Strategy<Value = Oddity> {
    let replaced = |field, values: Vec<Value>| select(values).prop_map(move |it| Oddity::Replaced(field, it));
    let json_fields = ["old_versions", "org_info", "attributes"];
    let fields = ["package_name", "version_code", "device_id", "device_type"];
    let sizes = (select(json_fields.to_vec()), 65_535..=65_537usize, any::<bool>());
    prop_oneof![
        4 => replaced("package_name", odd_package_names()),
        6 => replaced("version_code", odd_integers()),
        4 => replaced("device_id", odd_device_ids()),
        2 => replaced("device_type", odd_device_types()),
        12 => replaced("old_versions", odd_old_versions()),
        10 => replaced("org_info", odd_org_infos()),
        10 => replaced("attributes", odd_attributes()),
        2 => select([&fields[..], &json_fields[..]].concat()).prop_map(Oddity::Left),
        1 => sizes.prop_map(|(field, bytes, is_text)| Oddity::Large(field, bytes, is_text)),
    ]
}

/// The elements of a JSON array.
fn all(array: &Value) -> Vec<Value> {
    array.as_array().expect("an array").clone()
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
        {"identifier": null, "com.a": 3},
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
    let releases = case["apps"][0]["releases"].as_array().expect("made by build_app");
    let version = resolve_version(releases, APP, &wish.version);
    let version = wish.version_form.replace('#', &version.to_string());

    let mut request = json!({
        "package_name": wish.package_name,
        "version_code": parsed(&version),
        "device_id": wish.device_id,
    });
    if let Some(device_type) = wish.device_type {
        request["device_type"] = device_type;
    }
    let (entries, shape, wrapping) = wish.old_versions;
    send(
        &mut request,
        "old_versions",
        wrapping,
        &old_versions_text(releases, &entries, shape),
    );
    let (memberships, is_array, wrapping) = wish.org_info;
    send(
        &mut request,
        "org_info",
        wrapping,
        &org_info_text(&memberships, is_array),
    );
    let (attributes, wrapping) = wish.attributes;
    let attributes: Vec<&str> = attributes.into_iter().flatten().collect();
    send(
        &mut request,
        "attributes",
        wrapping,
        &format!("{{{}}}", attributes.join(",")),
    );

    match wish.oddity {
        None => {}
        Some(Oddity::Replaced(field, value)) => request[field] = value,
        Some(Oddity::Left(field)) => {
            request.as_object_mut().expect("made above").remove(field);
        }
        Some(Oddity::Large(field, bytes, true)) => {
            request[field] = json!(format!("{{}}{}", " ".repeat(bytes - 2)))
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

fn resolve_version(releases: &[Value], identifier: &str, wish: &VersionWish) -> i64 {
    let own = || releases.iter().filter(|it| it["identifier"] == identifier);
    let code = |it: &Value| it["version_code"].as_i64().expect("made by build_app");
    let all: Vec<i64> = own().map(code).collect();
    let recalled: Vec<i64> = own().filter(|it| it["state"] == "recalled").map(code).collect();
    match wish {
        VersionWish::Recalled(index) if !recalled.is_empty() => *index.get(&recalled),
        VersionWish::Recalled(index) | VersionWish::Released(index) if !all.is_empty() => *index.get(&all),
        VersionWish::Recalled(_) | VersionWish::Released(_) => 3,
        VersionWish::Code(code) => *code,
    }
}

fn old_versions_text(releases: &[Value], entries: &[EntryWish], shape: &str) -> String {
    let mut elements = Vec::new();
    let mut members = Vec::new();
    for entry in entries {
        let version_code = resolve_version(releases, entry.identifier, &entry.version);
        let md5 = releases
            .iter()
            .find(|it| it["identifier"] == entry.identifier && it["version_code"] == version_code)
            .map_or_else(String::new, release_md5);
        let version = entry.version_form.replace('#', &version_code.to_string());
        let version_member = entry.version_key.replace('#', &version);
        let md5 = entry.md5.replace('@', &md5);
        let name = entry.name.replace('#', entry.identifier);
        elements.push(format!("{{{name},{version_member}{md5}}}"));
        members.push(if entry.is_plain_number {
            format!("\"{}\":{version}", entry.identifier)
        } else {
            format!("\"{}\":{{{version_member}{md5}}}", entry.identifier)
        });
    }
    match (shape, elements.first()) {
        ("one", Some(only)) => only.clone(),
        ("array", _) => format!("[{}]", elements.join(",")),
        _ => format!("{{{}}}", members.join(",")),
    }
}

fn org_info_text(memberships: &[MembershipWish], is_array: bool) -> String {
    let texts: Vec<String> = memberships.iter().map(membership_text).collect();
    match &texts[..] {
        [only] if !is_array => only.clone(),
        all => format!("[{}]", all.join(",")),
    }
}

fn membership_text(wish: &MembershipWish) -> String {
    let mut members = Vec::new();
    for (position, code) in wish.path.iter().enumerate() {
        let is_leaf = position + 1 == wish.path.len();
        let is_given = match wish.levels {
            "all" => true,
            "deepest" => is_leaf,
            "some" => wish.mask & (1 << position) != 0,
            _ => false,
        };
        let code = match wish.contradiction {
            Some((level, other)) if level == position => other,
            _ => code,
        };
        let is_number = code.starts_with(|it: char| it.is_ascii_digit());
        let form = if is_leaf { wish.leaf_form } else { wish.form };
        let form = if form.ends_with('@') && !is_number {
            "\"l#Code\":\"@\""
        } else {
            form
        };
        if is_given {
            members.push(form.replace('#', &(position + 1).to_string()).replace('@', code));
        }
    }
    if !wish.further.is_empty() {
        members.push(wish.further.to_owned());
    }
    format!("{{{}}}", members.join(","))
}

fn send(request: &mut Value, field: &str, wrapping: Wrapping, text: &str) {
    let in_text = |text: &str| json!(text).to_string();
    let sent = match wrapping {
        Wrapping::Plain => parsed(text),
        Wrapping::Text => json!(text),
        Wrapping::PaddedText => json!(format!(" \n{text}\t ")),
        Wrapping::TextInText => json!(in_text(text)),
        Wrapping::TextInTextInText => json!(in_text(&in_text(text))),
        Wrapping::CutText => json!(text[..text.len() - 1]),
        Wrapping::Nothing(Some(nothing)) => nothing,
        Wrapping::Nothing(None) => return,
    };
    request[field] = sent;
}
