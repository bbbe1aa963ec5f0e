//! Verification of a request's public parameters and of its signature.

use super::envelope::Format;
use super::error::GatewayError;
use super::params::Params;
use super::sign::{ParameterSet, SignMethod, canonical_text};

/// Public parameters that a request must contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requires {
    /// A single call.
    Call,
    /// The query of a batch, which names no method.
    BatchQuery,
    /// One call of a batch, whose other public parameters are in the query.
    CallInBatch,
}

/// Required public parameter with the error for its absence.
type RequiredParam = (&'static str, fn() -> GatewayError);

const REQUIRED_PARAMS: [RequiredParam; 5] = [
    ("method", GatewayError::missing_method),
    ("app_key", GatewayError::missing_app_key),
    ("v", GatewayError::missing_version),
    ("timestamp", GatewayError::missing_timestamp),
    ("sign", GatewayError::missing_signature),
];

/// Request with a verified signature.
pub struct SignedRequest<'p> {
    pub params: ParameterSet<'p>,
    /// Signed text.
    pub text: String,
    /// Signature as sent.
    pub signature: &'p str,
}

impl Requires {
    /// Reports the first required parameter that is missing.
    pub fn verify(self, params: &Params<'_>) -> Result<(), GatewayError> {
        let required = match self {
            Self::Call => &REQUIRED_PARAMS[..],
            Self::BatchQuery => &REQUIRED_PARAMS[1..],
            Self::CallInBatch => &REQUIRED_PARAMS[..1],
        };
        match required.iter().find(|(name, _)| params.given(name).is_none()) {
            Some((_, missing)) => Err(missing()),
            None => Ok(()),
        }
    }
}

/// Returns the response format that the parameters request.
pub fn format_of(params: &Params<'_>) -> Result<Format, GatewayError> {
    Format::parse(params.given("format"), params.get("simplify")).ok_or_else(GatewayError::invalid_format)
}

/// Requires version 2.0 of the protocol.
pub fn require_version(text: &str) -> Result<(), GatewayError> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match text.parse::<f64>() {
        Ok(_) if text == "2.0" => Ok(()),
        Ok(_) if is_number => Err(GatewayError::unsupported_version()),
        _ => Err(GatewayError::invalid_version()),
    }
}

impl<'p> SignedRequest<'p> {
    /// Verifies the signature with the secrets of the key. `body` is the raw text that a batch signs too.
    pub fn verify<'s>(
        params: &'p Params<'_>,
        body: &str,
        secrets: impl Iterator<Item = &'s str> + Clone,
    ) -> Result<Self, GatewayError> {
        let set = params.as_one_set().ok_or_else(GatewayError::invalid_signature)?;
        let algorithm = match params.given("sign_method") {
            None => SignMethod::Md5,
            Some(name) => SignMethod::parse(name).ok_or_else(GatewayError::invalid_signature)?,
        };
        let signature = params.get("sign").unwrap_or_default();
        let is_of_the_key = |text: &str| {
            let mut secrets = secrets.clone();
            secrets.any(|secret| algorithm.verify(secret, text, signature))
        };
        // Some clients sign parameters without a value and some do not. Both signed texts denote the same request.
        let mut params = set;
        let mut text = canonical_text(&params) + body;
        if !is_of_the_key(&text) {
            params = params.without_blanks();
            text = canonical_text(&params) + body;
            if !is_of_the_key(&text) {
                return Err(GatewayError::invalid_signature());
            }
        }
        Ok(Self {
            params,
            text,
            signature,
        })
    }
}
