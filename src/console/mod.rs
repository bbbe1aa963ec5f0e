//! The console: server-rendered pages at `/console/`, over the same use cases as the admin API. Only `http` and this
//! module depend on actix-web.
//!
//! A page reads with the use cases of `services` and renders a template. A form becomes the body that the admin API
//! accepts, is parsed by the API's parser, and ends with a redirect (POST, redirect, GET).

mod adoption;
mod adoption_history;
mod alarms;
mod assets;
mod attempt;
mod created;
mod csv_rows;
mod error_pages;
mod error_texts;
mod fields;
mod file_facts;
mod file_links;
mod file_submission;
mod filter_errors;
mod form_view;
mod format;
mod fragment;
mod input;
mod kept_form;
mod live;
mod memory_view;
mod missing_form;
mod notices;
mod opened_row;
mod opened_values;
mod page_error;
mod pages;
mod release_summary;
mod response;
mod routes;
mod sent_form;
mod session;
mod shell;
mod steps;
mod submission;
mod table;
mod texts;
mod unknown_nodes;
mod visit;

use crate::http::Console;

/// The console, for the server.
pub(crate) const CONSOLE: Console = Console::new(routes::routes, error_pages::failure_page);

pub use self::routes::ROUTES;
