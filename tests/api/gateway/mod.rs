//! The gateway over HTTP: its answers and errors, the shapes of requests, and what a signature may not become.

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
