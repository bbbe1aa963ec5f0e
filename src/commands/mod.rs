//! Client commands: what an integrator runs against a server. They know the wire protocol alone, and so work against
//! any server that speaks it.

mod answer;
mod server;

pub mod device;
pub mod push;
pub mod top_call;
