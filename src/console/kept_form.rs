//! Input of a form that was not handled, because the session ended or the database does not answer. The answer keeps it
//! in a form that can be sent again.

use actix_web::dev::Payload;
use actix_web::{HttpMessage, HttpRequest};
use askama::Template;

use super::input::{ETAG, FORM_ID, FORM_TOKEN, Input, OPENED};
use super::session::{is_form_token, names_own_origin, safe_path};
use super::texts::Texts;
use crate::http::body::read_form_body;
use crate::http::body_memory::Owner;
use crate::http::client_address::client_address;
use crate::services::network_of;
use slipway_gateway::form::read_form;

/// Largest kept input, as an encoded form. The sign-in form encodes it again, and must stay below the limit of a form.
pub(super) const MAX_BYTES: usize = 128 * 1024;

/// Fields of the sign-in form that carry the input of another form.
pub(super) const KEPT: &str = "kept";
pub(super) const KEPT_ACTION: &str = "kept_action";

/// Fields that say nothing to a person.
const INTERNAL: [&str; 6] = [FORM_TOKEN, FORM_ID, ETAG, OPENED, KEPT, KEPT_ACTION];

const SIGN_OUT: &str = "/console/sign-out";

/// Input of a form that was not handled.
#[derive(Clone)]
pub(super) struct KeptForm {
    action: String,
    fields: Vec<(String, String)>,
    /// Token of the form, if it is valid.
    token: Option<String>,
    has_secret: bool,
}

/// Form that sends the kept input again.
#[derive(Template)]
#[template(path = "kept_form.html")]
pub(super) struct KeptFormView {
    t: &'static Texts,
    action: String,
    token: String,
    fields: Vec<(String, String)>,
    entered: Vec<(String, String)>,
    has_secret: bool,
}

impl askama::filters::HtmlSafe for KeptFormView {}

/// Names of the fields with passwords. The page of a form asserts that there are no others.
const SECRETS: [&str; 3] = ["password", "current", "new"];

/// Returns `true` for a field whose value is never sent back.
pub(super) fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}

impl KeptForm {
    /// Returns the input of a form; `None` if it is too large, has a file, or is nothing but secrets.
    fn of(action: &str, input: &Input) -> Option<Self> {
        let action = safe_path(action).filter(|action| *action != SIGN_OUT)?;
        let all = input.iter().filter(|(name, _)| *name != FORM_TOKEN);
        let (secrets, fields): (Vec<_>, Vec<_>) = all.partition(|(name, _)| is_secret(name));
        let kept = Self {
            action: action.to_owned(),
            fields: fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            token: None,
            has_secret: !secrets.is_empty(),
        };
        let is_worth_it = secrets.is_empty() || kept.fields.iter().any(|(name, _)| name != FORM_ID);
        (is_worth_it && input.file().is_none() && kept.encoded().len() <= MAX_BYTES).then_some(kept)
    }

    /// Keeps the input of a form until its request is answered.
    pub(super) fn keep(request: &HttpRequest, input: &Input) {
        let action = request
            .uri()
            .path_and_query()
            .map_or("", |action| action.as_str());
        if let Some(mut kept) = Self::of(action, input) {
            let token = input.get(FORM_TOKEN);
            kept.token = is_form_token(request, token).then(|| token.to_owned());
            request.extensions_mut().insert(kept);
        }
    }

    /// Reads and keeps the form of a request that is refused before its form is read. Only a page of the console has a
    /// form that is kept.
    pub(super) async fn keep_unread(request: &HttpRequest, payload: &mut Payload) {
        if !names_own_origin(request) {
            return;
        }
        let owner = Owner::Source(client_address(request).map(network_of));
        if let Ok(body) = read_form_body(request, payload, owner, MAX_BYTES).await
            && let Ok(input) = Input::read(request, &body.bytes)
        {
            Self::keep(request, &input);
        }
    }

    /// Returns the input that a request keeps.
    pub(super) fn in_request(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Returns the input that a sign-in form carries.
    pub(super) fn in_sign_in(input: &Input) -> Option<Self> {
        let encoded = input.get(KEPT);
        if encoded.is_empty() {
            return None;
        }
        let fields = read_form(encoded.as_bytes()).ok()?;
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name.into_owned(), value.into_owned()));
        Self::of(
            input.get(KEPT_ACTION),
            &Input::of_fields(&fields.collect::<Vec<_>>()),
        )
    }

    /// Returns the values of the fields of a sign-in form that carry this input.
    pub(super) fn sign_in_values(&self) -> [(&'static str, String); 2] {
        [(KEPT, self.encoded()), (KEPT_ACTION, self.action.clone())]
    }

    fn encoded(&self) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&self.fields);
        form.finish()
    }

    /// Returns the form that sends the input again. `token` is that of the person's session, if it is known.
    pub(super) fn view(self, t: &'static Texts, token: &str) -> Option<KeptFormView> {
        let token = Some(token.to_owned()).filter(|token| !token.is_empty());
        let entered = self
            .fields
            .iter()
            .filter(|(name, value)| !INTERNAL.contains(&name.as_str()) && !value.is_empty());
        Some(KeptFormView {
            t,
            entered: entered.cloned().collect(),
            token: token.or(self.token)?,
            action: self.action,
            fields: self.fields,
            has_secret: self.has_secret,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(fields: &[(&str, &str)]) -> Input {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Input::of_fields(&fields.collect::<Vec<_>>())
    }

    #[test]
    fn secrets_and_large_inputs_are_not_kept() {
        let fields = [
            ("username", "li"),
            ("new", "a long password"),
            ("csrf_token", "00"),
        ];
        let kept = KeptForm::of("/console/people", &input(&fields)).unwrap();
        assert_eq!(kept.encoded(), "username=li");
        assert!(kept.has_secret);
        assert!(KeptForm::of("/console/account", &input(&fields[1..])).is_none());
        assert!(KeptForm::of("https://evil.example", &input(&fields)).is_none());
        assert!(KeptForm::of(SIGN_OUT, &input(&[])).is_none());
        let large = "x".repeat(MAX_BYTES);
        assert!(KeptForm::of("/console/people", &input(&[("csv", &large)])).is_none());
    }

    #[test]
    fn a_sign_in_carries_the_input() {
        let text = "HM/HM-SH\n 杭州 & \"x\"";
        let kept = KeptForm::of("/console/tenants/1/apps", &input(&[("name", text)])).unwrap();
        let carried = kept.sign_in_values();
        let carried = carried.each_ref().map(|(name, value)| (*name, value.as_str()));
        let read = KeptForm::in_sign_in(&input(&carried)).unwrap();
        assert_eq!((read.fields, read.action), (kept.fields, kept.action));
    }
}
