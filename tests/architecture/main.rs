//! The architecture, checked in the sources.

mod cycles;
mod dependencies;
mod handlers;
mod documents;
mod language;
mod layers;
mod migrations;
mod source;
mod writes;
