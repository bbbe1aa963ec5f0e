//! Notices at the top of a page. The address names the notice, and the numbers of an import.

use actix_web::HttpRequest;

use super::texts::Texts;
use super::visit::query_param;

/// Numbers of an imported org directory, in their order in the notice.
const ORG_COUNTS: [&str; 4] = ["nodes", "new", "changed", "removed"];
/// Numbers of imported devices, in their order in the notice.
const DEVICE_COUNTS: [&str; 2] = ["new", "changed"];

/// Returns the notice that the address of a page asks for.
pub(super) fn notice_of(request: &HttpRequest, t: &Texts) -> Option<String> {
    let key = query_param(request, "done")?;
    match key.as_str() {
        "org_imported" => Some(filled(t.notice_org_imported, &counts(request, &ORG_COUNTS)?)),
        "devices_imported" => devices_imported(request, t),
        key => t.notice(key).map(str::to_owned),
    }
}

fn devices_imported(request: &HttpRequest, t: &Texts) -> Option<String> {
    let mut notice = filled(t.notice_devices_imported, &counts(request, &DEVICE_COUNTS)?);
    let unknown = counts(request, &["elsewhere"]).filter(|counts| counts != &["0"]);
    if let (Some(mut parts), Some(nodes)) = (unknown, query_param(request, "nodes")) {
        parts.push(nodes);
        notice.push(' ');
        notice.push_str(&filled(t.notice_devices_elsewhere, &parts));
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

/// Replaces each `{}` of a text by a part.
fn filled(text: &str, parts: &[String]) -> String {
    let mut parts = parts.iter().map(String::as_str);
    let mut pieces = text.split("{}");
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        whole.push_str(parts.next().unwrap_or_default());
        whole.push_str(piece);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_take_their_places() {
        let parts = ["6".to_owned(), "{}".to_owned()];
        assert_eq!(filled("{} nodes, {} new.", &parts), "6 nodes, {} new.");
        assert_eq!(filled("Saved.", &[]), "Saved.");
    }
}
