//! Types that describe the native check in the API description. The bytes themselves are prepared when an app is
//! compiled.
#![expect(
    dead_code,
    reason = "describes what is written piece by piece; a test compares answers with the description"
)]

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::http::value_schemas::CheckCodeValue;

#[derive(Serialize, ToSchema)]
#[schema(as = CheckResult)]
pub(super) struct CheckResponse {
    data: Vec<OfferResponse>,
    succeed: bool,
    /// `APP_UNKNOWN`, or an empty string.
    #[schema(value_type = CheckCodeValue)]
    msg_code: String,
    msg_info: String,
    /// Seconds until the next check.
    next_check_after_s: u32,
    /// Number of pushes waiting for the device; present in checks with the device's own token. The `ETag` does not
    /// cover it. The header `Slipway-Pushes-Waiting` contains the same number, also in a 304 response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pushes_waiting: Option<u32>,
}

/// Offered release, with every field of the original API and the SHA-256 of the file.
#[derive(Serialize, ToSchema)]
#[schema(as = Offer)]
pub(super) struct OfferResponse {
    /// JSON object, encoded as a string.
    #[schema(example = "{\"theme\":\"dark\"}")]
    config_json: String,
    download_url: String,
    /// 1 to install the release, 0 to remove it.
    #[schema(maximum = 1)]
    status: u8,
    qrcode: String,
    size: i64,
    update_desc: String,
    version_code: i64,
    version_name: String,
    icon_url: String,
    md5: String,
    auto_install: bool,
    app_name: String,
    package_name: String,
    old_package_name: String,
    identifier: String,
    /// SHA-256 of the file as 64 lower-case hexadecimal digits, or an empty string if it is not known.
    sha256: String,
    /// 1 for a rollback to an older release, otherwise absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1)]
    uninstall_type: Option<u8>,
}

/// Query parameters of a check. Unknown parameters are ignored.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct QueryParameters {
    /// Current or former package name of the host app.
    #[param(example = "com.hema.wms")]
    package_name: String,
    /// Installed version of the host app; 0 if not installed.
    #[param(minimum = 0, example = 50)]
    version_code: i64,
    /// Device id of 1 to 128 characters without control characters.
    #[param(min_length = 1, max_length = 128, example = "HM8007PDA001")]
    device_id: String,
    #[param(example = "10013")]
    device_type: Option<String>,
    /// Versions of the other installed resources, as JSON text.
    #[param(example = r#"{"com.hema.wms.chuku": 230}"#)]
    old_versions: Option<String>,
    /// Org nodes of the device, as JSON text.
    #[param(example = r#"{"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}"#)]
    org_info: Option<String>,
    /// Attributes of the device, as JSON text.
    #[param(example = r#"{"abi": "arm64-v8a"}"#)]
    attributes: Option<String>,
    /// Tenant id; optional, because the key identifies the tenant.
    #[param(minimum = 1, example = 10_000_000)]
    tenant_id: Option<i64>,
}
