//! `slipway admin` beside a running server.

use futures_util::future::join;
use serde_json::json;
use tempfile::TempDir;

use super::harness::{ADMIN, PASSWORD, SECRET_KEY, TestApp};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::program::{self, Outcome};

const OTHER: &str = "another long password";

struct Commands {
    database_url: String,
    directory: TempDir,
}

impl Commands {
    fn of(app: &TestApp) -> Self {
        Self {
            database_url: app.database.url.clone(),
            directory: TempDir::new().unwrap(),
        }
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Outcome {
        self.run_with(arguments, &[], input).await
    }

    async fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Outcome {
        let mut all = vec![
            ("SLIPWAY_DATABASE_URL", self.database_url.as_str()),
            ("SLIPWAY_SECRET_KEY", SECRET_KEY),
        ];
        all.extend(variables);
        program::run(self.directory.path(), arguments, &all, input).await
    }
}

async fn an_administrator_is_created_and_recovered_by_command(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let commands = Commands::of(&app);
    let created = commands
        .run(&["admin", "create", "Li.Na"], "")
        .await
        .expect_success();
    let generated = created
        .lines()
        .find_map(|line| line.strip_prefix("password: "))
        .and_then(|line| line.split(' ').next())
        .unwrap();
    let before = app.login("li.na", generated).await;
    before.get("/api/v1/tenants").await.expect(200);

    let reset = [
        "admin",
        "reset-password",
        "--username",
        "li.na",
        "--password-stdin",
    ];
    let said = commands.run(&reset, &format!("{OTHER}\n")).await.expect_success();
    assert!(!said.contains(OTHER), "{said}");
    before
        .get("/api/v1/tenants")
        .await
        .problem(401, "unauthenticated");
    let after = app.login("li.na", OTHER).await;

    let listed = commands.run(&["admin", "list"], "").await.expect_success();
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(lines[0].starts_with(&format!("{ADMIN}\tenabled")), "{listed}");
    assert!(lines[1].starts_with("li.na\tenabled"), "{listed}");

    commands
        .run(&["admin", "disable", "li.na"], "")
        .await
        .expect_success();
    after.get("/api/v1/tenants").await.problem(401, "unauthenticated");
    let platform = app.platform_admin().await;
    let login = json!({"username": "li.na", "password": OTHER});
    app.anyone()
        .post("/api/v1/auth/login", &login)
        .await
        .problem(401, "unauthenticated");
    let last = commands
        .run(&["admin", "disable", ADMIN], "")
        .await
        .expect_failure();
    assert!(last.contains("last enabled administrator"), "{last}");
    platform.get("/api/v1/tenants").await.expect(200);
    commands
        .run(&["admin", "enable", "li.na"], "")
        .await
        .expect_success();
    app.login("li.na", OTHER).await;

    let audit = platform.get("/api/v1/audit").await.expect(200);
    let events = audit["items"].as_array().unwrap();
    let actions: Vec<_> = events
        .iter()
        .filter(|event| event["actor"] == "command_line")
        .map(|event| event["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        ["user.update", "user.update", "user.set_password", "user.create"]
    );
}

async fn a_password_comes_from_the_environment_too(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let commands = Commands::of(&app);
    let variables = [("SLIPWAY_ADMIN_PASSWORD", OTHER)];
    let reset = commands
        .run_with(&["admin", "reset-password", ADMIN], &variables, "")
        .await;
    let said = reset.expect_success();
    assert!(!said.contains(OTHER), "{said}");
    app.login(ADMIN, OTHER).await;
}

async fn what_cannot_be_done_is_said(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let commands = Commands::of(&app);
    let cases: [(&[&str], &str, &str); 7] = [
        (&["admin", "create", ADMIN], "", "taken"),
        (&["admin", "create", "a b"], "", "username"),
        (&["admin", "create"], "", "USERNAME"),
        (
            &["admin", "create", "b", "--password-stdin"],
            "short\n",
            "10 to 256",
        ),
        (&["admin", "create", "b", "--password-stdin"], "", "10 to 256"),
        (&["admin", "reset-password", "nobody"], "", "slipway admin list"),
        (&["admin", "disable", "nobody"], "", "slipway admin list"),
    ];
    for (arguments, input, expected) in cases {
        let said = commands.run(arguments, input).await.expect_failure();
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let listed = commands.run(&["admin", "list"], "").await.expect_success();
    assert_eq!(listed.lines().count(), 1);
    app.login(ADMIN, PASSWORD).await;
}

async fn a_command_and_a_call_leave_one_administrator(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let commands = Commands::of(&app);
    let platform = app.platform_admin().await;
    let body = json!({"username": "second", "password": PASSWORD});
    let made = platform.post("/api/v1/users", &body).await.expect(201);
    let path = format!("/api/v1/users/{}", made["id"].as_str().unwrap());
    let by_command = commands.run(&["admin", "disable", ADMIN], "");
    let disabled = json!({"enabled": false});
    let by_call = async {
        // Repeated, so that some requests coincide with the command.
        let mut last = 0;
        for _ in 0..200 {
            last = platform.patch(&path, &disabled).await.status;
            if last != 200 {
                break;
            }
            let enabled = platform.patch(&path, &json!({"enabled": true})).await.status;
            if enabled != 200 {
                break;
            }
        }
        last
    };
    let (outcome, _) = join(by_command, by_call).await;
    let listed = commands.run(&["admin", "list"], "").await.expect_success();
    let enabled = listed.lines().filter(|line| line.contains("\tenabled\t")).count();
    assert!(enabled >= 1, "{outcome:?} {listed}");
}

#[tokio::test]
async fn a_command_does_not_create_an_installation() {
    let directory = TempDir::new().unwrap();
    let outcome = program::run(directory.path(), &["admin", "list"], &[], "").await;
    let said = outcome.expect_failure();
    assert!(said.contains("there is no database"), "{said}");
    assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none());
}

on_both_databases! {
    an_administrator_is_created_and_recovered_by_command,
    a_password_comes_from_the_environment_too,
    what_cannot_be_done_is_said,
    a_command_and_a_call_leave_one_administrator,
}
