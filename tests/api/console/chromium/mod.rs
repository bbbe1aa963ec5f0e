//! The console in a real browser. `tests/run` installs Chromium, its driver, and the checks of accessibility.

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
