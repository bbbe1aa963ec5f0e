//! Pages, one file each: the reads, the template, and the forms.

pub(super) mod account;
pub(super) mod app;
pub(super) mod apps;
pub(super) mod artifact;
pub(super) mod artifacts;
pub(super) mod audit;
pub(super) mod audit_export;
pub(super) mod credential_kinds;
pub(super) mod credentials;
pub(super) mod device;
pub(super) mod devices;
pub(super) mod explain;
pub(super) mod new_release;
pub(super) mod org;
pub(super) mod overview;
pub(super) mod people;
pub(super) mod pins;
pub(super) mod push_stream;
pub(super) mod pushes;
pub(super) mod release_form;
pub(super) mod releases;
pub(super) mod search;
pub(super) mod sign_in;
pub(super) mod tenants;
