//! Conversion between releases and rows.

use sea_orm::prelude::Uuid;

use super::super::StorageError;
use super::super::effective_releases::is_effective;
use super::super::entity::release::Model;
use super::super::row::{Row, to_json};
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::ids::{AppId, ReleaseId};
use slipway_domain::catalog::min_sdk::MinSdk;
use slipway_domain::catalog::release::{RecallMode, Release, ReleaseRecord, ReleaseState, ReleaseStateKind};
use slipway_domain::catalog::release_content::{ReleaseContent, ReleaseFile};
use slipway_domain::catalog::rollout::{Rollout, RolloutUnit, Share};
use slipway_domain::catalog::text::{
    ConfigJson, Identifier, Md5, Reason, RolloutKey, Sha256, UpdateDescription, Url, VersionName,
};
use slipway_domain::catalog::version::{VersionCode, semver_order_key};
use slipway_domain::catalog::versioned::Versioned;

pub(super) fn write(tenant_id: i64, stored: &Versioned<ReleaseRecord>) -> Model {
    let record = &stored.value;
    let release = &record.release;
    let content = &release.content;
    let ReleaseFile {
        download_url,
        artifact,
        size,
        md5,
        sha256,
        min_sdk,
    } = &content.file;
    Model {
        tenant_id,
        id: release.id.uuid(),
        app_id: release.app_id.uuid(),
        identifier: release.identifier.as_str().to_owned(),
        version_code: content.version_code.get(),
        version_name: content.version_name.as_str().to_owned(),
        state: release.state.name().to_owned(),
        recall_mode: release.state.recall_mode().map(|mode| mode.as_str().to_owned()),
        recall_reason: record.recall_reason.clone().map(Reason::into_string),
        // Empty for an artifact, whose address can change. Older versions of the program refuse such a row.
        download_url: match artifact {
            Some(_) => String::new(),
            None => download_url.clone().map(Url::into_string).unwrap_or_default(),
        },
        size: *size,
        md5: md5.as_str().to_owned(),
        sha256: sha256.as_ref().map(|digest| digest.as_str().to_owned()),
        update_desc: content.update_desc.as_str().to_owned(),
        auto_install: content.auto_install,
        mandatory: content.mandatory,
        floor: content.floor,
        qrcode: content.qrcode.clone().map(Url::into_string),
        icon_url: content.icon_url.clone().map(Url::into_string),
        config_json: content.config_json.as_str().to_owned(),
        targeting: to_json(&content.targeting),
        rollout_share: content.rollout.share.hundredths().into(),
        rollout_key: content.rollout.key.clone().map(RolloutKey::into_string),
        rollout_unit: content.rollout.unit.to_string(),
        starts_at: content.starts_at,
        ends_at: content.ends_at,
        etag: stored.etag.clone(),
        created_at: stored.created_at,
        updated_at: stored.updated_at,
        published_at: record.published_at,
        effective: is_effective(release.state),
        version_order: Some(semver_order_key(&content.version_name)),
        artifact_sha256: artifact.as_ref().map(|digest| digest.as_str().to_owned()),
        min_sdk: min_sdk.map(|level| level.get().into()),
    }
}

pub(super) fn read(model: Model) -> Result<Versioned<ReleaseRecord>, StorageError> {
    let row = Row::of("releases", model.id);
    let state = row.column("state", read_state(&model.state, model.recall_mode.as_deref()))?;
    let recall_reason = model.recall_reason.clone().map(Reason::parse).transpose();
    Ok(Versioned {
        etag: model.etag.clone(),
        created_at: model.created_at,
        updated_at: model.updated_at,
        value: ReleaseRecord {
            recall_reason: row.column("recall_reason", recall_reason)?,
            published_at: model.published_at,
            release: Release {
                id: ReleaseId::from_uuid(model.id),
                app_id: AppId::from_uuid(model.app_id),
                identifier: row.column("identifier", Identifier::parse(model.identifier.clone()))?,
                state,
                content: read_content(&row, model)?,
                artifact: None,
            },
        },
    })
}

fn read_content(row: &Row<Uuid>, model: Model) -> Result<ReleaseContent, StorageError> {
    Ok(ReleaseContent {
        file: read_file(row, &model)?,
        rollout: read_rollout(row, &model)?,
        version_code: row.column("version_code", VersionCode::of_release(model.version_code))?,
        version_name: row.column("version_name", VersionName::parse(model.version_name))?,
        update_desc: row.column("update_desc", UpdateDescription::parse(model.update_desc))?,
        auto_install: model.auto_install,
        mandatory: model.mandatory,
        floor: model.floor,
        qrcode: row.column("qrcode", model.qrcode.map(Url::parse).transpose())?,
        icon_url: row.column("icon_url", model.icon_url.map(Url::parse).transpose())?,
        config_json: row.column("config_json", ConfigJson::from_stored(model.config_json))?,
        targeting: row.column("targeting", serde_json::from_str(&model.targeting))?,
        starts_at: model.starts_at,
        ends_at: model.ends_at,
    })
}

fn read_file(row: &Row<Uuid>, model: &Model) -> Result<ReleaseFile, StorageError> {
    let digest = |text: &Option<String>| text.as_deref().map(Sha256::parse).transpose();
    // Empty for an artifact, and for a discarded release whose artifact was deleted.
    let download_url = Some(model.download_url.as_str()).filter(|url| !url.is_empty());
    let min_sdk = model.min_sdk.map(u16::try_from).transpose();
    let min_sdk = row.column("min_sdk", min_sdk)?.map(MinSdk::try_from).transpose();
    Ok(ReleaseFile {
        download_url: row.column("download_url", download_url.map(Url::parse).transpose())?,
        artifact: row.column("artifact_sha256", digest(&model.artifact_sha256))?,
        size: model.size,
        md5: row.column("md5", Md5::parse(&model.md5))?,
        sha256: row.column("sha256", digest(&model.sha256))?,
        min_sdk: row.column("min_sdk", min_sdk)?,
    })
}

fn read_rollout(row: &Row<Uuid>, model: &Model) -> Result<Rollout, StorageError> {
    let key = model.rollout_key.as_deref().map(RolloutKey::parse).transpose();
    let share = Share::from_hundredths(model.rollout_share.into());
    Ok(Rollout {
        share: row.column("rollout_share", share)?,
        key: row.column("rollout_key", key)?,
        unit: row.column("rollout_unit", RolloutUnit::parse(&model.rollout_unit))?,
    })
}

fn read_state(kind: &str, recall_mode: Option<&str>) -> Result<ReleaseState, Invalid> {
    let mode = recall_mode.map(RecallMode::parse).transpose()?;
    ReleaseState::of_kind(ReleaseStateKind::parse(kind)?, mode)
}
