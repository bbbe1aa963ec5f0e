//! Delivery of pushes to devices.

mod acknowledgements;
mod apart;
mod device_command;
mod events;
mod expiry;
mod fixture;
mod locked_out;
mod mqtt;
mod polls;
mod presence;
mod stop;
mod two_nodes;
mod waiting;

pub(super) use fixture::until;
