//! The console over HTTP, as a browser without script uses it, and in a real browser.

mod alarms;
mod at_size;
mod browser;
mod budget;
mod charts;
mod chromium;
mod database_away;
mod device;
mod double_sends;
mod empty;
mod existing_release;
mod filters;
mod forms;
mod installed_on;
mod kept_forms;
mod languages;
mod new_release;
mod objects;
mod org_codes;
mod pages;
mod pins;
mod roles;
mod search;
mod sessions;
mod stale_forms;
mod tables;
mod uploads;

pub(crate) use browser::Browser;
