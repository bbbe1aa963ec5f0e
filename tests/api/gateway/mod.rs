//! The gateway over HTTP: its answers and errors, the shapes of requests, and what a signature may not become.

mod answers;
mod batch;
mod compression;
mod errors;
mod limits;
mod order;
mod rotation;
mod sizes;
mod stage;
mod vectors;
mod wire;
