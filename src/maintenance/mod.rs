//! What an operator runs against the installation's database, while servers run or not: `slipway admin`.

pub mod admin;
