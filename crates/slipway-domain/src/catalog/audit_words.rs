//! Audit events in words.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Number;

use super::audit::AuditEvent;
use super::json::JsonText;
use super::language::Language;
use super::rollout::{RolloutUnit, Share};
use super::targeting::Targeting;
use super::targeting_words::Audience;

/// Object type of releases.
const RELEASE: &str = "release";

/// Targeting of a release before and after an event, in words. A state that the event does not have is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditedTargeting {
    pub before: Option<String>,
    pub after: Option<String>,
}

impl AuditEvent {
    /// Returns the targeting of the release that the event is about; nothing for events of other objects.
    pub fn targeting_in_words(&self, language: Language) -> AuditedTargeting {
        if self.object_type != RELEASE {
            return AuditedTargeting::default();
        }
        let in_words = |state: &Option<JsonText>| in_words(state.as_ref()?.as_str(), language);
        AuditedTargeting {
            before: in_words(&self.before),
            after: in_words(&self.after),
        }
    }
}

/// Members of an audited release besides its targeting.
#[derive(Deserialize)]
struct Delivery {
    rollout: StoredRollout,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct StoredRollout {
    percent: Number,
    unit: String,
}

/// Returns the targeting of an audited release; `None` for a state that is not a whole release.
fn in_words(state: &str, language: Language) -> Option<String> {
    // Rules contain JSON as it was written, which a flattened member could not.
    let targeting: Targeting = serde_json::from_str(state).ok()?;
    let delivery: Delivery = serde_json::from_str(state).ok()?;
    let audience = Audience {
        listed_devices: targeting.device_ids.len(),
        targeting: &targeting,
        share: Share::from_percent(&delivery.rollout.percent).ok()?,
        unit: RolloutUnit::parse(&delivery.rollout.unit).ok()?,
        starts_at: delivery.starts_at,
        ends_at: delivery.ends_at,
    };
    Some(audience.in_words(language))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::ids::AuditId;
    use super::*;

    fn event(object_type: &str, before: Option<&str>, after: Option<&str>) -> AuditEvent {
        let text = |state: &str| serde_json::from_str(state).unwrap();
        AuditEvent {
            id: AuditId::from_uuid(Uuid::nil()),
            tenant: None,
            at: DateTime::UNIX_EPOCH,
            actor_key: String::new(),
            actor_name: String::new(),
            action: String::new(),
            object_type: object_type.to_owned(),
            object_id: String::new(),
            before: before.map(text),
            after: after.map(text),
            request_id: None,
        }
    }

    #[test]
    fn the_states_of_a_release_are_put_into_words() {
        let before = r#"{"identifier":"a","org_scopes":[{"l1Code":"HM"}],"attribute_rules":[{"name":"ram","op":"ge","value":4}],
            "device_ids":["A"],"rollout":{"percent":0.29,"key":null,"unit":"l3"},"starts_at":null,"ends_at":null}"#;
        let after = r#"{"rollout":{"percent":100,"unit":"device"}}"#;
        let released = event("release", Some(before), Some(after));
        assert_eq!(
            released.targeting_in_words(Language::English),
            AuditedTargeting {
                before: Some("HM, ram ≥ 4, 0.29% of stores and 1 listed devices".to_owned()),
                after: Some("every device".to_owned()),
            }
        );
        let partial = event("release", None, Some(r#"{"withdrawn":1}"#));
        assert_eq!(
            partial.targeting_in_words(Language::Chinese),
            AuditedTargeting::default()
        );
        let other = event("app", None, Some(after));
        assert_eq!(
            other.targeting_in_words(Language::English),
            AuditedTargeting::default()
        );
    }
}
