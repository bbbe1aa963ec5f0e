//! Pin that a new one would replace, shown in the form of the new one.

use askama::Template;

use super::pin_words::{mode_in_words, target_in_words};
use crate::console::attempt::Attempt;
use crate::console::format::Moment;
use crate::console::fragment::Fragment;
use crate::console::page_error::PageError;
use crate::console::texts::Texts;
use crate::console::visit::Visit;
use crate::http::problem::ProblemCode;
use crate::services::pins::{self, NamedPin, NewPin, PinSelection};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::page::PageRequest;

#[derive(Template)]
#[template(path = "existing_pin.html")]
struct ExistingPin<'a> {
    t: &'static Texts,
    named: &'a NamedPin,
    target: String,
    mode: String,
    expires_at: Option<Moment>,
    created_at: Moment,
}

/// Finds the pin because of which an attempt to create `new` was refused.
pub(super) async fn find(
    visit: &Visit,
    tenant: TenantId,
    attempt: &Attempt,
    new: NewPin,
) -> Result<Option<NamedPin>, PageError> {
    if !matches!(
        attempt.problem.code(),
        ProblemCode::AlreadyExists | ProblemCode::Stale
    ) {
        return Ok(None);
    }
    let selection = PinSelection {
        package_name: Some(new.package_name),
        identifier: Some(new.identifier),
        target: Some(new.target),
    };
    let page = PageRequest::first(1);
    let found = pins::list(&visit.ctx, &visit.caller(false), tenant, &selection, &page).await?;
    Ok(found.items.into_iter().next())
}

/// Describes the pin, with the question whether to replace it.
pub(super) fn describe(t: &'static Texts, named: &NamedPin) -> Result<Fragment, PageError> {
    let pin = &named.pin.value;
    Ok(Fragment::of(&ExistingPin {
        t,
        named,
        target: target_in_words(t, &pin.target),
        mode: mode_in_words(t, pin.mode),
        expires_at: pin.expires_at.map(Moment),
        created_at: Moment(named.pin.created_at),
    })?)
}
