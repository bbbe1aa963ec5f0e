//! The decision: the worked cases, and generated ones against the reference resolver.

pub mod case;
pub mod worked_cases;
