//! Commands that an operator runs against the installation's database: `slipway admin`, `rekey` and `restore-finish`.
//! Servers may run meanwhile.

pub mod admin;
pub mod rekey;
pub mod restore_finish;
