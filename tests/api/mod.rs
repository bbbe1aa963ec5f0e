//! The whole server over HTTP.

mod harness;
mod releases;
