//! Pushes: packages sent to named devices immediately, outside any release.

mod content;
mod state;
mod target_record;
mod targets;
mod url_schemes;

use chrono::{DateTime, TimeDelta, Utc};

pub use content::{PushContent, PushRequest, RepeatKey};
pub use state::{Acknowledgement, Channel, TargetState};
pub use target_record::{TargetKey, TargetRecord};
pub use targets::{MAX_LISTED_TARGETS, MAX_TARGETS, PushTarget, PushTargets};
pub use url_schemes::{MAX_URL_SCHEMES, UrlScheme, UrlSchemes};

use super::ids::PushId;
use super::text::PushAction;

/// Accepted push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    pub id: PushId,
    /// Sender: `app_key:…`, `user:…` or `token:…`.
    pub origin: String,
    /// Name of the sender when it sent the push; `None` for pushes that were accepted without one.
    pub sender_name: Option<String>,
    pub content: PushContent,
    /// `alipay_context` of the gateway, as sent.
    pub context: Option<String>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Times for which pushes are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushLifetimes {
    /// For the action `preview`, which a person awaits at the device.
    pub preview: TimeDelta,
    /// For all other actions.
    pub other: TimeDelta,
}

impl PushLifetimes {
    pub fn of(&self, action: &PushAction) -> TimeDelta {
        match action.as_str() {
            "preview" => self.preview,
            _ => self.other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_previews_are_short() {
        let lifetimes = PushLifetimes {
            preview: TimeDelta::minutes(10),
            other: TimeDelta::days(7),
        };
        let of = |text: &str| lifetimes.of(&PushAction::parse(text).unwrap());
        assert_eq!(of("preview"), TimeDelta::minutes(10));
        for other in ["Preview", "preview ", "install"] {
            assert_eq!(of(other), TimeDelta::days(7), "{other}");
        }
    }
}
