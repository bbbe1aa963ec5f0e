//! The native check as the API's description shows it. The bytes themselves are prepared where an app is compiled.
#![expect(
    dead_code,
    reason = "describes what is written piece by piece; a test compares answers with the description"
)]

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

#[derive(Serialize, ToSchema)]
pub(super) struct CheckResponse {
    data: Vec<OfferResponse>,
    succeed: bool,
    /// `APP_UNKNOWN`, or empty.
    msg_code: String,
    msg_info: String,
    /// Seconds after which to ask again.
    next_check_after_s: u32,
    /// How many pushes wait for the device, for a check made with its own token; not covered by the `ETag`, and in the
    /// header `Slipway-Pushes-Waiting` too, which a 304 has as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pushes_waiting: Option<u32>,
}

/// One release for this device, with every field of the seed's table.
#[derive(Serialize, ToSchema)]
#[schema(as = Offer)]
pub(super) struct OfferResponse {
    /// A JSON object in a string.
    config_json: String,
    download_url: String,
    /// 1; 0 tells to remove the release.
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
    /// 1 for a rollback to an older release, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    uninstall_type: Option<u8>,
}

/// A check as query parameters. Further ones are ignored.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct QueryParameters {
    /// The host app, under its current name or an old one.
    #[param(example = "com.hema.wms")]
    package_name: String,
    /// The installed version of the host app, 0 for none.
    #[param(minimum = 0, example = 50)]
    version_code: i64,
    /// 1 to 128 characters, no control characters.
    #[param(max_length = 128, example = "HM8007PDA001")]
    device_id: String,
    #[param(example = "10013")]
    device_type: Option<String>,
    /// What else is installed: JSON as text.
    #[param(example = r#"{"com.hema.wms.chuku": 230}"#)]
    old_versions: Option<String>,
    /// Where the device belongs: JSON as text.
    #[param(example = r#"{"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}"#)]
    org_info: Option<String>,
    /// Whatever the device says of itself: JSON as text.
    #[param(example = r#"{"abi": "arm64-v8a"}"#)]
    attributes: Option<String>,
    /// May be left out: the key says it.
    #[param(example = 10_000_000)]
    tenant_id: Option<i64>,
}
