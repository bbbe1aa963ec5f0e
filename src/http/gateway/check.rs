//! `wdk.rexout.resource.list.check`: the check of the original API, which uses the same resolver as the native check.

use actix_web::HttpResponse;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::errors::wrong_arguments;
use super::method::{Method, MethodAnswer, MethodCall};
use super::offer_xml::XML;
use crate::http::check_answer::insert_check_headers;
use crate::http::offer_json::JSON;
use crate::http::value_schemas::APP_UNKNOWN;
use slipway_domain::catalog::ids::TenantId;
use slipway_gateway::envelope::{Envelope, Format};
use slipway_gateway::error::GatewayError;
use slipway_gateway::method::MethodParameters;
use slipway_gateway::value_kind::ValueKind;
use slipway_resolver::{CheckFields, RawField, read_check, read_integer};

pub(super) const METHOD: Method = Method {
    name: "wdk.rexout.resource.list.check",
    is_allowed: |_| true,
    parameters: MethodParameters {
        required: &["package_name", "version_code", "device_id", "tenant_id"],
        reads: &[
            ("attributes", ValueKind::Json),
            ("device_id", ValueKind::Text),
            ("device_type", ValueKind::Text),
            ("old_versions", ValueKind::Json),
            ("org_info", ValueKind::Json),
            ("package_name", ValueKind::Text),
            ("tenant_id", ValueKind::Integer),
            ("version_code", ValueKind::Integer),
        ],
        rejects_unknown: false,
    },
    call,
};

fn call(call: MethodCall<'_>) -> LocalBoxFuture<'_, Result<MethodAnswer, GatewayError>> {
    // The answer is computed from memory and never waits.
    std::future::ready(answer(&call)).boxed_local()
}

fn answer(call: &MethodCall<'_>) -> Result<MethodAnswer, GatewayError> {
    let given = |name: &str| call.params.get(name).map_or(RawField::Absent, RawField::Text);
    let fields = CheckFields {
        package_name: given("package_name"),
        version_code: given("version_code"),
        device_id: given("device_id"),
        device_type: given("device_type"),
        old_versions: given("old_versions"),
        org_info: given("org_info"),
        attributes: given("attributes"),
    };
    let tenant = read_integer("tenant_id", given("tenant_id"), 1);
    let (check, tenant) = match (read_check(&fields), tenant) {
        (Ok(check), Ok(tenant)) => (check, tenant),
        (read, tenant) => {
            let mut errors = read.err().unwrap_or_default();
            errors.extend(tenant.err());
            return Err(wrong_arguments(&errors));
        }
    };
    let claimed = TenantId::parse(tenant).map_err(|_| GatewayError::not_permitted())?;
    let answer = call.key.check(call.ctx.checks(), claimed, check, call.source)?;
    let mut envelope = Envelope::success(call.response_context.format, METHOD.name);
    let encoding = match call.response_context.format {
        Format::Json | Format::SimplifiedJson => &JSON,
        Format::Xml => &XML,
    };
    envelope.list(
        "data",
        "d_t_o",
        answer.offers.is_empty(),
        |(before, after), out| {
            encoding.write_all(&answer.offers, before, after, out);
        },
    );
    envelope.text("succeed", "true");
    if let Some(unknown_app) = answer.unknown_app {
        envelope.text("msg_code", APP_UNKNOWN);
        envelope.text("msg_info", &unknown_app.to_string());
    }
    let mut headers = HttpResponse::Ok();
    insert_check_headers(&mut headers, &answer);
    Ok(MethodAnswer {
        body: envelope.close(call.response_context.request_id),
        headers,
    })
}
