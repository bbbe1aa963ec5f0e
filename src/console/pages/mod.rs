//! Pages, one file each: the reads, the template, and the forms.

pub(super) mod account;
pub(super) mod apps;
pub(super) mod audit;
pub(super) mod overview;
pub(super) mod release_form;
pub(super) mod releases;
pub(super) mod sign_in;
pub(super) mod tenants;
