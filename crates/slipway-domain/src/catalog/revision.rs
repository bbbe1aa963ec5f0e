//! Revisions of the catalog.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Identifier of one state of a tenant's catalog or of an app.
///
/// Revisions are compared for equality, never for order. After a failover to a lagging standby a revision may repeat,
/// but with another head.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CatalogRevision {
    pub revision: i64,
    /// Random tag of 16 lower-case hexadecimal digits.
    pub head: String,
}

impl fmt::Display for CatalogRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.revision, self.head)
    }
}
