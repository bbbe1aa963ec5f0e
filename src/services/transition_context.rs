//! Shared context of the steps of a release transition.

use super::audit::{self, AuditedChange};
use super::{Caller, Context};
use crate::storage::CatalogTx;
use slipway_domain::catalog::app::App;

/// Context of a transition: caller, transaction and app.
pub(super) struct TransitionContext<'a> {
    pub(super) ctx: &'a Context,
    pub(super) caller: &'a Caller,
    pub(super) tx: &'a CatalogTx,
    pub(super) app: &'a App,
}

impl TransitionContext<'_> {
    /// Queues an audit event in the caller's name.
    pub(super) fn audit(&self, change: AuditedChange) {
        let tenant = Some(self.tx.scope().tenant());
        audit::record(self.tx, self.ctx, self.caller, tenant, change);
    }
}
