//! Preview of a new release, below its form: the offer as a device gets it, and devices that would get it.

use askama::Template;
use serde_json::Value;

use crate::console::attempt::Attempt;
use crate::console::format::{Moment, segment};
use crate::console::fragment::Fragment;
use crate::console::page_error::PageError;
use crate::console::release_summary::ReleaseSummary;
use crate::console::shell::{Link, Shell};
use crate::console::steps::DecidingStep;
use crate::console::submission::Submission;
use crate::console::texts::Texts;
use crate::console::unknown_nodes::{places_of, unknown_nodes};
use crate::console::visit::Visit;
use crate::http::path::AppPath;
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::ServiceError;
use crate::services::offer_preview::OfferPreview;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::DeviceId;

/// Field with the id of the device to examine.
const DEVICE: &str = "preview.device";
/// Name of that field in errors.
const DEVICE_IN_ERRORS: &str = "device";

#[derive(Template)]
#[template(path = "preview_control.html")]
struct Control<'a> {
    t: &'a Texts,
    action: &'a str,
    device: String,
    error: Option<String>,
}

/// Returns the control that asks for a preview, with the input and the error of the last attempt.
pub(super) fn control(t: &Texts, action: &str, attempt: Option<&Attempt>) -> Result<Fragment, PageError> {
    let errors = attempt.map_or(&[][..], |attempt| attempt.problem.field_errors());
    let error = errors.iter().find(|error| error.field == DEVICE_IN_ERRORS);
    let control = Control {
        t,
        action,
        device: attempt.map_or("", |attempt| attempt.input.get(DEVICE)).to_owned(),
        error: error.map(|error| t.message(&error.message).into_owned()),
    };
    Ok(Fragment::of(&control)?)
}

/// Previews the release in a form. `body` is the body that the API accepts.
pub(super) async fn preview(form: &Submission, path: &AppPath, body: Value) -> Result<OfferPreview, Problem> {
    let (_, _permit) = form.begin(false)?;
    let device = match form.input.get(DEVICE).trim() {
        "" => None,
        id => Some(DeviceId::parse(id).map_err(|why| Problem::invalid(vec![why.at(DEVICE_IN_ERRORS)]))?),
    };
    let (of, language) = (path.clone(), form.visit.language);
    form.visit
        .run_heavy(async move |ctx, caller| {
            requests::preview_offer(&ctx, &caller, &of, &body, device, language).await
        })
        .await
}

pub(super) struct PreviewView {
    pub(super) at: Moment,
    pub(super) examined: usize,
    pub(super) is_share_drawn: bool,
    /// Nodes of the targeting that the org directory does not have.
    pub(super) unknown_nodes: Option<String>,
    pub(super) replaces: Option<ReleaseSummary>,
    pub(super) receivers: Vec<Link>,
    /// Says how many receivers are not listed.
    pub(super) more_receivers: Option<String>,
    pub(super) others: Vec<OtherDevice>,
    /// Says how many of the others are not listed.
    pub(super) more_others: Option<String>,
    /// Warns that the file is that of another resource.
    pub(super) package_warning: Option<String>,
    /// Offer as JSON, a line for each member.
    pub(super) offer: Option<String>,
}

pub(super) struct OtherDevice {
    pub(super) device: Link,
    pub(super) step: DecidingStep,
    pub(super) rule: &'static str,
    pub(super) detail: String,
}

impl PreviewView {
    /// `app` is the address of the app.
    pub(super) fn of(
        visit: &Visit,
        shell: &Shell,
        tenant: TenantId,
        app: &str,
        preview: OfferPreview,
    ) -> Result<Self, PageError> {
        let link = |id: &DeviceId| Link {
            href: format!("/console/tenants/{tenant}/devices/{}", segment(id.as_str())),
            label: id.to_string(),
        };
        let others = preview.others.into_iter().map(|other| OtherDevice {
            device: link(&other.id),
            step: DecidingStep::of(shell.t, other.verdict.rule),
            rule: other.verdict.rule.as_str(),
            detail: other.verdict.detail,
        });
        let receiving = preview.receiving;
        let others: Vec<_> = others.collect();
        Ok(Self {
            more_receivers: more(shell.t, receiving, preview.receivers.len()),
            more_others: more(shell.t, preview.examined.saturating_sub(receiving), others.len()),
            package_warning: None,
            at: Moment(preview.at),
            examined: preview.examined,
            is_share_drawn: preview.is_share_drawn,
            unknown_nodes: unknown_nodes(visit, tenant, places_of(&preview.targeting)),
            replaces: preview
                .replaces
                .as_ref()
                .map(|stored| ReleaseSummary::of(shell, app, stored)),
            receivers: preview.receivers.iter().map(link).collect(),
            others,
            offer: preview.offer.as_deref().map(in_lines).transpose()?,
        })
    }
}

/// Says how many devices of a list are not shown.
fn more(t: &Texts, all: usize, shown: usize) -> Option<String> {
    let left_out = all.saturating_sub(shown);
    (left_out > 0).then(|| t.and_more.replace("{count}", &left_out.to_string()))
}

fn in_lines(offer: &[u8]) -> Result<String, ServiceError> {
    // The order of the members is kept.
    let members: Value = serde_json::from_slice(offer).map_err(ServiceError::internal)?;
    serde_json::to_string_pretty(&members).map_err(ServiceError::internal)
}
