//! The gateway over HTTP: answers, errors, formats of requests, and attacks on signatures.

mod answers;
mod batch;
mod compression;
mod cuts;
mod error_rows;
mod errors;
mod fixture;
mod limits;
mod mutated;
mod order;
mod push_answers;
mod push_errors;
mod push_readings;
mod push_repeats;
mod readings;
mod rotation;
mod sizes;
mod vectors;
mod wire;
