//! Client commands, which an integrator runs against a server. They use only the wire protocol, and therefore work with
//! any server that speaks it. `inspect` needs no server.

mod response;
mod retry;
mod server;

pub mod device;
pub mod inspect;
pub mod publish;
pub mod push;
pub mod top_call;
