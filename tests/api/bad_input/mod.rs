//! Bad input, by table: each field of each request with each possible error. Every refusal is a problem document that
//! names the field in plain words, and nothing is written.

mod apps;
mod bodies;
mod check;
mod check_forms;
mod check_wrong;
mod devices;
mod enrolment;
mod fixture;
mod fuzz;
mod kind;
mod lists;
mod org_directory;
mod people;
mod pins;
mod pushes;
mod release_life;
mod release_rules;
mod releases;
mod sizes;
mod table;
