//! Pushes on their way to devices.

mod acknowledgements;
mod apart;
mod device_command;
mod events;
mod expiry;
mod locked_out;
mod mqtt;
mod polls;
mod presence;
mod stage;
mod stop;
mod two_nodes;
mod waiting;

pub(super) use stage::until;
