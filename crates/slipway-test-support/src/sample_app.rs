//! An app in memory and a check of it, for measuring the resolver alone.

use chrono::{DateTime, Utc};
use serde_json::json;
use slipway::http::OFFER_ENCODERS;
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::ids::{AppId, ReleaseId};
use slipway_domain::catalog::release::{Release, ReleaseState};
use slipway_domain::catalog::release_content::{ReleaseChanges, ReleaseContent};
use slipway_domain::catalog::rollout::{RolloutChanges, Share};
use slipway_domain::catalog::targeting::Targeting;
use slipway_domain::catalog::text::{Identifier, Md5, Name, PackageName, Url, VersionName};
use slipway_domain::catalog::version::VersionCode;
use slipway_resolver::{Check, CheckContext, CheckFields, PublishedApp, RawField, read_check};
use uuid::Uuid;

const APP: &str = "com.example.app";

/// Creates an app with this number of resources, each with this number of releases. Every third release targets another
/// region and every fourth is a one-percent rollout, so that a decision has to skip some.
pub fn app(resources: usize, releases_each: usize) -> PublishedApp {
    let app = App {
        id: AppId::from_uuid(Uuid::nil()),
        package_name: PackageName::parse(APP).expect("valid"),
        app_name: Name::parse("An app").expect("valid"),
        old_package_names: Vec::new(),
        icon_url: None,
        enabled: true,
    };
    let mut all_releases = Vec::new();
    let mut all_resources = Vec::new();
    for number in 0..resources {
        let identifier = Identifier::parse(format!("{APP}.module{number}")).expect("valid");
        all_resources.push(Resource::first_seen(&app, identifier.clone()));
        for version in 1..=releases_each {
            all_releases.push(release(&app, &identifier, version));
        }
    }
    PublishedApp::compile(&app, all_resources, all_releases, Vec::new(), &OFFER_ENCODERS)
        .expect("the sample is not too large")
}

fn release(app: &App, identifier: &Identifier, version: usize) -> Release {
    let region = if version.is_multiple_of(3) {
        "NORTH"
    } else {
        "EAST"
    };
    let share = if version.is_multiple_of(4) { 100 } else { 10_000 };
    let targeting = json!({
        "org_scopes": [{"l1Code": "FM", "l2Code": region}],
        "device_types": ["10013", "10021"],
        "host_version_min": 1,
        "attribute_rules": [{"name": "abi", "op": "in", "value": ["arm64-v8a", "armeabi-v7a"]}],
    });
    Release {
        id: ReleaseId::from_uuid(Uuid::now_v7()),
        app_id: app.id,
        identifier: identifier.clone(),
        state: ReleaseState::Published,
        content: content(version, share, serde_json::from_value(targeting).expect("valid")),
        artifact: None,
    }
}

fn content(version: usize, share: i64, targeting: Targeting) -> ReleaseContent {
    let version_code = i64::try_from(version).expect("small");
    let changes = ReleaseChanges {
        version_code: Some(VersionCode::of_release(version_code).expect("valid")),
        version_name: Some(VersionName::parse(format!("1.0.{version}")).expect("valid")),
        download_url: Some(Some(Url::parse("https://files.example/a.bin").expect("valid"))),
        size: Some(1_000_000),
        md5: Some(Md5::parse("0cc175b9c0f1b6a831c399e269772661").expect("valid")),
        rollout: Some(RolloutChanges {
            share: Some(Share::from_hundredths(share).expect("valid")),
            ..RolloutChanges::default()
        }),
        ..ReleaseChanges::default()
    };
    ReleaseContent {
        targeting,
        ..changes.into_new().expect("complete")
    }
}

pub const FIELDS: CheckFields<'static> = CheckFields {
    package_name: RawField::Text(APP),
    version_code: RawField::Text("50"),
    device_id: RawField::Text("FM8007PDA001"),
    device_type: RawField::Text("10013"),
    old_versions: RawField::Text(
        r#"{"com.example.app.module0": 3, "com.example.app.module1": {"versionCode": 2}}"#,
    ),
    org_info: RawField::Text(r#"{"l1Code":"FM","l2Code":"EAST","l3Code":"8007"}"#),
    attributes: RawField::Text(r#"{"abi":"arm64-v8a","os":{"sdk":30}}"#),
};

pub fn check() -> Check<'static> {
    read_check(&FIELDS).expect("valid")
}

pub fn check_context() -> CheckContext {
    CheckContext {
        now: DateTime::<Utc>::from_timestamp(1_800_000_000, 0).expect("valid"),
        offers_enabled: true,
        stale: false,
    }
}
