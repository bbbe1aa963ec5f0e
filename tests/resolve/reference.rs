//! The rules of a check, section 2 of the design, implemented a second time: slow, obvious, and without code of the
//! product. It decides on the plain JSON of `check-cases.json`, reads everything each time, and caches nothing.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use md5::Md5;
use semver::{Version, VersionReq};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::reference_read::{Levels, ParsedCheck, read};

/// Answers a check on a tenant as `case` describes it. The answer is one of
/// `{"error": "invalid_parameter", "field": …}`, `{"error": "permission"}` and
/// `{"offers": [every field of each], "msg_code": …}`.
pub(crate) fn check(case: &Value, request: &Value, now: DateTime<Utc>, stale: bool) -> Value {
    let asked = match read(request) {
        Ok(asked) => asked,
        Err(field) => return json!({"error": "invalid_parameter", "field": field}),
    };
    if !flag(&case["tenant"], "enabled", true) {
        return json!({"error": "permission"});
    }
    let Some(app) = app_asked_for(case, &asked.package_name) else {
        return json!({"offers": [], "msg_code": "APP_UNKNOWN"});
    };
    let memberships = asked
        .memberships
        .iter()
        .map(|given| complete(given, &directory_nodes(case)))
        .collect();
    let check = Check {
        case,
        app,
        asked,
        memberships,
        now,
        stale,
    };
    let offers: Vec<Value> = identifiers(app)
        .iter()
        .filter_map(|identifier| decide(&check, identifier))
        .collect();
    json!({"offers": offers, "msg_code": ""})
}

/// "`u64` big-endian of the first 8 bytes of SHA-256("slipway-bucket-v1" ‖ 0x00 ‖ `rollout_key` ‖
/// 0x00 ‖ unit) mod 10000."
pub(crate) fn bucket(rollout_key: &str, unit: &str) -> u64 {
    let digest = Sha256::digest(format!("slipway-bucket-v1\0{rollout_key}\0{unit}"));
    let mut number = 0;
    for byte in &digest[..8] {
        number = number << 8 | u64::from(*byte);
    }
    number % 10_000
}

/// A check in progress: the request, and the state that it is decided on.
struct Check<'a> {
    case: &'a Value,
    app: &'a Value,
    asked: ParsedCheck,
    memberships: Vec<Levels>,
    now: DateTime<Utc>,
    stale: bool,
}

/// "an app … may have `old_package_names`, under which older installs still ask."
fn app_asked_for<'a>(case: &'a Value, name: &str) -> Option<&'a Value> {
    list(&case["apps"]).iter().find(|app| {
        app["package_name"] == name || list(&app["old_package_names"]).iter().any(|it| it == name)
    })
}

/// "Offers: the app itself first, then by identifier, bytewise."
fn identifiers(app: &Value) -> Vec<&str> {
    let mut found: Vec<&str> = list(&app["releases"])
        .iter()
        .map(|it| text(&it["identifier"]))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.sort_by_key(|identifier| app["package_name"] != *identifier);
    found
}

/// "Deciding, for each resource of the app on its own."
fn decide(check: &Check<'_>, identifier: &str) -> Option<Value> {
    if is_switched_off(check, identifier) {
        return None;
    }
    let releases: Vec<&Value> = list(&check.app["releases"])
        .iter()
        .filter(|it| it["identifier"] == identifier && state(it) != "discarded")
        .collect();
    let applicable: Vec<&Value> = releases
        .iter()
        .copied()
        .filter(|it| is_candidate(check, it) && applies(check, it))
        .collect();
    let pin = deciding_pin(check, identifier);
    if pin.is_some_and(|it| it["mode"] == "hold") {
        return None;
    }
    let passing: Vec<&Value> = applicable
        .iter()
        .copied()
        .filter(|it| pin_allows(pin, version(it)))
        .filter(|it| !flag(it, "file_damaged", false))
        .collect();
    let installed = installed(check, identifier);
    let chosen = newest(&passing).map(|newest| stop_at_floor(&passing, installed, newest));
    let installed_release = releases.iter().copied().find(|it| version(it) == installed);

    if let Some(chosen) = chosen {
        let auto_install = is_urgent(&applicable, installed, chosen);
        match version(chosen).cmp(&installed) {
            Ordering::Greater => return Some(offer(check, chosen, auto_install)),
            Ordering::Equal => {
                if needs_repair(check, identifier, chosen) {
                    return Some(offer(check, chosen, auto_install));
                }
            }
            Ordering::Less => {
                if recall_mode(installed_release) == "rollback" && kind(check.app, identifier) != "apk" {
                    let mut rollback = offer(check, chosen, auto_install);
                    rollback["uninstall_type"] = json!(1);
                    return Some(rollback);
                }
            }
        }
    }
    if let Some(recalled) = installed_release
        && recall_mode(installed_release) == "removal"
    {
        let mut removal = offer(check, recalled, flag(recalled, "auto_install", false));
        removal["status"] = json!(0);
        removal["download_url"] = json!("");
        return Some(removal);
    }
    None
}

/// "For the app itself the request's `version_code`; for any other resource its entry in
/// `old_versions`; not listed is not installed"; "the same identifier twice: the highest version";
/// "version 0 means not installed".
fn installed(check: &Check<'_>, identifier: &str) -> i64 {
    if check.app["package_name"] == identifier {
        return check.asked.version_code;
    }
    let entries = check
        .asked
        .old_versions
        .iter()
        .filter(|it| it.identifier == identifier);
    entries.map(|it| it.version_code).max().unwrap_or(0)
}

/// Step 1, "*off switch*: a tenant, app or resource switched off offers nothing."
fn is_switched_off(check: &Check<'_>, identifier: &str) -> bool {
    !flag(&check.case["tenant"], "offers_enabled", true)
        || !flag(check.app, "enabled", true)
        || !flag(settings(check.app, identifier), "enabled", true)
}

/// Step 2, "*candidates*: releases *published*, with `starts_at ≤ now < ends_at`."
fn is_candidate(check: &Check<'_>, release: &Value) -> bool {
    state(release) == "published"
        && time(&release["starts_at"]).is_none_or(|starts_at| starts_at <= check.now)
        && time(&release["ends_at"]).is_none_or(|ends_at| check.now < ends_at)
}

/// Step 3, "*applies*, when all hold."
fn applies(check: &Check<'_>, release: &Value) -> bool {
    host_applies(check, release)
        && device_type_applies(check, release)
        && org_applies(check, release)
        && list(&release["attribute_rules"])
            .iter()
            .all(|rule| attribute_rule_is_true(check, rule))
        && sdk_applies(check, release)
        && rollout_applies(check, release)
}

/// "when the device sends an attribute `sdkInt` below the APK's min SDK, the release does not apply. The attribute may be
/// a number or text. Without it the gate passes"; a value that is not a number counts as absent.
fn sdk_applies(check: &Check<'_>, release: &Value) -> bool {
    let min_sdk = &release["min_sdk"];
    match check.asked.attributes.get("sdkInt") {
        Some(sent) if min_sdk.is_number() => compare_numbers(sent, min_sdk) != Some(Ordering::Less),
        _ => true,
    }
}

/// "`host_version_min ≤ version_code ≤ host_version_max` (each bound optional, inclusive)."
fn host_applies(check: &Check<'_>, release: &Value) -> bool {
    let host = check.asked.version_code;
    release["host_version_min"]
        .as_i64()
        .is_none_or(|least| least <= host)
        && release["host_version_max"]
            .as_i64()
            .is_none_or(|most| host <= most)
}

/// "the device-type list is empty, or holds the device's type (a device that sends none matches
/// only an empty list)."
fn device_type_applies(check: &Check<'_>, release: &Value) -> bool {
    let types = list(&release["device_types"]);
    match &check.asked.device_type {
        _ if types.is_empty() => true,
        Some(device_type) => types.iter().any(|it| it == device_type),
        None => false,
    }
}

/// "Without scopes and exclusions, everyone. Otherwise the deepest matching scope must be deeper
/// than the deepest matching exclusion (a tie excludes; no scopes = a scope of depth 0)."
fn org_applies(check: &Check<'_>, release: &Value) -> bool {
    let scopes = list(&release["org_scopes"]);
    let exclusions = list(&release["org_exclusions"]);
    let scope = if scopes.is_empty() {
        Some(0)
    } else {
        deepest_match(check, scopes)
    };
    match (scope, deepest_match(check, exclusions)) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(scope), Some(exclusion)) => scope > exclusion,
    }
}

/// "With several memberships a scope or an exclusion matching any of them counts for the whole
/// device."
fn deepest_match(check: &Check<'_>, scopes: &[Value]) -> Option<usize> {
    scopes
        .iter()
        .map(scope_levels)
        .filter(|scope| check.memberships.iter().any(|levels| agrees(scope, levels)))
        .filter_map(|scope| deepest_level(&scope))
        .max()
}

/// "A scope names level codes and matches when each level it names equals the device's."
fn agrees(scope: &Levels, levels: &Levels) -> bool {
    scope
        .iter()
        .zip(levels)
        .all(|(named, own)| named.is_none() || named == own)
}

fn scope_levels(scope: &Value) -> Levels {
    let mut levels = Levels::default();
    for (level, code) in (1..).zip(&mut levels) {
        *code = scope[format!("l{level}Code")].as_str().map(str::to_owned);
    }
    levels
}

/// "its depth is the deepest level it names."
fn deepest_level(levels: &Levels) -> Option<usize> {
    (1..=5).rev().find(|level| levels[level - 1].is_some())
}

/// "A leaf is completed when exactly one directory node at its level has that code *and* agrees
/// with every level given"; "the missing ancestors are filled in from there; otherwise nothing is".
fn complete(given: &Levels, nodes: &[Levels]) -> Levels {
    let matching: Vec<&Levels> = nodes
        .iter()
        .filter(|node| deepest_level(node) == deepest_level(given) && agrees(given, node))
        .collect();
    match matching[..] {
        [only] => only.clone(),
        _ => given.clone(),
    }
}

/// Every node of the org directory; "a missing ancestor is implied".
fn directory_nodes(case: &Value) -> Vec<Levels> {
    let mut nodes = Vec::new();
    for path in list(&case["org_directory"]) {
        for depth in 1..=list(path).len() {
            let node = path_levels(&list(path)[..depth]);
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
    }
    nodes
}

/// Level codes from l1 down.
fn path_levels(path: &[Value]) -> Levels {
    let mut levels = Levels::default();
    for (code, level) in path.iter().zip(&mut levels) {
        *level = Some(text(code).to_owned());
    }
    levels
}

/// "A rule on an attribute the device did not send is false, negative ones too; only
/// `exists: false` is true then."
fn attribute_rule_is_true(check: &Check<'_>, rule: &Value) -> bool {
    let wanted = &rule["value"];
    let Some(sent) = check.asked.attributes.get(text(&rule["name"])) else {
        return rule["op"] == "exists" && *wanted == json!(false);
    };
    match text(&rule["op"]) {
        "exists" => *wanted == json!(true),
        "eq" => *sent == scalar_text(wanted),
        "ne" => *sent != scalar_text(wanted),
        "in" => list(wanted).iter().any(|it| *sent == scalar_text(it)),
        "not_in" => list(wanted).iter().all(|it| *sent != scalar_text(it)),
        "gt" => compare_numbers(sent, wanted) == Some(Ordering::Greater),
        "ge" => matches!(
            compare_numbers(sent, wanted),
            Some(Ordering::Greater | Ordering::Equal)
        ),
        "lt" => compare_numbers(sent, wanted) == Some(Ordering::Less),
        "le" => matches!(
            compare_numbers(sent, wanted),
            Some(Ordering::Less | Ordering::Equal)
        ),
        "semver" => semver_matches(sent, text(wanted)),
        op => panic!("no such op: {op}"),
    }
}

/// "compare as text (8 equals "8")."
fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// "numeric rules take numbers in text"; any other text makes the rule false.
fn compare_numbers(sent: &str, wanted: &Value) -> Option<Ordering> {
    let sent = sent.trim();
    if let (Ok(sent), Some(wanted)) = (sent.parse::<i64>(), wanted.as_i64()) {
        return Some(sent.cmp(&wanted));
    }
    let sent: f64 = sent.parse().ok()?;
    if sent.is_finite() {
        sent.partial_cmp(&wanted.as_f64()?)
    } else {
        None
    }
}

/// "`semver` pads short versions (8.1 is 8.1.0) and treats pre-releases as the `semver` crate
/// does."
fn semver_matches(sent: &str, requirement: &str) -> bool {
    let end = sent.find(['-', '+']).unwrap_or(sent.len());
    let (core, rest) = sent.split_at(end);
    let padding = match core.split('.').count() {
        1 => ".0.0",
        2 => ".0",
        _ => "",
    };
    let requirement = VersionReq::parse(requirement).expect("the catalog holds requirements only");
    Version::parse(&format!("{core}{padding}{rest}")).is_ok_and(|it| requirement.matches(&it))
}

/// "the device is on the release's allow-list, or its bucket is below the share"; when *stale* "a
/// release whose share is below 100 passes the rollout gate only through its allow-list".
fn rollout_applies(check: &Check<'_>, release: &Value) -> bool {
    if list(&release["device_ids"])
        .iter()
        .any(|it| *it == check.asked.device_id)
    {
        return true;
    }
    let rollout = &release["rollout"];
    let share = hundredths(rollout["percent"].as_f64().unwrap_or(100.0));
    if check.stale && share < 10_000 {
        return false;
    }
    let own_key = format!("{}@{}", text(&release["identifier"]), version(release));
    let key = rollout["key"].as_str().unwrap_or(&own_key);
    let units = rollout_units(check, rollout["unit"].as_str().unwrap_or("device"));
    units.iter().any(|unit| bucket(key, unit) < share)
}

/// "hundredths of a percent."
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 to 10000"
)]
fn hundredths(percent: f64) -> u64 {
    (percent * 100.0).round() as u64
}

/// "`unit` is `d:` + device id, or, when the rollout goes by store, `o` + level + `:` + the codes
/// down to that level joined with `/`"; "levels still unknown after completion are left out";
/// "memberships without the level are left out; only when all lack it does the device count by
/// device".
fn rollout_units(check: &Check<'_>, unit: &str) -> Vec<String> {
    let mut units = Vec::new();
    for level in 1..=5 {
        for levels in &check.memberships {
            if unit == format!("l{level}") && levels[level - 1].is_some() {
                let codes: Vec<&str> = levels[..level].iter().flatten().map(String::as_str).collect();
                units.push(format!("o{level}:{}", codes.join("/")));
            }
        }
    }
    if units.is_empty() {
        units.push(format!("d:{}", check.asked.device_id));
    }
    units
}

/// Step 4, "*pins* (per device or org node; a device's beats a node's, a deeper node's beats a
/// shallower one's)"; "pins count while now < `expires_at`; of equally deep ones the strictest
/// (hold, then the lowest version)".
fn deciding_pin<'a>(check: &Check<'a>, identifier: &str) -> Option<&'a Value> {
    list(&check.app["pins"])
        .iter()
        .filter(|pin| pin["identifier"] == identifier)
        .filter(|pin| time(&pin["expires_at"]).is_none_or(|expires_at| check.now < expires_at))
        .filter_map(|pin| Some((pin_depth(check, pin)?, pin)))
        .min_by_key(|(depth, pin)| {
            let looser = pin["mode"] != "hold";
            (
                std::cmp::Reverse(*depth),
                looser,
                pin["version_code"].as_i64(),
                pin["mode"] == "ceiling",
            )
        })
        .map(|(_, pin)| pin)
}

/// Returns the depth of a pin's target if it matches this device: 1 to 5 for a node, 6 for the device itself.
fn pin_depth(check: &Check<'_>, pin: &Value) -> Option<usize> {
    if pin["device_id"].is_string() {
        return (pin["device_id"] == check.asked.device_id).then_some(6);
    }
    let node = path_levels(list(&pin["org_path"]));
    let is_own = check.memberships.iter().any(|levels| agrees(&node, levels));
    if is_own { deepest_level(&node) } else { None }
}

/// "`exact V` only V, `ceiling V` only versions ≤ V."
fn pin_allows(pin: Option<&Value>, version_code: i64) -> bool {
    let Some(pin) = pin else { return true };
    let bound = version(pin);
    if pin["mode"] == "exact" {
        version_code == bound
    } else {
        version_code <= bound
    }
}

/// Step 5, "*choose* the highest `version_code` that passes."
fn newest<'a>(passing: &[&'a Value]) -> Option<&'a Value> {
    passing.iter().copied().max_by_key(|it| version(it))
}

/// Step 6, "*floors*: if installed < floor < chosen, the lowest such floor that passes is the
/// choice. Fresh installs skip floors."
fn stop_at_floor<'a>(passing: &[&'a Value], installed: i64, newest: &'a Value) -> &'a Value {
    if installed == 0 {
        return newest;
    }
    passing
        .iter()
        .copied()
        .filter(|it| flag(it, "floor", false))
        .filter(|it| installed < version(it) && version(it) < version(newest))
        .min_by_key(|it| version(it))
        .unwrap_or(newest)
}

/// Step 7, "equal: nothing, unless the resource has `repair_on_mismatch` and the device sent an
/// `md5` that differs (case aside)"; "of two digests for the same version the first counts"; "the
/// app's own digest comes from its entry with the same version".
fn needs_repair(check: &Check<'_>, identifier: &str, chosen: &Value) -> bool {
    let entries = check.asked.old_versions.iter();
    let sent = entries
        .filter(|it| it.identifier == identifier && it.version_code == version(chosen))
        .find_map(|it| it.md5.as_deref());
    flag(settings(check.app, identifier), "repair_on_mismatch", false)
        && sent.is_some_and(|sent| !sent.eq_ignore_ascii_case(&release_md5(chosen)))
}

/// Step 8, "`auto_install` is true when the chosen release says so, or any applicable `mandatory`
/// release lies in (installed, chosen]"; "not installed counts as 0".
fn is_urgent(applicable: &[&Value], installed: i64, chosen: &Value) -> bool {
    flag(chosen, "auto_install", false)
        || applicable
            .iter()
            .filter(|it| flag(it, "mandatory", false))
            .any(|it| installed < version(it) && version(it) <= version(chosen))
}

/// "*The answer*. Every field of the seed's table, never null."
fn offer(check: &Check<'_>, release: &Value, auto_install: bool) -> Value {
    let identifier = text(&release["identifier"]);
    let version_code = version(release);
    let config_json = if release["config_json"].is_null() {
        json!({})
    } else {
        release["config_json"].clone()
    };
    let own_icon = text(&release["icon_url"]);
    json!({
        "config_json": config_json.to_string(),
        "download_url": given_or(&release["download_url"], || {
            format!("https://cdn.example.com/{identifier}/{version_code}.bin")
        }),
        "status": 1,
        "qrcode": text(&release["qrcode"]),
        "size": release["size"].as_i64().unwrap_or(1000 + version_code % 1000),
        "update_desc": text(&release["update_desc"]),
        "version_code": version_code,
        "version_name": given_or(&release["version_name"], || format!("1.0.{version_code}")),
        "icon_url": if own_icon.is_empty() { text(&check.app["icon_url"]) } else { own_icon },
        "md5": release_md5(release),
        "auto_install": auto_install,
        "app_name": text(&check.app["app_name"]),
        "package_name": text(&check.app["package_name"]),
        "old_package_name": old_package_name(check),
        "identifier": identifier,
    })
}

/// "`old_package_name` the old name that the device asked under, else the first old name, else
/// `""`."
fn old_package_name<'a>(check: &'a Check<'_>) -> &'a str {
    let old_names = list(&check.app["old_package_names"]);
    if old_names.iter().any(|it| *it == check.asked.package_name) {
        return &check.asked.package_name;
    }
    old_names.first().map_or("", text)
}

/// "`md5` 32 lower-case hex digits"; the default in a case is that of the text `<identifier>:<version_code>`.
pub(crate) fn release_md5(release: &Value) -> String {
    let default = || {
        let digest = Md5::digest(format!("{}:{}", text(&release["identifier"]), version(release)));
        format!("{:032x}", u128::from_be_bytes(digest.into()))
    };
    given_or(&release["md5"], default).to_lowercase()
}

/// Returns the settings of a resource. Null, if there are none, means all defaults.
fn settings<'a>(app: &'a Value, identifier: &str) -> &'a Value {
    let all = list(&app["resources"]);
    all.iter()
        .find(|it| it["identifier"] == identifier)
        .unwrap_or(&Value::Null)
}

/// "A resource's kind is `apk` for the app itself and `other` otherwise, until set."
fn kind<'a>(app: &'a Value, identifier: &str) -> &'a str {
    let default = if app["package_name"] == identifier {
        "apk"
    } else {
        "other"
    };
    settings(app, identifier)["kind"].as_str().unwrap_or(default)
}

fn state(release: &Value) -> &str {
    release["state"].as_str().unwrap_or("published")
}

/// Returns `stop`, `rollback` or `removal`, or an empty text if there is no release or it is not recalled.
fn recall_mode(release: Option<&Value>) -> &str {
    match release {
        Some(release) if state(release) == "recalled" => text(&release["recall_mode"]),
        _ => "",
    }
}

/// Returns the version code of a release or a pin.
fn version(value: &Value) -> i64 {
    value["version_code"]
        .as_i64()
        .expect("the catalog holds integers from 1 to 2^63 - 1")
}

fn flag(value: &Value, member: &str, default: bool) -> bool {
    value[member].as_bool().unwrap_or(default)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Returns a text, or the empty text if it is absent.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn given_or(value: &Value, default: impl FnOnce() -> String) -> String {
    value.as_str().map_or_else(default, str::to_owned)
}

fn time(value: &Value) -> Option<DateTime<Utc>> {
    value
        .as_str()
        .map(|it| it.parse().expect("the catalog holds RFC 3339 times"))
}
