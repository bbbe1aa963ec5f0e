//! Names of a push's members, which the admin API and the gateway share.

use crate::services::pushes::UrlField;

pub(super) const fn name_of(field: UrlField) -> &'static str {
    match field {
        UrlField::Package => "package_push_info.pack_url",
        UrlField::Source => "source_url",
    }
}
