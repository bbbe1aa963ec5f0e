//! Members of an offer and their order, for every encoding.
//!
//! An offer has the members of the specification's table, in its order, none of them null. Most of them depend on the
//! release and its app alone: they are encoded once, when the app is compiled. [`OfferEncoding::write`] inserts those
//! that depend on the device: `auto_install`, `old_package_name` and `uninstall_type`.

use slipway_domain::catalog::app::App;
use slipway_domain::catalog::release::{RecallMode, Release, ReleaseState};
use slipway_resolver::Offer;

/// Value of a member that does not depend on the device.
pub(super) enum MemberValue<'a> {
    Text(&'a str),
    Number(i64),
}

/// Members before `auto_install`.
pub(super) type ReleaseMembers<'a> = [(&'static str, MemberValue<'a>); 10];

pub(super) fn release_members<'a>(app: &'a App, release: &'a Release) -> ReleaseMembers<'a> {
    use MemberValue::{Number, Text};
    let content = &release.content;
    let icon = content.icon_url.as_ref().or(app.icon_url.as_ref());
    let qrcode = content.qrcode.as_ref();
    // Such a release is offered only to be removed.
    let is_removal = release.state == ReleaseState::Recalled(RecallMode::Removal);
    let (download_url, status) = if is_removal {
        ("", 0)
    } else {
        (
            content.file.download_url.as_ref().map_or("", |url| url.as_str()),
            1,
        )
    };
    [
        ("config_json", Text(content.config_json.as_str())),
        ("download_url", Text(download_url)),
        ("status", Number(status)),
        ("qrcode", Text(qrcode.map_or("", |url| url.as_str()))),
        ("size", Number(content.file.size)),
        ("update_desc", Text(content.update_desc.as_str())),
        ("version_code", Number(content.version_code.get())),
        ("version_name", Text(content.version_name.as_str())),
        ("icon_url", Text(icon.map_or("", |url| url.as_str()))),
        ("md5", Text(content.file.md5.as_str())),
    ]
}

/// Splits prepared bytes into the digits of a SHA-256 and what follows them.
pub(super) type SplitSha256 = for<'a> fn(&'a [u8]) -> (&'a [u8], &'a [u8]);

/// Encoding of offers: the slot of its encoder, and the text around the values that depend on the device.
pub struct OfferEncoding {
    /// Position of the encoder in [`OFFER_ENCODERS`](super::OFFER_ENCODERS).
    pub(super) slot: usize,
    /// Splits the bytes of the encoder into the SHA-256 and the members.
    pub(super) split: SplitSha256,
    /// Text between `old_package_name` and `identifier`.
    pub(super) before_identifier: &'static [u8],
    /// Text between `identifier` and the SHA-256; `None` leaves the SHA-256 out.
    pub(super) before_sha256: Option<&'static [u8]>,
    pub(super) end: &'static [u8],
    /// End of a rollback, with `uninstall_type` 1.
    pub(super) rollback_end: &'static [u8],
}

impl OfferEncoding {
    /// Appends an offer.
    pub fn write(&self, offer: &Offer<'_>, out: &mut Vec<u8>) {
        let auto_install: &[u8] = if offer.auto_install { b"true" } else { b"false" };
        let end = if offer.is_rollback {
            self.rollback_end
        } else {
            self.end
        };
        let (sha256, members) = (self.split)(offer.prepared_release(self.slot));
        let (before_sha256, sha256) = match self.before_sha256 {
            Some(before) => (before, sha256),
            None => Default::default(),
        };
        // Package names and identifiers contain nothing that an encoding must escape.
        for piece in [
            members,
            auto_install,
            offer.prepared_app(self.slot),
            offer.old_package_name.as_bytes(),
            self.before_identifier,
            offer.identifier().as_bytes(),
            before_sha256,
            sha256,
            end,
        ] {
            out.extend_from_slice(piece);
        }
    }

    /// Appends offers, each between `before` and `after`.
    pub(super) fn write_all(&self, offers: &[Offer<'_>], before: &[u8], after: &[u8], out: &mut Vec<u8>) {
        for offer in offers {
            out.extend_from_slice(before);
            self.write(offer, out);
            out.extend_from_slice(after);
        }
    }
}
