//! Errors of the gateway. There is one constructor for each row of the protocol's error table in use.

/// Gateway error. The HTTP status is always 200, because clients discard the body of other statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayError {
    pub code: u16,
    pub message: String,
    pub sub_code: Option<String>,
    pub sub_message: Option<String>,
    /// True if the connection is closed after the response.
    pub ends_connection: bool,
}

impl GatewayError {
    fn plain(code: u16, message: &str) -> Self {
        Self {
            code,
            message: message.to_owned(),
            sub_code: None,
            sub_message: None,
            ends_connection: false,
        }
    }

    fn with_sub_code(mut self, sub_code: impl Into<String>) -> Self {
        self.sub_code = Some(sub_code.into());
        self
    }

    fn with_sub_message(mut self, sub_message: impl Into<String>) -> Self {
        self.sub_message = Some(sub_message.into());
        self
    }

    pub fn rate_limited(seconds: u64) -> Self {
        Self::plain(7, "App Call Limited")
            .with_sub_code("accesscontrol.limited-by-app-api-access-count")
            .with_sub_message(format!("This ban will last for {seconds} more seconds"))
    }

    pub fn verb_not_allowed() -> Self {
        Self::plain(9, "Http action not allowed")
    }

    pub fn unavailable() -> Self {
        Self::plain(10, "Service currently unavailable")
    }

    /// Error for a key that may not call the method, or may not act for the tenant in the request.
    pub fn not_permitted() -> Self {
        Self::plain(11, "Insufficient isv permissions").with_sub_code("isv.permission-api-package-limit")
    }

    /// Error for a temporary failure. Clients with automatic retries repeat the call for this `sub_code`.
    pub fn remote_unavailable(why: &str) -> Self {
        Self::plain(15, "Remote service error")
            .with_sub_code("isp.top-remote-service-unavailable")
            .with_sub_message(why)
    }

    pub fn missing_method() -> Self {
        Self::plain(21, "Missing method")
    }

    pub fn invalid_method() -> Self {
        Self::plain(22, "Invalid method")
    }

    pub fn invalid_format() -> Self {
        Self::plain(23, "Invalid format")
    }

    pub fn missing_signature() -> Self {
        Self::plain(24, "Missing signature")
    }

    pub fn invalid_signature() -> Self {
        Self::plain(25, "Invalid signature")
    }

    pub fn missing_app_key() -> Self {
        Self::plain(28, "Missing app key")
    }

    pub fn invalid_app_key() -> Self {
        Self::plain(29, "Invalid app Key").with_sub_code("isv.appkey-not-exists")
    }

    pub fn missing_timestamp() -> Self {
        Self::plain(30, "Missing timestamp")
    }

    pub fn invalid_timestamp() -> Self {
        Self::plain(31, "Invalid timestamp")
    }

    pub fn missing_version() -> Self {
        Self::plain(32, "Missing version")
    }

    pub fn invalid_version() -> Self {
        Self::plain(33, "Invalid version")
    }

    pub fn unsupported_version() -> Self {
        Self::plain(34, "Unsupported version")
    }

    /// Error for an absent argument. The name is repeated as it is: shorten what a caller wrote.
    pub fn missing_argument(name: &str, why: &str) -> Self {
        Self::plain(40, &format!("Missing required arguments:{name}"))
            .with_sub_code(format!("isv.missing-parameter:{name}"))
            .with_sub_message(why)
    }

    /// Error for an invalid argument. The name is repeated as it is: shorten what a caller wrote.
    pub fn invalid_argument(name: &str, why: &str) -> Self {
        Self::plain(41, &format!("Invalid arguments:{name}"))
            .with_sub_code(format!("isv.invalid-parameter:{name}"))
            .with_sub_message(why)
    }

    pub fn too_large(why: &str) -> Self {
        Self::plain(43, "Parameter error")
            .with_sub_code("isv.request-too-large")
            .with_sub_message(why)
    }

    pub fn too_slow(why: &str) -> Self {
        Self {
            ends_connection: true,
            ..Self::plain(43, "Parameter error")
                .with_sub_code("isv.request-timeout")
                .with_sub_message(why)
        }
    }

    pub fn invalid_encoding() -> Self {
        Self::plain(47, "Invalid encoding")
    }

    pub fn unsupported_encoding(coding: &str) -> Self {
        Self::invalid_encoding()
            .with_sub_code("isv.unsupported-content-encoding")
            .with_sub_message(format!(
                "Content-Encoding {coding} is not supported; send the body without it"
            ))
    }
}
