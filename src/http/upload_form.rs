//! Form of a browser that ends with a file. Its text fields are read at once. The file is passed on while it arrives.

use actix_multipart::{Field, Multipart};
use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::body::require_identity;
use super::body_reader::TOTAL_TIMEOUT;
use super::problem::{Problem, ProblemCode};
use super::upload_body::{
    MULTIPART_OVERHEAD, PacedPayload, form_problem, no_file, receive_part, require_end,
};
use crate::services::artifacts::{ReceivedFile, Upload};
use crate::services::suspend_deadline;
use slipway_domain::catalog::field::FieldError;

/// Maximum number of fields before the file.
const MAX_FIELDS: usize = 8;
/// Maximum size of a field before the file.
const MAX_FIELD_BYTES: usize = 512;
/// Name of the field with the file.
const FILE: &str = "file";

/// Form that was read up to its file.
pub(crate) struct UploadForm {
    /// Names and values of the fields before the file.
    pub(crate) fields: Vec<(String, String)>,
    form: Multipart,
    file: Option<Field>,
    /// Length of the whole form; `None` if it is sent in chunks.
    length: Option<u64>,
}

impl UploadForm {
    pub(crate) async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, Problem> {
        require_multipart(request)?;
        let length = header(request, CONTENT_LENGTH.as_str());
        // The time of a slow sender is limited by the stream.
        let _suspended = suspend_deadline();
        let form = Multipart::new(request.headers(), PacedPayload::new(payload));
        let mut read = Self {
            fields: Vec::new(),
            form,
            file: None,
            length: length.and_then(|length| length.parse().ok()),
        };
        timeout(TOTAL_TIMEOUT, read.read_fields())
            .await
            .map_err(|_| fields_are_late())??;
        Ok(read)
    }

    async fn read_fields(&mut self) -> Result<(), Problem> {
        while let Some(part) = self.form.next().await {
            let part = part.map_err(|error| form_problem(&error))?;
            if part.name() == Some(FILE) {
                self.file = Some(part);
                return Ok(());
            }
            if self.fields.len() == MAX_FIELDS {
                return Err(no_file(&format!(
                    "must be preceded by at most {MAX_FIELDS} fields"
                )));
            }
            self.fields.push(read_field(part).await?);
        }
        Ok(())
    }

    /// Returns the size of the file, at least; `None` if it is not known yet.
    pub(crate) fn known_size(&self) -> Option<u64> {
        Some(self.length?.saturating_sub(MULTIPART_OVERHEAD))
    }

    /// Returns the name of the chosen file. A browser sends an empty name if none is chosen.
    pub(crate) fn filename(&self) -> Result<String, Problem> {
        let disposition = self.file.as_ref().and_then(Field::content_disposition);
        let name = disposition.and_then(|disposition| disposition.get_filename());
        let name = name.filter(|name| !name.is_empty());
        name.map(str::to_owned).ok_or_else(|| no_file("is required"))
    }

    /// Receives the file into an upload, up to a size. The file must be the last field.
    pub(crate) async fn receive(&mut self, upload: Upload, max_bytes: u64) -> Result<ReceivedFile, Problem> {
        let _suspended = suspend_deadline();
        let part = self.file.take().ok_or_else(|| no_file("is required"))?;
        let received = receive_part(part, upload, max_bytes).await?;
        require_end(&mut self.form, "must be the last field of the form").await?;
        Ok(received)
    }
}

fn fields_are_late() -> Problem {
    let detail = format!(
        "the fields before the file did not arrive within {} seconds",
        TOTAL_TIMEOUT.as_secs()
    );
    Problem::new(ProblemCode::RequestTimeout, detail)
}

fn require_multipart(request: &HttpRequest) -> Result<(), Problem> {
    let unsupported = |detail: String| Problem::new(ProblemCode::UnsupportedMediaType, detail);
    require_identity(request.headers()).map_err(|coding| {
        unsupported(format!(
            "Content-Encoding {coding} is not supported; send the form without it"
        ))
    })?;
    let kind = header(request, CONTENT_TYPE.as_str()).unwrap_or_default();
    if kind.to_ascii_lowercase().starts_with("multipart/form-data") {
        Ok(())
    } else {
        Err(unsupported("send the form as multipart/form-data".to_owned()))
    }
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

async fn read_field(mut part: Field) -> Result<(String, String), Problem> {
    let name = part.name().unwrap_or_default().to_owned();
    let invalid = |message: String| Problem::invalid(vec![FieldError::invalid(name.as_str(), message)]);
    let mut bytes = Vec::new();
    while let Some(piece) = part.next().await {
        let piece = piece.map_err(|error| form_problem(&error))?;
        if bytes.len() + piece.len() > MAX_FIELD_BYTES {
            return Err(invalid(format!("must have at most {MAX_FIELD_BYTES} bytes")));
        }
        bytes.extend_from_slice(&piece);
    }
    let text = String::from_utf8(bytes).map_err(|_| invalid("must be UTF-8".to_owned()))?;
    Ok((name, text))
}
