//! Preview of a release before it is created: the offer that a device would get, and devices that would get it.

mod known_devices;

use chrono::{DateTime, Utc};

use self::known_devices::list_examined;
use super::explain::find_directory;
use super::releases::{NewDraft, NewRelease, draft_of, ignored_fields};
use super::{Caller, Context, ServiceError, apps};
use crate::live::compile_app;
use crate::storage::catalog_states::{self, AppRows};
use crate::storage::releases::{ReleaseSelection, find_facts, find_newest};
use crate::storage::{AppSelection, ReadTx};
use slipway_domain::access::{Action, TenantScope};
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::ids::{ReleaseId, TenantId};
use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::release::{Release, ReleaseRecord, ReleaseStateKind, Transition};
use slipway_domain::catalog::rollout::{Rollout, Share};
use slipway_domain::catalog::targeting::Targeting;
use slipway_domain::catalog::text::{DeviceId, PackageName};
use slipway_domain::catalog::versioned::Versioned;
use slipway_resolver::{
    Check, CheckContext, CheckFields, ExplainedRelease, Offer, OfferEncoders, PublishedApp, RawField, decide,
    explain_selected, read_check,
};

/// Maximum number of examples of devices that get the release, and of devices that do not.
const EXAMPLES: usize = 3;

/// Encoding of offers. The caller supplies that of its checks.
pub struct OfferWriter {
    pub encoders: OfferEncoders,
    pub write: fn(&Offer<'_>, &mut Vec<u8>),
}

/// Release to preview.
pub struct PreviewRequest {
    pub new: NewRelease,
    /// Examines this device alone.
    pub device: Option<DeviceId>,
    /// Language of the verdicts.
    pub language: Language,
}

pub struct OfferPreview {
    /// Time for which the offer is decided: now, or the start of the release if that is later.
    pub at: DateTime<Utc>,
    /// Encoded offer, as the first receiver gets it; without receivers, as a device without anything installed would.
    /// `None` if the file cannot be downloaded.
    pub offer: Option<Vec<u8>>,
    /// Some of the examined devices that would be offered the release.
    pub receivers: Vec<DeviceId>,
    /// Number of all examined devices that would be offered the release.
    pub receiving: usize,
    /// Some of the examined devices that would not be offered the release.
    pub others: Vec<OtherDevice>,
    /// Number of known devices that were examined.
    pub examined: usize,
    /// `true` if the creation of the release draws the devices of its share. The receivers are then those that may be
    /// drawn.
    pub is_share_drawn: bool,
    /// Targeting of the release.
    pub targeting: Targeting,
    /// Published release of the resource with the highest version.
    pub replaces: Option<Versioned<ReleaseRecord>>,
}

/// Device that would not be offered the release, with the verdict.
pub struct OtherDevice {
    pub id: DeviceId,
    pub verdict: ExplainedRelease,
}

/// Computes the offer of a release as if it were published. Stores nothing.
///
/// Reads the database, because nodes do not keep the states of devices in memory.
pub async fn preview_offer(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    app: &PackageName,
    request: &PreviewRequest,
    writer: &OfferWriter,
) -> Result<OfferPreview, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::WriteReleases).await?;
    ctx.authorize(caller, tenant, Action::ReadDevices).await?;
    let reader = ctx.db().begin_read().await?;
    let tenant = catalog_states::load_tenants(&reader, &[scope])
        .await?
        .pop()
        .ok_or(ServiceError::NotFound("tenant"))?;
    let app = apps::find(&reader, scope, app).await?.value;
    let now = ctx.now();
    let mut release = find_published(&reader, scope, &app, &request.new, now).await?;
    let is_share_drawn = release.is_share_drawn();
    if is_share_drawn {
        release.release.content.rollout.share = Share::EVERYBODY;
    }
    let release = release.release;
    let devices = list_examined(&reader, scope, &release, request.device.as_ref()).await?;
    let published = [ReleaseStateKind::Published];
    let replaces = find_newest(&reader, scope, app.id, &release.identifier, published).await?;
    let rows = load_with(ctx, &reader, scope, &app, &release).await?;
    let directory = find_directory(ctx, &reader, scope, &tenant).await?;
    let published = Published {
        alone: compile_app(alone(&rows, release.id), &writer.encoders)?,
        app: compile_app(rows, &writer.encoders)?,
        release: &release,
        context: CheckContext {
            now: release.content.starts_at.map_or(now, |start| start.max(now)),
            offers_enabled: tenant.tenant.offers_enabled,
            stale: false,
        },
        language: request.language,
        writer,
    };
    let mut preview = OfferPreview {
        at: published.context.now,
        offer: None,
        receivers: Vec::new(),
        receiving: 0,
        others: Vec::new(),
        examined: 0,
        is_share_drawn,
        targeting: release.content.targeting.clone(),
        replaces,
    };
    for device in &devices {
        let fields = device.last_check(&app);
        if let Some(mut check) = fields.parse() {
            check.complete_memberships(&directory);
            published.examine(&device.id, &check, &mut preview);
        }
    }
    if preview.offer.is_none() {
        preview.offer = published.general_offer(app.package_name.as_str());
    }
    Ok(preview)
}

/// Release as it would be published.
struct PublishedRelease {
    release: Release,
    /// `true` if the release has an id already, which selects the devices of its share.
    is_stored: bool,
}

impl PublishedRelease {
    fn is_share_drawn(&self) -> bool {
        let Rollout { share, key, .. } = &self.release.content.rollout;
        !self.is_stored && key.is_none() && (1..Share::EVERYBODY.hundredths()).contains(&share.hundredths())
    }
}

/// Returns the release as its creation would publish it: the stored one if the version exists with the same file.
async fn find_published(
    reader: &ReadTx,
    scope: TenantScope,
    app: &App,
    new: &NewRelease,
    now: DateTime<Utc>,
) -> Result<PublishedRelease, ServiceError> {
    let NewDraft { draft, .. } = draft_of(reader, scope, app, new).await?;
    let existing = find_facts(reader, scope, &draft.release).await?.existing;
    if let Some(stored) = &existing {
        ignored_fields(&stored.value, &draft.release.content.file, new)?;
    }
    let is_stored = existing.is_some();
    let record: ReleaseRecord = existing.map_or(draft, |stored| stored.value);
    let published = record
        .after(Transition::Publish, None, now)
        .map_err(|refusal| ServiceError::wrong_state(refusal.to_string()))?;
    Ok(PublishedRelease {
        release: published.unwrap_or(record).release,
        is_stored,
    })
}

/// Loads the app as checks are answered from it, with the release in addition.
async fn load_with(
    ctx: &Context,
    reader: &ReadTx,
    scope: TenantScope,
    app: &App,
    release: &Release,
) -> Result<AppRows, ServiceError> {
    let ids = [app.id];
    let selection = AppSelection::Some(scope, &ids);
    let mut rows = catalog_states::load_apps(reader, selection, ReleaseSelection::Effective)
        .await?
        .pop()
        .ok_or(ServiceError::NotFound("app"))?;
    rows.releases.retain(|stored| stored.id != release.id);
    rows.releases.push(release.clone());
    if !rows
        .resources
        .iter()
        .any(|resource| resource.identifier == release.identifier)
    {
        rows.resources
            .push(Resource::first_seen(app, release.identifier.clone()));
    }
    for release in &mut rows.releases {
        release.set_offer_addresses(ctx.download_urls());
    }
    Ok(rows)
}

/// Returns an app that offers one release to everybody.
fn alone(rows: &AppRows, release: ReleaseId) -> AppRows {
    let mut rows = rows.clone();
    rows.app.enabled = true;
    rows.pins.clear();
    rows.resources
        .iter_mut()
        .for_each(|resource| resource.enabled = true);
    rows.releases.retain(|stored| stored.id == release);
    for release in &mut rows.releases {
        let content = &mut release.content;
        content.targeting = Targeting::default();
        content.rollout = Rollout::default();
        (content.starts_at, content.ends_at, content.file.min_sdk) = (None, None, None);
    }
    rows
}

/// App with the release, as a node would serve it.
struct Published<'a> {
    app: PublishedApp,
    /// The release without its targeting.
    alone: PublishedApp,
    release: &'a Release,
    context: CheckContext,
    language: Language,
    writer: &'a OfferWriter,
}

impl Published<'_> {
    /// Counts a device, and adds it to the examples.
    fn examine(&self, device: &DeviceId, check: &Check<'_>, preview: &mut OfferPreview) {
        preview.examined += 1;
        if let Some(offer) = self.offer_in(&self.app, check, &self.context) {
            preview.receiving += 1;
            if preview.receivers.len() < EXAMPLES {
                preview.receivers.push(device.clone());
            }
            preview.offer.get_or_insert(offer);
        } else if preview.others.len() < EXAMPLES {
            let id = device.clone();
            preview
                .others
                .extend(self.verdict_on(check).map(|verdict| OtherDevice { id, verdict }));
        }
    }

    fn offer_in(&self, app: &PublishedApp, check: &Check<'_>, context: &CheckContext) -> Option<Vec<u8>> {
        let offers = decide(app, check, context);
        let offer = offers
            .iter()
            .find(|offer| offer.release_id() == self.release.id)?;
        let mut encoded = Vec::new();
        (self.writer.write)(offer, &mut encoded);
        Some(encoded)
    }

    fn verdict_on(&self, check: &Check<'_>) -> Option<ExplainedRelease> {
        let is_own = |identifier: &str| identifier == self.release.identifier.as_str();
        let explained = explain_selected(&self.app, check, &self.context, self.language, is_own);
        let mut releases = explained.into_iter().flat_map(|resource| resource.releases);
        releases.find(|explained| explained.release_id == self.release.id)
    }

    /// Returns the offer to a device without anything installed that the release applies to.
    fn general_offer(&self, package_name: &str) -> Option<Vec<u8>> {
        let fields = CheckFields {
            package_name: RawField::Text(package_name),
            version_code: RawField::Text("0"),
            device_id: RawField::Text("any"),
            ..CheckFields::default()
        };
        let context = CheckContext {
            offers_enabled: true,
            ..self.context
        };
        let check = read_check(&fields).ok()?;
        self.offer_in(&self.alone, &check, &context)
    }
}
