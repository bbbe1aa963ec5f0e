//! Notices at the top of a page. The address names the notice, and the numbers of an import.

use actix_web::HttpRequest;

use super::texts::Texts;
use super::visit::{Visit, query_param};
use crate::http::request::context;
use crate::secrets::{notice_seal, verify_notice_seal};
use slipway_domain::catalog::language::filled;

/// Numbers of an imported org directory, in their order in the notice.
const ORG_COUNTS: [&str; 4] = ["nodes", "new", "changed", "removed"];
/// Numbers of imported devices, in their order in the notice.
const DEVICE_COUNTS: [&str; 2] = ["new", "changed"];

/// Parameter with the seal of the parameters before it.
const SEAL: &str = "seal";

/// Returns the address of a page with the notice of an import. The seal keeps a link from elsewhere from showing other
/// numbers and names.
pub(super) fn with_sealed_notice(visit: &Visit, page: &str, query: &str) -> String {
    let seal = notice_seal(visit.ctx.keyring(), &visit.form_token, query);
    format!("{page}?{query}&{SEAL}={seal}")
}

/// Returns the notice that the address of a page asks for. `form_token` is that of the person.
pub(super) fn notice_of(request: &HttpRequest, t: &Texts, form_token: Option<&str>) -> Option<String> {
    let key = query_param(request, "done")?;
    match key.as_str() {
        "org_imported" | "devices_imported" if !is_sealed(request, form_token) => None,
        "org_imported" => Some(in_place(t.notice_org_imported, &counts(request, &ORG_COUNTS)?)),
        "devices_imported" => devices_imported(request, t),
        key => t.notice(key).map(str::to_owned),
    }
}

fn is_sealed(request: &HttpRequest, form_token: Option<&str>) -> bool {
    let sealed = request.query_string().rsplit_once(&format!("&{SEAL}="));
    let (Some((notice, seal)), Some(form_token)) = (sealed, form_token) else {
        return false;
    };
    verify_notice_seal(context(request).keyring(), form_token, notice, seal)
}

fn devices_imported(request: &HttpRequest, t: &Texts) -> Option<String> {
    let mut notice = in_place(t.notice_devices_imported, &counts(request, &DEVICE_COUNTS)?);
    let unknown = counts(request, &["elsewhere"]).filter(|counts| counts != &["0"]);
    if let (Some(mut parts), Some(nodes)) = (unknown, query_param(request, "nodes")) {
        parts.push(nodes);
        notice.push(' ');
        notice.push_str(&in_place(t.notice_devices_elsewhere, &parts));
    }
    Some(notice)
}

/// Returns numbers of the address; `None` if one of them is absent.
fn counts(request: &HttpRequest, names: &[&str]) -> Option<Vec<String>> {
    let number = |name: &&str| query_param(request, name)?.parse::<u64>().ok();
    let numbers = names
        .iter()
        .map(|name| number(name).map(|number| number.to_string()));
    numbers.collect()
}

fn in_place(text: &str, parts: &[String]) -> String {
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    filled(text, &parts)
}
