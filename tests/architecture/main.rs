//! Checks of the architecture in the sources.

mod cycles;
mod dependencies;
mod documents;
mod handlers;
mod language;
mod layers;
mod migrations;
mod mutants;
mod parameters;
mod source;
mod writes;
