//! Tests of the layout of a block, which is not self-describing.

use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use chrono::DateTime;
use serde_json::{Value, json};
use sha2::Digest;
use uuid::Uuid;

use super::content::{self, Packer};
use super::frames::{Block, ChainPosition, FrameWriter, Header, PackedBlock};
use super::previous::{BlockIndex, IndexedBlock, PreviousSnapshot};
use super::throttle::Throttle;
use super::{FORMAT, SnapshotError};
use crate::http::{JSON, OFFER_ENCODERS};
use crate::live::published::{LiveAppKey, LoadedApp, PublishedTenant, TenantParts};
use crate::secrets::{Keyring, SealedSecret};
use crate::storage::credentials::device_keys::DeviceKeyHash;
use slipway_domain::access::AppKeyRole;
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::enrolment::EnrolmentPolicy;
use slipway_domain::catalog::ids::{AppId, KeyId, PinId, ReleaseId, TenantId};
use slipway_domain::catalog::min_sdk::MinSdk;
use slipway_domain::catalog::org::{OrgCode, OrgDirectory};
use slipway_domain::catalog::pin::{Pin, PinMode, PinTarget};
use slipway_domain::catalog::push::{UrlScheme, UrlSchemes};
use slipway_domain::catalog::release::{RecallMode, Release, ReleaseState};
use slipway_domain::catalog::release_content::{ReleaseContent, ReleaseFile};
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::rollout::{Rollout, RolloutUnit, Share};
use slipway_domain::catalog::tenant::Tenant;
use slipway_domain::catalog::text::{
    ConfigJson, DeviceId, Identifier, Md5, Name, PackageName, Reason, RolloutKey, Sha256, UpdateDescription,
    Url, VersionName,
};
use slipway_domain::catalog::version::VersionCode;
use slipway_resolver::{CheckContext, CheckFields, PublishedApp, RawField, decide, explain, read_check};

const STATES: [ReleaseState; 7] = [
    ReleaseState::Draft,
    ReleaseState::Published,
    ReleaseState::Paused,
    ReleaseState::Recalled(RecallMode::Stop),
    ReleaseState::Recalled(RecallMode::Rollback),
    ReleaseState::Recalled(RecallMode::Removal),
    ReleaseState::Discarded,
];

/// A failure means that existing blocks would be misinterpreted: increment [`FORMAT`] and update the digest.
#[test]
fn what_a_block_holds_changes_with_the_format_alone() {
    let packed = pack(Some(&sample()));
    let bytes = zstd::decode_all(packed.bytes.as_slice()).unwrap();
    assert_eq!(bytes.len() as u64, packed.unpacked);
    let digest = hex::encode(sha2::Sha256::digest(&bytes));
    let known = "7cc6d74c4dca81ddebe88e3c60350aa58001d70afb7c5f24cd0ed09407991272";
    assert_eq!((FORMAT, digest.as_str()), (9, known));
}

#[test]
fn a_block_unpacks_to_what_was_packed() {
    let keyring = Keyring::parse("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap();
    for published in [None, Some(sample())] {
        let packed = pack(published.as_ref());
        let block = Block {
            tenant: tenant_id(),
            bytes: &packed.bytes,
            unpacked: usize::try_from(packed.unpacked).unwrap(),
        };
        let again = content::unpack(&block, &keyring).unwrap();
        assert_eq!(again.is_some(), published.is_some());
        let again = pack(again.as_ref());
        assert_eq!((again.bytes, again.unpacked), (packed.bytes, packed.unpacked));
    }
}

/// A block may be authentic and still wrong, if a program with a defect wrote it.
#[test]
fn wrong_content_is_refused_as_a_whole_or_can_be_decided_on() {
    let packed = pack(Some(&sample()));
    let bytes = zstd::decode_all(packed.bytes.as_slice()).unwrap();
    let mut refused = 0;
    for position in 0..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[position] ^= 1;
        match unpack(&wrong) {
            Ok(Some(published)) => published.loaded_apps().for_each(|loaded| decide_on(&loaded.app)),
            Ok(None) => {}
            Err(error) => {
                assert!(matches!(error, SnapshotError::Contents { .. }), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 100, "{refused} of {}", bytes.len());
}

fn unpack(bytes: &[u8]) -> Result<Option<PublishedTenant>, SnapshotError> {
    let keyring = Keyring::parse("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap();
    let block = Block {
        tenant: tenant_id(),
        bytes: &zstd::bulk::compress(bytes, 1).unwrap(),
        unpacked: bytes.len(),
    };
    content::unpack(&block, &keyring)
}

fn decide_on(app: &PublishedApp) {
    let fields = CheckFields {
        package_name: RawField::Text("com.hema.wms"),
        version_code: RawField::Text("2"),
        device_id: RawField::Text("PDA001"),
        device_type: RawField::Text("10013"),
        old_versions: RawField::Text(r#"{"com.hema.wms.chuku":1}"#),
        org_info: RawField::Text(r#"{"l1Code":"HM","l3Code":"8007"}"#),
        attributes: RawField::Text(r#"{"os":"8"}"#),
    };
    let check = read_check(&fields).unwrap();
    let context = CheckContext {
        now: DateTime::from_timestamp(1_750_000_000, 0).unwrap(),
        stale: false,
        offers_enabled: true,
    };
    for offer in decide(app, &check, &context) {
        JSON.write(&offer, &mut Vec::new());
    }
    explain(app, &check, &context);
}

#[test]
fn blocks_of_what_did_not_change_are_copied_unless_they_are_damaged() {
    let keyring = Keyring::parse("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap();
    let published = Arc::new(sample());
    let packed = pack(Some(&published));
    let previous = previous(&keyring, &published, &packed);
    let copied = previous.find(tenant_id(), &published, &keyring).unwrap();
    assert_eq!((copied.bytes, copied.unpacked), (packed.bytes, packed.unpacked));
    // Another load of the same tenant may have another state.
    let again = Arc::new(sample());
    assert!(previous.find(tenant_id(), &again, &keyring).is_none());

    let mut bytes = Vec::new();
    (&previous.file).rewind().unwrap();
    (&previous.file).read_to_end(&mut bytes).unwrap();
    // Everything between the header and the end is the block.
    let (header, end) = (8 + 4 + 12 + 8 + 16 + 16 + 8 + 8 + 32 + 32, 8 + 32);
    for damaged in header..bytes.len() - end {
        (&previous.file).seek(SeekFrom::Start(damaged as u64)).unwrap();
        (&previous.file).write_all(&[bytes[damaged] ^ 1]).unwrap();
        assert!(previous.find(tenant_id(), &published, &keyring).is_none());
        (&previous.file).seek(SeekFrom::Start(damaged as u64)).unwrap();
        (&previous.file).write_all(&bytes[damaged..=damaged]).unwrap();
    }
    assert!(previous.find(tenant_id(), &published, &keyring).is_some());
}

/// Returns a snapshot of one tenant.
fn previous(keyring: &Keyring, published: &Arc<PublishedTenant>, packed: &PackedBlock) -> PreviousSnapshot {
    let header = Header {
        as_of: DateTime::UNIX_EPOCH,
        installation: uuid(5),
        block_count: 1,
        journal: ChainPosition::START,
    };
    let file = tempfile::tempfile().unwrap();
    let mut frames = FrameWriter::begin(&file, keyring, &header).unwrap();
    let location = frames.add(tenant_id(), packed).unwrap();
    let blocks = [(tenant_id(), IndexedBlock::new(published, location))].into();
    let header_tag = frames.finish().unwrap();
    PreviousSnapshot {
        file,
        index: BlockIndex { header_tag, blocks },
    }
}

fn pack(published: Option<&PublishedTenant>) -> PackedBlock {
    let throttle = Throttle::default();
    let mut packer = Packer::new(throttle.begin());
    // No state of one tenant may leak into the next.
    packer.pack(tenant_id(), Some(&sample())).unwrap();
    packer.pack(tenant_id(), published).unwrap()
}

fn tenant_id() -> TenantId {
    TenantId::parse(10_000_000).unwrap()
}

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn revision(revision: i64) -> CatalogRevision {
    CatalogRevision {
        revision,
        head: "0123456789abcdef".to_owned(),
    }
}

/// Returns a sample of every kind of content. Each map has at most one entry, because the order of a map is random.
fn sample() -> PublishedTenant {
    let sealed = SealedSecret {
        key_id: "0123456789ab".to_owned(),
        sealed: "AAAA".to_owned(),
    };
    let app_key = LiveAppKey {
        app_key: "10001".into(),
        id: KeyId::from_uuid(uuid(1)),
        role: AppKeyRole::Operator,
        expires_at: DateTime::from_timestamp(5, 0),
        secrets: ["never written".into()].into_iter().collect(),
        sealed: [sealed].into(),
    };
    PublishedTenant::new(TenantParts {
        revision: revision(7),
        tenant: Tenant {
            id: tenant_id(),
            name: Name::parse("A tenant").unwrap(),
            enabled: true,
            offers_enabled: false,
            push_url_schemes: UrlSchemes::only(vec![UrlScheme::parse("https").unwrap()]).unwrap(),
            enrolment: EnrolmentPolicy::Code,
            artifact_quota: slipway_domain::catalog::artifact::ArtifactQuota::default(),
        },
        download_urls: DownloadUrls::new(Some("https://files.example")).unwrap(),
        directory_etag: Some("an etag".to_owned()),
        directory: OrgDirectory::new([&["HM"][..]]).into(),
        device_keys: [(
            KeyId::from_uuid(uuid(2)),
            DeviceKeyHash {
                hash: "a hash".to_owned(),
                expires_at: DateTime::from_timestamp(4, 0),
            },
        )]
        .into(),
        app_keys: vec![app_key],
        apps: vec![LoadedApp {
            id: AppId::from_uuid(uuid(3)),
            revision: revision(5),
            app: app().into(),
        }],
    })
}

fn app() -> PublishedApp {
    let app = App {
        id: AppId::from_uuid(uuid(3)),
        package_name: PackageName::parse("com.hema.wms").unwrap(),
        app_name: Name::parse("A <name>").unwrap(),
        old_package_names: vec![PackageName::parse("com.hema.old").unwrap()],
        icon_url: Some(Url::parse("https://files.example/icon.png").unwrap()),
        enabled: true,
    };
    let identifier = Identifier::parse("com.hema.wms.chuku").unwrap();
    let resource = Resource {
        repair_on_mismatch: true,
        ..Resource::first_seen(&app, identifier.clone())
    };
    let releases = STATES
        .into_iter()
        .zip(1..)
        .map(|(state, version_code)| release(&app, &identifier, state, version_code));
    PublishedApp::compile(
        &app,
        vec![resource],
        releases.collect(),
        pins(&app, &identifier),
        &OFFER_ENCODERS,
    )
    .unwrap()
}

fn release(app: &App, identifier: &Identifier, state: ReleaseState, version_code: i64) -> Release {
    let is_first = version_code == 1;
    let targeting = if is_first { targeting() } else { json!({}) };
    let at = |seconds| DateTime::from_timestamp(seconds, 0).filter(|_| is_first);
    let unit = if is_first {
        serde_json::from_value(json!({"Level": 3})).unwrap()
    } else {
        RolloutUnit::Device
    };
    Release {
        id: ReleaseId::from_uuid(uuid(100)),
        app_id: app.id,
        identifier: identifier.clone(),
        state,
        content: ReleaseContent {
            version_code: version(version_code),
            version_name: VersionName::parse("1.0.1").unwrap(),
            file: ReleaseFile {
                download_url: Some(Url::parse("https://files.example/a.bin?a=1&b=2").unwrap()),
                artifact: None,
                size: 1_000,
                md5: Md5::parse("0cc175b9c0f1b6a831c399e269772661").unwrap(),
                sha256: Some(Sha256::parse(&"5".repeat(64)).unwrap()),
                min_sdk: MinSdk::of_file(30).filter(|_| is_first),
            },
            update_desc: UpdateDescription::parse("Better \"tills\"\n").unwrap(),
            auto_install: true,
            mandatory: false,
            floor: true,
            qrcode: Some(Url::parse("https://files.example/qr").unwrap()),
            icon_url: None,
            config_json: ConfigJson::empty(),
            targeting: serde_json::from_value(targeting).unwrap(),
            rollout: Rollout {
                share: Share::from_hundredths(2_500).unwrap(),
                key: is_first.then(|| RolloutKey::parse("a key").unwrap()),
                unit,
            },
            starts_at: at(1_700_000_000),
            ends_at: at(1_800_000_000),
        },
        artifact: None,
    }
}

fn version(number: i64) -> VersionCode {
    VersionCode::new(number).unwrap()
}

fn targeting() -> Value {
    json!({
        "org_scopes": [{"l1Code": "HM", "l3Code": "8007"}],
        "org_exclusions": [{"l2Code": "HM-BJ"}],
        "device_types": ["10013"],
        "host_version_min": 2,
        "host_version_max": 3,
        "attribute_rules": [{"name": "os", "op": "semver", "value": ">=8"}],
        "device_ids": ["PDA001"],
    })
}

fn pins(app: &App, identifier: &Identifier) -> Vec<Pin> {
    let node = PinTarget::OrgNode(vec![OrgCode::parse("HM").unwrap()]);
    let device = PinTarget::Device(DeviceId::parse("PDA001").unwrap());
    let pins = [
        (node.clone(), PinMode::Hold),
        (node.clone(), PinMode::Exact(version(2))),
        (node, PinMode::Ceiling(version(3))),
        (device, PinMode::Hold),
    ];
    let pin = |(target, mode)| Pin {
        id: PinId::from_uuid(uuid(4)),
        app_id: app.id,
        identifier: identifier.clone(),
        target,
        mode,
        reason: Reason::parse("a trial").unwrap(),
        expires_at: DateTime::from_timestamp(1_900_000_000, 0),
    };
    pins.into_iter().map(pin).collect()
}
