//! `yunos.miniapp.offlinepkg.push`: sends a package to named devices.
//!
//! An attacker who records a signed request could replay it, or send another request with the same signed text. A
//! replay returns the push that was already accepted. Another request is never a push: the method rejects unknown
//! parameters, so the whole text must consist of its own parameters, in one way (see `signature_ambiguity`). The signed
//! text of a push begins with `alipay_context`. That of a batch begins with `app_key`. That of a check does too, unless
//! its client signs a parameter of its own that sorts earlier.

use super::errors::wrong_arguments;
use actix_web::HttpResponse;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::method::{Method, MethodAnswer, MethodCall};
use super::push_request::read_push;
use crate::http::push_members::name_of;
use crate::http::request_ids;
use crate::services::pushes::{PushRefusal, UrlField, create_with_key};
use crate::services::{PermitClass, within_deadline};
use slipway_domain::access::may_push;
use slipway_domain::catalog::push::PushTarget;
use slipway_gateway::envelope::Envelope;
use slipway_gateway::error::GatewayError;
use slipway_gateway::method::MethodParameters;
use slipway_gateway::value_kind::ValueKind;

pub(super) const METHOD: Method = Method {
    name: "yunos.miniapp.offlinepkg.push",
    is_allowed: may_push,
    parameters: MethodParameters {
        required: &["alipay_context", "req"],
        reads: &[("alipay_context", ValueKind::Json), ("req", ValueKind::Json)],
        rejects_unknown: true,
    },
    call,
};

/// Result in the body of a successful response.
struct PushResult {
    success: bool,
    code: &'static str,
    message: String,
}

fn call(call: MethodCall<'_>) -> LocalBoxFuture<'_, Result<MethodAnswer, GatewayError>> {
    async move {
        let outcome = push(&call).await?;
        let mut envelope = Envelope::success(call.response_context.format, METHOD.name);
        envelope.structure("result", |result| {
            result.boolean("result", outcome.success);
            result.boolean("success", outcome.success);
            result.text("result_code", outcome.code);
            result.text("result_msg", &outcome.message);
        });
        Ok(MethodAnswer {
            body: envelope.close(call.response_context.request_id),
            headers: HttpResponse::Ok(),
        })
    }
    .boxed_local()
}

async fn push(call: &MethodCall<'_>) -> Result<PushResult, GatewayError> {
    let given = |name| call.params.get(name).unwrap_or_default();
    let request = read_push(given("alipay_context"), given("req"), call.signature)
        .map_err(|errors| wrong_arguments(&errors))?;
    if !call.key.is_enabled() {
        return Err(GatewayError::not_permitted());
    }
    let class = PermitClass::Device(call.key.tenant());
    let _permit = call.ctx.workload().permits.acquire(class, request_ids::next())?;
    let created = Box::pin(create_with_key(
        call.ctx,
        call.key,
        call.response_context.request_id,
        request,
    ));
    match within_deadline(created).await? {
        Ok(_) => Ok(PushResult {
            success: true,
            code: "200",
            message: "请求成功".to_owned(),
        }),
        Err(PushRefusal::UnknownDevices(unknown)) => Ok(refused("404", unknown_devices(&unknown))),
        Err(PushRefusal::Schemes(urls)) => Ok(refused("400", refused_schemes(&urls))),
        Err(PushRefusal::Failed(error)) => Err(error.into()),
    }
}

fn refused(code: &'static str, message: String) -> PushResult {
    PushResult {
        success: false,
        code,
        message,
    }
}

fn refused_schemes(urls: &[UrlField]) -> String {
    let names: Vec<_> = urls.iter().copied().map(name_of).collect();
    format!(
        "{} must have a scheme that the tenant allows",
        names.join(" and ")
    )
}

/// Lists each device once.
fn unknown_devices(unknown: &[PushTarget]) -> String {
    let mut ids: Vec<_> = unknown.iter().map(|target| target.device.as_str()).collect();
    // Targets are sorted by device id.
    ids.dedup();
    format!("not known in their projects: {}", ids.join(", "))
}
