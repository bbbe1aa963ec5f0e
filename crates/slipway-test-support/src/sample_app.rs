//! An app made in memory, and a check of it, for measuring the resolver alone.

use chrono::{DateTime, Utc};
use serde_json::json;
use slipway::http::OFFER_ENCODERS;
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::ids::{AppId, ReleaseId};
use slipway_domain::catalog::release::{FileFacts, Release, ReleaseContent, ReleaseState};
use slipway_domain::catalog::rollout::{Rollout, RolloutUnit, Share};
use slipway_domain::catalog::text::{
    ConfigJson, Identifier, Md5, Name, PackageName, UpdateDescription, Url, VersionName,
};
use slipway_domain::catalog::version::VersionCode;
use slipway_resolver::{Check, CheckContext, CheckFields, PublishedApp, RawField, read_check};
use uuid::Uuid;

const APP: &str = "com.example.app";

/// An app of so many resources with so many releases each. Every third release is for another region, every fourth is
/// a rollout of one percent, so that deciding has something to pass over.
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
        content: ReleaseContent {
            version_code: VersionCode::of_release(i64::try_from(version).expect("small")).expect("valid"),
            version_name: VersionName::parse(format!("1.0.{version}")).expect("valid"),
            file: FileFacts {
                download_url: Url::parse("https://files.example/a.bin").expect("valid"),
                size: 1_000_000,
                md5: Md5::parse("0cc175b9c0f1b6a831c399e269772661").expect("valid"),
                sha256: None,
            },
            update_desc: UpdateDescription::empty(),
            auto_install: false,
            mandatory: false,
            floor: false,
            qrcode: None,
            icon_url: None,
            config_json: ConfigJson::empty(),
            targeting: serde_json::from_value(targeting).expect("valid"),
            rollout: Rollout {
                share: Share::from_hundredths(share).expect("valid"),
                key: None,
                unit: RolloutUnit::Device,
            },
            starts_at: None,
            ends_at: None,
        },
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
