//! Which room may know which, read from the sources. `ARCHITECTURE.md` says why.

use std::fs;
use std::path::{Path, PathBuf};

/// A room, the rooms it may name, and the libraries that only some rooms may.
struct Room {
    name: &'static str,
    may_name: &'static [&'static str],
    libraries: &'static [&'static str],
}

const ROOMS: [Room; 15] = [
    Room {
        name: "catalog",
        may_name: &[],
        libraries: &[],
    },
    Room {
        name: "access",
        may_name: &["catalog"],
        libraries: &[],
    },
    Room {
        name: "resolve",
        may_name: &["catalog"],
        libraries: &[],
    },
    Room {
        name: "secrets",
        may_name: &["catalog"],
        libraries: &["tokio", "aws_lc_rs", "argon2", "jsonwebtoken"],
    },
    Room {
        name: "storage",
        may_name: &["catalog", "access"],
        libraries: &["sea_orm", "migration", "tokio", "tracing", "metrics"],
    },
    Room {
        name: "live",
        may_name: &[
            "catalog",
            "access",
            "resolve",
            "secrets",
            "storage",
            "causes",
            "clock",
            "backoff",
            "supervision",
        ],
        libraries: &["tokio", "tracing", "metrics"],
    },
    Room {
        name: "supervision",
        may_name: &["backoff"],
        libraries: &["tokio", "tracing", "metrics"],
    },
    Room {
        name: "broker",
        may_name: &["backoff"],
        libraries: &["tokio", "tracing", "metrics", "rumqttc"],
    },
    Room {
        name: "services",
        may_name: &[
            "catalog",
            "access",
            "resolve",
            "secrets",
            "storage",
            "live",
            "broker",
            "causes",
            "clock",
            "backoff",
            "supervision",
        ],
        libraries: &["tokio", "tracing", "metrics"],
    },
    Room {
        name: "http",
        may_name: &[
            "catalog", "access", "resolve", "secrets", "storage", "services", "causes",
        ],
        // Its time limits on connections and bodies are those of the runtime.
        libraries: &["actix_web", "utoipa", "tokio", "tracing", "metrics"],
    },
    Room {
        name: "commands",
        may_name: &["clock", "http"],
        libraries: &["reqwest", "tokio"],
    },
    Room {
        name: "demo",
        may_name: &["app", "clock", "config", "secrets", "storage", "telemetry"],
        libraries: &["reqwest"],
    },
    Room {
        name: "maintenance",
        may_name: &[
            "access",
            "app",
            "catalog",
            "clock",
            "config",
            "data_directory",
            "secrets",
            "services",
            "storage",
        ],
        libraries: &[],
    },
    Room {
        name: "data_directory.rs",
        may_name: &["config", "secrets"],
        libraries: &[],
    },
    Room {
        name: "app",
        may_name: &[
            "broker",
            "catalog",
            "clock",
            "config",
            "data_directory",
            "http",
            "live",
            "secrets",
            "services",
            "storage",
            "supervision",
            "telemetry",
        ],
        libraries: &["actix_web", "tokio", "tracing"],
    },
];

/// Libraries that a room must be allowed.
const GUARDED: [&str; 12] = [
    "actix_web",
    "utoipa",
    "sea_orm",
    "migration",
    "tokio",
    "tracing",
    "metrics",
    "aws_lc_rs",
    "argon2",
    "jsonwebtoken",
    "reqwest",
    "rumqttc",
];

/// What the pure rooms must not know in any form.
const IMPURE: [&str; 6] = [
    "std::env",
    "std::fs",
    "Utc::now",
    "SystemTime",
    "async fn",
    "rand::",
];

#[test]
fn rooms_name_only_the_rooms_they_may() {
    let all = [
        "access",
        "app",
        "backoff",
        "broker",
        "catalog",
        "causes",
        "clock",
        "commands",
        "config",
        "data_directory",
        "demo",
        "http",
        "live",
        "maintenance",
        "resolve",
        "secrets",
        "services",
        "storage",
        "supervision",
        "telemetry",
    ];
    for room in &ROOMS {
        for (path, text) in sources(room.name) {
            for other in all
                .iter()
                .filter(|other| **other != room.name.trim_end_matches(".rs"))
            {
                let names_it = text.contains(&format!("crate::{other}::"));
                assert!(
                    !names_it || room.may_name.contains(other),
                    "{} names {other}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn rooms_use_only_the_libraries_they_may() {
    for room in &ROOMS {
        for (path, text) in sources(room.name) {
            for library in GUARDED.iter().filter(|library| !room.libraries.contains(library)) {
                let uses_it =
                    text.contains(&format!("use {library}::")) || text.contains(&format!(" {library}::"));
                assert!(!uses_it, "{} uses {library}", path.display());
            }
        }
    }
}

#[test]
fn the_pure_rooms_know_no_clock_environment_or_files() {
    for room in ["catalog", "resolve", "access"] {
        for (path, text) in sources(room) {
            for impure in IMPURE {
                assert!(!text.contains(impure), "{} knows {impure}", path.display());
            }
        }
    }
}

/// A write that can change an answer advances the tenant's revision, because it can only be made in a transaction
/// whose one way to end does that.
#[test]
fn what_checks_are_answered_from_is_written_in_catalog_transactions_alone() {
    let catalog = [
        "tenants",
        "org_directories",
        "apps",
        "resources",
        "releases",
        "pins",
        "device_keys",
        "app_keys",
    ];
    for noun in catalog {
        let text = fs::read_to_string(format!("src/storage/{noun}.rs")).expect("each noun has its file");
        for function in text.split("\npub async fn ").skip(1) {
            let writes = [
                "Entity::insert",
                "Entity::update",
                "Entity::delete",
                "upsert::<Entity>",
            ]
            .iter()
            .any(|call| function.contains(call));
            let signature = function.split('{').next().unwrap_or_default();
            assert!(
                !writes || signature.contains("tx: &CatalogTx"),
                "storage/{noun}.rs writes outside a CatalogTx: {signature}"
            );
        }
    }
    let transactions = fs::read_to_string("src/storage/transaction.rs").expect("the file is there");
    let catalog_tx = transactions
        .split("impl CatalogTx")
        .nth(1)
        .expect("CatalogTx has methods");
    let commits = catalog_tx.matches(".commit()").count();
    assert_eq!(commits, 1, "CatalogTx must end in one way only");
    let before_commit = catalog_tx.split(".commit()").next().unwrap_or_default();
    assert!(
        before_commit.contains("self.advance_tenant()"),
        "the revision is advanced before the commit"
    );
}

/// A credential may end while a request waits, so what writes for a caller begins in the caller's name: such a
/// transaction verifies the credential again.
#[test]
fn what_a_caller_writes_is_written_in_the_callers_name() {
    for (path, text) in sources("services") {
        for function in text.split("async fn ").skip(1) {
            let is_for_a_caller = function
                .split('{')
                .next()
                .unwrap_or_default()
                .contains("caller: &Caller");
            let begins_as_the_program = ["db.begin()", "db.begin_catalog("]
                .iter()
                .any(|call| function.contains(call));
            assert!(
                !is_for_a_caller || !begins_as_the_program,
                "{}: {} begins a transaction in the program's own name; take Context::begin or Context::begin_catalog",
                path.display(),
                function.split('(').next().unwrap_or_default()
            );
        }
    }
}

/// The files of a room, tests beside the code left out.
fn sources(room: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    collect(&Path::new("src").join(room), &mut found);
    assert!(!found.is_empty(), "there is no room {room}");
    found
}

fn collect(path: &Path, found: &mut Vec<(PathBuf, String)>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("the sources are there") {
            collect(&entry.expect("the sources are there").path(), found);
        }
    } else {
        let text = fs::read_to_string(path).expect("sources are text");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        found.push((path.to_owned(), code));
    }
}
