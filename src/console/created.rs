//! Forms that create something. A form that is sent twice creates it once.

use std::sync::Arc;

use super::sent_form::request_of;
use super::submission::Submission;
use crate::http::problem::Problem;
use crate::services::RequiredPermission;
use crate::services::credentials::{IssuedCredential, ManagedCredential};
use crate::services::devices::ImportReport;
use crate::services::enrolment::IssuedEnrolmentCode;
use crate::services::pushes::AcceptedPush;
use crate::services::releases::CreatedRelease;
use crate::services::{
    Answer, Caller, IdempotencyOutcome, IdempotentWrite, Reservation, ServiceError, reserve_idempotency_key,
};
use slipway_domain::access::User;
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::json::JsonText;
use slipway_domain::catalog::tenant::Tenant;
use slipway_domain::catalog::versioned::Versioned;

/// Result of a create: the object, or the name of the one that the same form created before.
pub(super) enum Created<T> {
    New(T),
    Earlier(String),
}

/// Object that a form creates.
pub(super) trait Creation {
    /// Name of the object in the paths of the console.
    fn name(&self) -> String;
}

impl Creation for Versioned<Tenant> {
    fn name(&self) -> String {
        self.value.id.to_string()
    }
}

impl Creation for Versioned<App> {
    fn name(&self) -> String {
        self.value.package_name.to_string()
    }
}

impl Creation for Versioned<User> {
    fn name(&self) -> String {
        self.value.id.to_string()
    }
}

impl Creation for CreatedRelease {
    fn name(&self) -> String {
        self.stored.value.release.id.to_string()
    }
}

impl Creation for AcceptedPush {
    fn name(&self) -> String {
        self.push.push.id.to_string()
    }
}

impl Creation for ImportReport {
    /// Numbers of the import, as the query of the page that follows. An import has no page of its own.
    fn name(&self) -> String {
        format!("new={}&changed={}", self.created, self.updated)
    }
}

impl Creation for IssuedEnrolmentCode {
    fn name(&self) -> String {
        self.id.to_string()
    }
}

impl<K: ManagedCredential> Creation for IssuedCredential<K> {
    fn name(&self) -> String {
        self.stored.value.id().to_string()
    }
}

/// Kind of a create's result: with a secret that is shown once, it is never stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    Open,
    ShownOnce,
}

/// Runs a create once for each shown form. The caller needs `permission` for the create and for its replay.
pub(super) async fn create<T: Creation>(
    form: &Submission,
    permission: RequiredPermission,
    secrecy: Secrecy,
    act: impl AsyncFnOnce(
        Caller,
        &Arc<Reservation>,
        fn(&Reservation) -> IdempotentWrite<'_, T>,
    ) -> Result<T, ServiceError>,
) -> Result<Created<T>, Problem> {
    let (caller, _permit) = form.begin(false)?;
    let ctx = &form.visit.ctx;
    let request = request_of(&form.visit, &form.input, "POST");
    let reservation = match reserve_idempotency_key(ctx, &caller, permission, request).await? {
        IdempotencyOutcome::Replay(answer) => return Ok(Created::Earlier(name_in(&answer))),
        IdempotencyOutcome::Proceed(reservation) => Arc::new(reservation),
    };
    let once: fn(&Reservation) -> IdempotentWrite<'_, T> = match secrecy {
        Secrecy::Open => |reservation| reservation.once(answer_of),
        Secrecy::ShownOnce => |reservation| reservation.once_with_secret(answer_of, T::name),
    };
    let made = act(caller, &reservation, once).await;
    // After a failure another thread may still hold the reservation. The key is released when the last holder drops it.
    let reservation = Arc::into_inner(reservation);
    match made {
        Ok(made) => {
            reservation.into_iter().for_each(Reservation::complete);
            Ok(Created::New(made))
        }
        Err(error) => {
            // A failing database is not waited for: dropping the reservation releases the key.
            if let Some(reservation) = reservation.filter(|_| !error.is_transient()) {
                reservation.release().await;
            }
            Err(error.into())
        }
    }
}

fn answer_of<T: Creation>(made: &T) -> Answer {
    Answer {
        status: 303,
        body: JsonText::of(&made.name()),
        etag: None,
    }
}

fn name_in(answer: &Answer) -> String {
    serde_json::from_str(answer.body.as_str()).unwrap_or_default()
}
