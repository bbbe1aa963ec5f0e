//! One type per kind of identifier, so that they cannot be confused.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::field::Invalid;

/// Number of a tenant, 1 to 2^63 − 1, chosen by the platform administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct TenantId(i64);

impl TenantId {
    pub fn parse(number: i64) -> Result<Self, Invalid> {
        if number >= 1 {
            Ok(Self(number))
        } else {
            Err(Invalid::new(format!("must be an integer from 1 to {}", i64::MAX)))
        }
    }

    pub const fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for TenantId {
    type Error = Invalid;

    fn try_from(number: i64) -> Result<Self, Invalid> {
        Self::parse(number)
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|_| Invalid::new("must be an id returned by this API (a UUID)"))
            }
        }
    )*};
}

uuid_id! {
    /// Id of an app; never changes and is never reused.
    AppId;
    ReleaseId;
    PinId;
    /// Id of an uploaded file, internal to the installation.
    ArtifactId;
    PushId;
    /// Id of a person who signs in.
    UserId;
    /// Id of a user's session, from login to logout.
    SessionId;
    /// Id of a gateway key, device key or API token.
    KeyId;
    /// Id of an entry in the audit log.
    AuditId;
}
