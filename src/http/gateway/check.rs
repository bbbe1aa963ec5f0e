//! `wdk.rexout.resource.list.check`: the check of the original API page, by the same resolver as the native one.

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::envelope::Node;
use super::error::GatewayError;
use super::methods::{Method, MethodAnswer, MethodCall};
use super::value_kind::ValueKind;
use crate::catalog::ids::TenantId;
use crate::http::respond::check_headers;
use crate::resolve::{CheckFields, Given, Offer, read_check, read_integer};
use crate::services::ServiceError;

pub(super) const METHOD: Method = Method {
    name: "wdk.rexout.resource.list.check",
    is_allowed: |_| true,
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
    call,
};

fn call(call: MethodCall<'_>) -> LocalBoxFuture<'_, Result<MethodAnswer, GatewayError>> {
    // Answered from memory, so there is nothing to wait for.
    std::future::ready(answer(&call)).boxed_local()
}

fn answer(call: &MethodCall<'_>) -> Result<MethodAnswer, GatewayError> {
    let given = |name: &str| call.params.get(name).map_or(Given::Absent, Given::Text);
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
            return Err(GatewayError::wrong_arguments(&errors));
        }
    };
    let claimed = TenantId::parse(tenant).map_err(|_| GatewayError::not_permitted())?;
    let answer = call
        .key
        .check(call.ctx, claimed, check)
        .map_err(|error| match error {
            ServiceError::PermissionDenied(_) => GatewayError::not_permitted(),
            _ => GatewayError::unavailable(),
        })?;
    let items = answer.offers.iter().map(structure).collect();
    let mut members = vec![("data", Node::List("d_t_o", items)), ("succeed", text("true"))];
    if !answer.msg_code.is_empty() {
        members.push(("msg_code", text(answer.msg_code)));
        members.push(("msg_info", text(&answer.msg_info)));
    }
    Ok(MethodAnswer {
        members,
        headers: check_headers(&answer),
    })
}

/// All members of the page's table, empty texts too; `uninstall_type` only for a rollback.
fn structure(offer: &Offer<'_>) -> Node {
    let content = &offer.release.content;
    let mut members = vec![
        ("config_json", text(content.config_json.as_str())),
        ("download_url", text(offer.download_url())),
        ("status", Node::Integer(offer.status_code().into())),
        ("qrcode", text(offer.qrcode())),
        ("size", Node::Integer(content.file.size)),
        ("update_desc", text(content.update_desc.as_str())),
        ("version_code", Node::Integer(content.version_code)),
        ("version_name", text(content.version_name.as_str())),
        ("icon_url", text(offer.icon_url())),
        ("md5", text(content.file.md5.as_str())),
        ("auto_install", Node::Boolean(offer.auto_install)),
        ("app_name", text(offer.app.app_name.as_str())),
        ("package_name", text(offer.app.package_name.as_str())),
        ("old_package_name", text(offer.old_package_name)),
        ("identifier", text(offer.resource.identifier.as_str())),
    ];
    if offer.is_rollback {
        members.push(("uninstall_type", Node::Integer(1)));
    }
    Node::Structure(members)
}

fn text(text: &str) -> Node {
    Node::Text(text.to_owned())
}
