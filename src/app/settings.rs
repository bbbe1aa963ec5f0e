//! Converts the configuration into the settings of each component.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chrono::TimeDelta;

use crate::artifact_store::StoreAddress;
use crate::broker::{BrokerAddress, BrokerSettings, read_certificates};
use crate::config::{Config, DeviceRecordConfig, MqttConfig};
use crate::data_directory::{self, NodeName};
use crate::http::OFFER_ENCODERS;
use crate::live::CatalogSyncSettings;
use crate::secrets::parse_password;
use crate::services::artifact_parts::{ArtifactSettings, MinRate};
use crate::services::batch_writer::BatchSettings;
use crate::services::device_records::{
    DeviceChangeReader, DeviceRecordWriter, DeviceRecorder, RecorderSettings,
};
use crate::services::outbox::RetryPolicy;
use crate::services::push_delivery::DeliverySettings;
use crate::services::{CheckIntervals, LoginLimits, NewDevices};
use crate::storage::Db;
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::push::PushLifetimes;
use slipway_domain::catalog::text::Username;

pub(super) fn delivery_settings(config: &Config) -> DeliverySettings {
    DeliverySettings {
        redelivery: RetryPolicy {
            first: Duration::from_millis(config.delivery.redelivery_ms),
            longest: Duration::from_millis(config.delivery.redelivery_max_ms),
        },
        heartbeat: Duration::from_millis(config.delivery.heartbeat_ms),
        lifetimes: PushLifetimes {
            preview: TimeDelta::seconds(config.push_preview_lifetime_s.into()),
            other: TimeDelta::seconds(config.push_lifetime_s.into()),
        },
        retention: config.push_retention(),
    }
}

pub(super) const fn check_intervals(config: &Config) -> CheckIntervals {
    CheckIntervals {
        without_offer_s: config.next_check_s,
        after_offer_s: config.next_check_after_offer_s,
    }
}

/// Returns the broker settings, if a broker is configured, and the node name, which must be held while it is in use.
pub(super) fn broker_settings(
    config: &MqttConfig,
    data_dir: &Path,
) -> anyhow::Result<Option<(BrokerSettings, NodeName)>> {
    let Some(url) = &config.url else {
        return Ok(None);
    };
    let address: BrokerAddress = url.parse().context("SLIPWAY_MQTT_URL")?;
    anyhow::ensure!(
        config.password.is_none() || config.username.is_some(),
        "SLIPWAY_MQTT_PASSWORD needs a SLIPWAY_MQTT_USERNAME"
    );
    anyhow::ensure!(
        config.ca_file.is_none() || address.is_secure,
        "SLIPWAY_MQTT_CA_FILE needs TLS: SLIPWAY_MQTT_URL must begin with mqtts://"
    );
    let node_name = data_directory::node_name(data_dir)?;
    let settings = BrokerSettings {
        address,
        node: node_name.name,
        username: config.username.clone(),
        password: config.password.clone(),
        ca: config.ca_file.as_deref().map(read_certificates).transpose()?,
    };
    Ok(Some((settings, node_name)))
}

/// Returns the addresses of downloads.
fn download_urls(config: &Config) -> anyhow::Result<DownloadUrls> {
    // Files of environment variables leave a value blank to mean that it is not set.
    let given = |url: &Option<String>| url.clone().filter(|url| !url.trim().is_empty());
    let (name, base) = match given(&config.artifacts.download_url) {
        Some(url) => ("SLIPWAY_DOWNLOAD_URL", Some(url)),
        None => ("SLIPWAY_PUBLIC_URL", given(&config.public_url)),
    };
    let urls = DownloadUrls::new(base.as_deref()).map_err(|why| anyhow::anyhow!("{name} {why}"))?;
    if !urls.has_base() {
        tracing::warn!(
            "SLIPWAY_PUBLIC_URL is not set: releases from artifacts can be neither published nor offered"
        );
    }
    Ok(urls)
}

/// Returns the address of the artifact store: the configured one, or a folder in the data directory.
pub(super) fn store_address(config: &Config) -> anyhow::Result<StoreAddress> {
    let Some(url) = &config.artifacts.url else {
        anyhow::ensure!(
            !config.uses_postgres(),
            "SLIPWAY_ARTIFACTS_URL is required with PostgreSQL, where all nodes must use the same store: give \
             s3://bucket/prefix, or file:///path of a folder that all nodes share"
        );
        let folder = std::path::absolute(config.data_dir.join("artifacts"))?;
        return Ok(StoreAddress::Folder(folder));
    };
    url.parse().context("SLIPWAY_ARTIFACTS_URL")
}

pub(super) fn artifact_settings(config: &Config) -> anyhow::Result<ArtifactSettings> {
    let artifacts = &config.artifacts;
    let is_bucket = artifacts.url.as_ref().is_some_and(|url| url.starts_with("s3://"));
    anyhow::ensure!(
        is_bucket || !artifacts.download_redirect,
        "SLIPWAY_DOWNLOAD_REDIRECT needs a bucket: SLIPWAY_ARTIFACTS_URL must begin with s3://"
    );
    let days = |days: u32| (days > 0).then(|| TimeDelta::days(days.into()));
    Ok(ArtifactSettings {
        max_bytes: artifacts.max_bytes,
        retention: days(artifacts.retention_days),
        scrub_within: days(artifacts.scrub_days),
        downloads: usize::try_from(artifacts.downloads).unwrap_or(usize::MAX),
        slowest_download: MinRate::new(artifacts.download_min_rate),
        redirects: artifacts.download_redirect,
        download_urls: download_urls(config)?,
    })
}

pub(super) fn catalog_sync_settings(config: &Config, download_urls: DownloadUrls) -> CatalogSyncSettings {
    CatalogSyncSettings {
        poll_interval: config.poll_interval(),
        stale_after: TimeDelta::seconds(i64::from(config.stale_after_s)),
        encoders: OFFER_ENCODERS,
        download_urls,
    }
}

pub(super) const fn login_limits(config: &Config) -> LoginLimits {
    LoginLimits {
        per_account: config.login_attempts_per_account,
        per_account_anywhere: config.login_attempts_per_account_anywhere,
        per_source: config.login_attempts_per_source,
    }
}

pub(super) fn device_records(
    config: &DeviceRecordConfig,
    db: &Db,
    new_devices: Arc<NewDevices>,
) -> (DeviceRecorder, Option<DeviceRecordWriter>, DeviceChangeReader) {
    if !config.enabled {
        let (recorder, changes) = DeviceRecorder::off(db.clone());
        return (recorder, None, changes);
    }
    let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let recorder = RecorderSettings {
        states: size(config.states),
        batches: BatchSettings {
            queue: size(config.queue),
            batch: size(config.batch),
            wait: Duration::from_millis(config.wait_ms),
            finish_within: Duration::from_secs(10),
        },
    };
    let (recorder, writer, changes) = DeviceRecorder::new(db.clone(), recorder, new_devices);
    (recorder, Some(writer), changes)
}

/// Returns the name of the first administrator. Also validates a given password, because it may be used much later.
pub(super) fn administrator_name(config: &Config) -> anyhow::Result<Username> {
    if let Some(password) = &config.admin_password {
        parse_password(password).map_err(|why| anyhow::anyhow!("SLIPWAY_ADMIN_PASSWORD {why}"))?;
    }
    Username::parse(config.admin_username.to_lowercase())
        .map_err(|why| anyhow::anyhow!("SLIPWAY_ADMIN_USERNAME {why}"))
}
