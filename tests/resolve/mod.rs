//! The decision: the worked cases, and generated ones compared with the reference resolver.

pub(crate) mod case;
mod damaged;
mod generate;
mod generated_cases;
mod live_cases;
mod many_changed_apps;
pub(crate) mod reference;
mod reference_read;
pub(crate) mod worked_cases;
