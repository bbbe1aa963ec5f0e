//! Kinds of keys and tokens: their forms, and their place in the console.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::people::ROLES;
use crate::console::fields::{Field, Form, Kind, Label, Style};
use crate::console::texts::Texts;
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::credentials::{ManagedCredential, NewCredential};
use slipway_domain::access::{ApiToken, AppKey, AppKeyRole, DeviceKey, KeyFacts, PlatformToken};

const NAME: Field = Field::new("name", Kind::Text, |t| t.name).required();
const EXPIRES_AT: Field =
    Field::new("expires_at", Kind::Instant, |t| t.expires_at).hint(|t| t.expires_at_hint);

const APP_KEY: Form = Form {
    key: "app-key",
    submit: |t| t.create,
    explanation: Some(|t| t.secret_shown_once),
    style: Style::Primary,
    fields: &[
        NAME,
        Field::new(
            "role",
            Kind::Choice(&[
                ("device", |t| t.key_role_device),
                ("operator", |t| t.key_role_operator),
            ]),
            |t| t.role,
        )
        .required(),
        EXPIRES_AT,
    ],
};

const DEVICE_KEY: Form = Form {
    key: "device-key",
    fields: &[NAME, EXPIRES_AT],
    ..APP_KEY
};

const API_TOKEN: Form = Form {
    key: "token",
    fields: &[
        NAME,
        Field::new("role", Kind::Choice(ROLES), |t| t.role).required(),
        EXPIRES_AT,
    ],
    ..APP_KEY
};

const PLATFORM_TOKEN: Form = Form {
    key: "token",
    fields: &[NAME, EXPIRES_AT],
    ..APP_KEY
};

/// Kind of credential with its forms and its place in the console.
pub(super) trait Shown: ManagedCredential {
    const FORM: &'static Form;
    const TITLE: Label;
    /// End of the address of the kind's forms.
    const PATH: &'static str;
    /// Parameter of the list's cursor: a page with two lists has one for each.
    const CURSOR: &'static str = "cursor";

    fn read_form(body: &Value, now: DateTime<Utc>) -> Result<NewCredential<Self::Role>, Problem>;
    fn role(&self, t: &Texts) -> Option<&'static str>;
    fn facts(&self) -> &KeyFacts;
    fn title(&self) -> String;

    /// Public text that clients send to name the key.
    fn public_text(&self) -> Option<String> {
        None
    }

    fn may_rotate() -> bool {
        false
    }
}

impl Shown for AppKey {
    const FORM: &'static Form = &APP_KEY;
    const TITLE: Label = |t| t.app_keys;
    const PATH: &'static str = "/keys/app";

    fn read_form(body: &Value, now: DateTime<Utc>) -> Result<NewCredential<AppKeyRole>, Problem> {
        requests::app_key(body, now)
    }

    fn role(&self, t: &Texts) -> Option<&'static str> {
        Some(match self.role {
            AppKeyRole::Device => t.key_role_device,
            AppKeyRole::Operator => t.key_role_operator,
        })
    }

    fn facts(&self) -> &KeyFacts {
        &self.facts
    }

    fn title(&self) -> String {
        self.name.to_string()
    }

    fn public_text(&self) -> Option<String> {
        Some(self.app_key.clone())
    }

    fn may_rotate() -> bool {
        true
    }
}

impl Shown for DeviceKey {
    const FORM: &'static Form = &DEVICE_KEY;
    const TITLE: Label = |t| t.device_keys;
    const PATH: &'static str = "/keys/device";
    const CURSOR: &'static str = "device_cursor";

    fn read_form(body: &Value, now: DateTime<Utc>) -> Result<NewCredential<()>, Problem> {
        requests::device_key(body, now)
    }

    fn role(&self, _: &Texts) -> Option<&'static str> {
        None
    }

    fn facts(&self) -> &KeyFacts {
        &self.facts
    }

    fn title(&self) -> String {
        self.name.to_string()
    }
}

impl Shown for ApiToken {
    const FORM: &'static Form = &API_TOKEN;
    const TITLE: Label = |t| t.tokens;
    const PATH: &'static str = "/tokens";

    fn read_form(body: &Value, now: DateTime<Utc>) -> Result<NewCredential<Self::Role>, Problem> {
        requests::api_token(body, now)
    }

    fn role(&self, t: &Texts) -> Option<&'static str> {
        Some(t.role(self.role))
    }

    fn facts(&self) -> &KeyFacts {
        &self.facts
    }

    fn title(&self) -> String {
        self.name.to_string()
    }
}

impl Shown for PlatformToken {
    const FORM: &'static Form = &PLATFORM_TOKEN;
    const TITLE: Label = |t| t.tokens;
    const PATH: &'static str = "/tokens";

    fn read_form(body: &Value, now: DateTime<Utc>) -> Result<NewCredential<()>, Problem> {
        requests::platform_token(body, now)
    }

    fn role(&self, t: &Texts) -> Option<&'static str> {
        Some(t.role_platform_admin)
    }

    fn facts(&self) -> &KeyFacts {
        &self.facts
    }

    fn title(&self) -> String {
        self.name.to_string()
    }
}
