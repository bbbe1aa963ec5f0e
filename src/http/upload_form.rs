//! Form of a browser that ends with a file. Its text fields are read at once. The file is passed on while it arrives.

use actix_multipart::{Field, Multipart};
use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::body_reader::TOTAL_TIMEOUT;
use super::problem::{Problem, ProblemCode};
use super::upload_body::{
    MULTIPART_OVERHEAD, PacedPayload, content_length, filename_of, form_problem, is_form, no_file,
    receive_part, require_end, require_uncoded,
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
        require_multipart(request.headers())?;
        // The time of a slow sender is limited by the stream.
        let _suspended = suspend_deadline();
        let form = Multipart::new(request.headers(), PacedPayload::new(payload));
        let mut read = Self {
            fields: Vec::new(),
            form,
            file: None,
            length: content_length(request.headers()),
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
        let name = self.file.as_ref().and_then(filename_of);
        name.filter(|name| !name.is_empty())
            .ok_or_else(|| no_file("is required"))
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

fn require_multipart(headers: &HeaderMap) -> Result<(), Problem> {
    require_uncoded(headers, "form")?;
    if is_form(headers) {
        return Ok(());
    }
    let detail = "send the form as multipart/form-data";
    Err(Problem::new(ProblemCode::UnsupportedMediaType, detail))
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
