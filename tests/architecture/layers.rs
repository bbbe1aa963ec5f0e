//! Dependencies between the layers: modules of the server and of the domain, and the other packages. `ARCHITECTURE.md`
//! gives the reasons.

use crate::source::{Module, Sources};

/// A layer with the layers that it may depend on, and the guarded libraries that it may use.
struct Layer {
    name: &'static str,
    may_name: &'static [&'static str],
    libraries: &'static [&'static str],
}

const LAYERS: [Layer; 23] = [
    Layer {
        name: "catalog",
        may_name: &[],
        libraries: &[],
    },
    Layer {
        name: "access",
        may_name: &["catalog"],
        libraries: &[],
    },
    Layer {
        name: "resolver",
        may_name: &["catalog"],
        libraries: &[],
    },
    Layer {
        name: "secrets",
        may_name: &["catalog", "thread_priority", "random"],
        libraries: &["tokio", "aws_lc_rs", "argon2", "jsonwebtoken"],
    },
    Layer {
        name: "storage",
        may_name: &["catalog", "access", "random", "timer"],
        libraries: &["sea_orm", "migration", "tokio", "tracing", "metrics"],
    },
    Layer {
        name: "live",
        may_name: &[
            "catalog",
            "access",
            "resolver",
            "secrets",
            "storage",
            "error_chain",
            "clock",
            "backoff",
            "hints",
            "poller",
            "supervision",
            "random",
            "timer",
        ],
        libraries: &["tokio", "tracing", "metrics"],
    },
    Layer {
        name: "hints",
        may_name: &["catalog", "storage", "supervision", "backoff"],
        libraries: &["tokio", "tracing"],
    },
    Layer {
        name: "poller",
        may_name: &["storage", "backoff", "error_chain", "random", "timer"],
        libraries: &["tokio", "tracing", "metrics"],
    },
    Layer {
        name: "supervision",
        may_name: &["backoff", "timer"],
        libraries: &["tokio", "tracing", "metrics"],
    },
    Layer {
        name: "broker",
        may_name: &["backoff", "random", "timer"],
        libraries: &["tokio", "tracing", "metrics", "rumqttc"],
    },
    Layer {
        name: "artifact_store",
        may_name: &["catalog", "thread_priority"],
        libraries: &["tokio", "object_store"],
    },
    Layer {
        name: "services",
        may_name: &[
            "artifact_store",
            "package",
            "catalog",
            "access",
            "resolver",
            "secrets",
            "storage",
            "live",
            "broker",
            "error_chain",
            "clock",
            "backoff",
            "hints",
            "poller",
            "supervision",
            "thread_priority",
            "random",
            "timer",
        ],
        libraries: &["tokio", "tracing", "metrics"],
    },
    Layer {
        name: "http",
        may_name: &[
            "catalog",
            "access",
            "resolver",
            "secrets",
            "services",
            "gateway",
            "error_chain",
            "random",
            "timer",
        ],
        // Time limits on connections and bodies use the runtime.
        libraries: &["actix_web", "utoipa", "tokio", "tracing", "metrics"],
    },
    Layer {
        name: "console",
        may_name: &[
            "catalog", "access", "resolver", "secrets", "services", "gateway", "http", "random", "timer",
        ],
        // The stream of a page waits between two reads.
        libraries: &["actix_web", "tokio"],
    },
    Layer {
        name: "gateway",
        may_name: &[],
        libraries: &[],
    },
    Layer {
        name: "package",
        may_name: &[],
        libraries: &["aws_lc_rs"],
    },
    Layer {
        name: "package_maker",
        may_name: &[],
        libraries: &["aws_lc_rs"],
    },
    Layer {
        name: "client",
        may_name: &["gateway", "package"],
        libraries: &["reqwest", "tokio"],
    },
    Layer {
        name: "test_support",
        may_name: &[
            "app", "catalog", "clock", "config", "http", "resolver", "secrets", "services", "storage",
        ],
        libraries: &["reqwest", "rumqttc", "sea_orm", "tokio"],
    },
    Layer {
        name: "demo",
        may_name: &["app", "clock", "config", "secrets", "storage", "telemetry"],
        libraries: &["reqwest"],
    },
    Layer {
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
    Layer {
        name: "data_directory",
        may_name: &["config", "secrets", "random"],
        libraries: &[],
    },
    Layer {
        name: "app",
        may_name: &[
            "artifact_store",
            "broker",
            "catalog",
            "clock",
            "config",
            "console",
            "data_directory",
            "hints",
            "http",
            "live",
            "secrets",
            "services",
            "storage",
            "supervision",
            "telemetry",
            "random",
        ],
        libraries: &["actix_web", "tokio", "tracing"],
    },
];

/// Libraries that only listed layers may use.
const GUARDED: [&str; 13] = [
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
    "object_store",
    "reqwest",
    "rumqttc",
];

/// Layers without a clock, an environment, files, async code or randomness.
const PURE: [&str; 5] = ["catalog", "resolver", "access", "gateway", "package"];
const IMPURE: [&str; 7] = [
    "std::env",
    "std::fs",
    "std::time::Instant",
    "Utc::now",
    "SystemTime",
    "async fn",
    "rand::",
];

#[test]
fn layers_name_only_the_layers_they_may() {
    let sources = Sources::read();
    let mut wrong = Vec::new();
    for layer in &LAYERS {
        for module in sources.layer(layer.name) {
            for path in &module.inner {
                let Some(other) = path.first().filter(|other| *other != layer.name) else {
                    continue;
                };
                if is_layer(&sources, other) && !layer.may_name.contains(&other.as_str()) {
                    wrong.push(format!("{} names {}", module.file.display(), path.join("::")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every folder of `src` and every package must be in the table, so that a new one gets a deliberate place.
#[test]
fn every_folder_is_a_layer_of_the_table() {
    let sources = Sources::read();
    for module in sources.0.iter().filter(|module| module.path.len() > 1) {
        let is_known = LAYERS.iter().any(|layer| layer.name == module.layer());
        assert!(
            is_known || module.layer() == "telemetry",
            "{} is in no layer",
            module.file.display()
        );
    }
}

fn is_layer(sources: &Sources, name: &str) -> bool {
    sources.layer(name).next().is_some()
}

#[test]
fn layers_use_only_the_libraries_they_may() {
    let sources = Sources::read();
    for layer in &LAYERS {
        for module in sources.layer(layer.name) {
            for library in GUARDED
                .iter()
                .filter(|library| !layer.libraries.contains(library))
            {
                assert!(
                    !module.outer.contains(*library),
                    "{} uses {library}",
                    module.file.display()
                );
            }
        }
    }
}

/// A renamed module would hide dependencies from these tests.
#[test]
fn no_module_is_renamed() {
    let sources = Sources::read();
    let is_module = |path: &Vec<String>| sources.0.iter().any(|module| module.path == *path);
    let renaming: Vec<_> = sources
        .0
        .iter()
        .filter(|module| module.renamed.iter().any(is_module))
        .map(|module| &module.file)
        .collect();
    assert!(renaming.is_empty(), "{renaming:?}");
}

#[test]
fn the_pure_layers_know_no_clock_environment_or_files() {
    let sources = Sources::read();
    for layer in PURE {
        for module in sources.layer(layer) {
            let code = code_of(module);
            for impure in IMPURE {
                assert!(!code.contains(impure), "{} knows {impure}", module.file.display());
            }
        }
    }
}

/// Returns the text without tests, which are at the end of a file.
fn code_of(module: &Module) -> &str {
    module.text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
}
