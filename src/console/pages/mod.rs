//! Pages, one file each: the reads, the template, and the forms.

pub(super) mod account;
pub(super) mod audit;
pub(super) mod overview;
pub(super) mod sign_in;
pub(super) mod tenants;
