//! The console, as a browser without script meets it.

mod browser;
mod charts;
mod forms;
mod objects;
mod pages;
mod roles;
mod sessions;
