//! The whole server over HTTP.

mod credentials;
mod described;
mod dump;
mod harness;
mod openapi;
mod operations;
mod releases;
mod roles;
mod strictness;
mod tenancy;
mod two_nodes;
mod worked_cases;
