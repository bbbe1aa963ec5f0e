//! What an operator runs against the installation's database, while servers run or not: `slipway admin`, `rekey` and
//! `restore-finish`.

pub mod admin;
pub mod rekey;
pub mod restore_finish;
