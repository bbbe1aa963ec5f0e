//! Clients generated from `openapi/slipway.json`, run against the real server, and linters of the documents.
//! `tests/run` installs the tools that `tests/generated_clients` pins.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::harness::{ADMIN, PASSWORD, TENANT, TestApp};
use super::operations::{Objects, api_token};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const DOCUMENT: &str = "openapi/slipway.json";
const ASYNC_DOCUMENT: &str = "openapi/slipway-async.json";

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> PathBuf {
    project().join("tests/generated_clients")
}

/// Returns the folder of the tools that `tests/run` installed in the pinned versions.
fn installed() -> PathBuf {
    let directory = project().join("target/generated-clients");
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let pins = ["requirements.txt", "package-lock.json"];
    let wanted: String = pins.iter().map(|pin| read(sources().join(pin))).collect();
    assert!(
        read(directory.join("installed")) == wanted,
        "the tools of tests/generated_clients are not installed; run tests/run, which installs them"
    );
    directory
}

/// Returns a program installed by npm.
fn node_program(name: &str) -> Command {
    let mut command = Command::new(installed().join("node_modules/.bin").join(name));
    command.current_dir(project());
    command
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {printed}{errors}");
}

/// Creates an empty directory for a generated client. Both databases may generate at the same time.
fn directory(language: &str) -> tempfile::TempDir {
    let prefix = format!("{language}-");
    tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(installed())
        .unwrap()
}

/// Returns the address of a server with a tenant, and its administrator's credential.
async fn arguments(app: &TestApp) -> Vec<String> {
    app.tenant_admin(TENANT).await;
    vec![
        app.url.clone(),
        ADMIN.to_owned(),
        PASSWORD.to_owned(),
        TENANT.to_string(),
    ]
}

async fn a_client_of_openapi_fetch_works(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let arguments = arguments(&app).await;
    let check = move || {
        let directory = directory("typescript");
        for name in ["check.ts", "tsconfig.json", "package.json"] {
            std::fs::copy(sources().join(name), directory.path().join(name)).unwrap();
        }
        let schema = directory.path().join("schema.d.ts");
        run(node_program("openapi-typescript")
            .arg(DOCUMENT)
            .arg("--output")
            .arg(schema));
        run(node_program("tsc").arg("--project").arg(directory.path()));
        run(Command::new("node")
            .arg(directory.path().join("check.js"))
            .args(arguments));
    };
    tokio::task::spawn_blocking(check).await.unwrap();
}

async fn a_client_of_openapi_python_client_works(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let arguments = arguments(&app).await;
    let check = move || {
        let directory = directory("python");
        let programs = installed().join("venv/bin");
        let client = directory.path().join("slipway_client");
        run(Command::new(programs.join("openapi-python-client"))
            .current_dir(project())
            .args([
                "generate",
                "--fail-on-warning",
                "--meta",
                "none",
                "--path",
                DOCUMENT,
                "--config",
            ])
            .arg(sources().join("openapi-python-client.yaml"))
            .arg("--output-path")
            .arg(client));
        run(Command::new(programs.join("python"))
            .env("PYTHONPATH", directory.path())
            .arg(sources().join("check.py"))
            .args(arguments));
    };
    tokio::task::spawn_blocking(check).await.unwrap();
}

/// Requests derived from the description get only described answers, for every caller.
async fn requests_that_schemathesis_derives_find_nothing(database: TestDatabase) {
    let app = TestApp::start_by_system_clock(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let objects = Objects::make(&app, &admin, TENANT, 1).await;
    let platform = app.platform_admin().await;
    let token = json!({"name": "schemathesis"});
    let token = platform.post("/api/v1/api-tokens", &token).await.expect(201);
    let mut credentials = vec![
        "unknown".to_owned(),
        objects.device_token.clone(),
        objects.device_key["device_key"].as_str().unwrap().to_owned(),
    ];
    for role in ["viewer", "publisher", "admin"] {
        let caller = api_token(&app, &admin, TENANT, role).await;
        credentials.push(caller.token().to_owned());
    }
    // Last, because its requests may delete objects that the others need.
    credentials.push(token["token"].as_str().unwrap().to_owned());
    let url = app.url.clone();
    let check = move || {
        for credential in credentials {
            run(&mut schemathesis(&url, &credential));
        }
    };
    tokio::task::spawn_blocking(check).await.unwrap();
}

/// Builds the command for one credential. `SLIPWAY_SCHEMATHESIS_EXAMPLES` sets the number of requests for each
/// operation and enables all phases.
fn schemathesis(url: &str, credential: &str) -> Command {
    let setting = |name: &str| std::env::var(format!("SLIPWAY_SCHEMATHESIS_{name}")).ok();
    let (phases, examples) = match setting("EXAMPLES") {
        Some(examples) => ("examples,coverage,fuzzing", examples),
        None => ("fuzzing", "1".to_owned()),
    };
    let seed = setting("SEED").unwrap_or_else(|| "1".to_owned());
    let mut command = Command::new(installed().join("venv/bin/schemathesis"));
    command
        .current_dir(installed())
        .arg("--config-file")
        .arg(sources().join("schemathesis.toml"))
        .arg("run")
        .arg(project().join(DOCUMENT))
        .args(["--url", url, "--checks", "all", "--phases", phases])
        .args(["--max-examples", &examples, "--seed", &seed])
        .args(["--header", &format!("Authorization: Bearer {credential}")])
        .args(["--continue-on-failure", "--no-color"]);
    command
}

on_both_databases!(
    a_client_of_openapi_fetch_works,
    a_client_of_openapi_python_client_works,
    requests_that_schemathesis_derives_find_nothing,
);

#[test]
fn the_documents_have_no_finding_of_a_linter() {
    run(node_program("redocly")
        .arg("lint")
        .arg("--config")
        .arg(sources().join("redocly.yaml"))
        .arg(DOCUMENT));
    run(node_program("spectral")
        .args(["lint", "--fail-severity", "warn", "--ruleset"])
        .arg(sources().join("spectral.yaml"))
        .args([DOCUMENT, ASYNC_DOCUMENT]));
}
