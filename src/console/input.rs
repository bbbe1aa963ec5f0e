//! Input of a form, as the browser sent it.

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use sha2::{Digest, Sha256};

use crate::http::problem::{Problem, ProblemCode};
use slipway_gateway::params::{BodyKind, Params, find_file};

/// Names of the fields that every form has, besides its own.
pub(super) const FORM_TOKEN: &str = "csrf_token";
pub(super) const FORM_ID: &str = "form_id";
pub(super) const ETAG: &str = "etag";
/// Digests of the values with which the form was opened, beside the entity tag.
pub(super) const OPENED: &str = "opened";

/// Name of the field with a file.
pub(super) const FILE: &str = "file";

#[derive(Debug, Clone, Default)]
pub(super) struct Input {
    fields: Vec<(String, String)>,
    /// Content of the file; `None` if none was chosen.
    file: Option<Vec<u8>>,
}

impl Input {
    /// Parses the body of a form. The line breaks of a browser become those of the API.
    pub(super) fn read(request: &HttpRequest, body: &[u8]) -> Result<Self, Problem> {
        let content_type = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|header| header.to_str().ok());
        let kind = BodyKind::of(content_type);
        if kind == BodyKind::Other {
            let detail = "send the form as application/x-www-form-urlencoded or multipart/form-data";
            return Err(Problem::new(ProblemCode::UnsupportedMediaType, detail));
        }
        let params = Params::read("", body, &kind)
            .map_err(|error| Problem::new(ProblemCode::InvalidParameter, error.message))?;
        let value = |name: &str| params.get(name).unwrap_or_default().replace("\r\n", "\n");
        // A browser sends an empty file if none was chosen.
        let file = find_file(body, &kind, FILE).filter(|content| !content.is_empty());
        Ok(Self {
            fields: params
                .names()
                .map(|name| (name.to_owned(), value(name)))
                .collect(),
            file: file.map(<[u8]>::to_vec),
        })
    }

    /// Returns the input of a form that was read with its file.
    pub(super) fn of_fields(fields: &[(String, String)]) -> Self {
        Self {
            fields: fields.to_vec(),
            file: None,
        }
    }

    /// Returns the content of the file that was sent with the form.
    pub(super) fn file(&self) -> Option<&[u8]> {
        self.file.as_deref()
    }

    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(own, _)| own == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Sets the value of a field.
    pub(super) fn set(&mut self, name: &str, value: String) {
        match self.fields.iter_mut().find(|(own, _)| own == name) {
            Some((_, own)) => *own = value,
            None => self.fields.push((name.to_owned(), value)),
        }
    }

    /// Returns the names and values of all fields.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(own, _)| own == name)
    }

    /// Returns a digest of the input without the token, which differs between sessions.
    pub(super) fn hash(&self) -> String {
        let mut digest = Sha256::new();
        for (name, value) in self.fields.iter().filter(|(name, _)| name != FORM_TOKEN) {
            for text in [name, value] {
                digest.update((text.len() as u64).to_be_bytes());
                digest.update(text);
            }
        }
        digest.update(self.file().unwrap_or_default());
        hex::encode(digest.finalize())
    }
}
