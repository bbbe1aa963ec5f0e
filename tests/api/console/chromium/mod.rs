//! The console in a real browser. `tests/run` installs Chromium, its driver, and the accessibility checks.

mod driver;
mod every_page;
mod keyboard;
mod moments;
mod new_release;
mod release_day;
mod samples;
mod screenshots;
mod tab;
mod webdriver;
mod without_script;
