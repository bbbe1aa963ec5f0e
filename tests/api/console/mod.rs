//! The console, as a browser without script meets it.

mod alarms;
mod browser;
mod forms;
mod objects;
mod pages;
mod roles;
mod sessions;
mod uploads;
