//! Permissions of roles: tests every cell of the table `roles.txt`.

use std::collections::BTreeMap;

use super::described_operations::with_descriptions;
use super::harness::{ADMIN, Answer, Caller, TENANT, TestApp};
use super::operations::{Objects, Operation, api_token, call, make_person, operations, sign_in};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Operations for devices.
const OF_DEVICES: [&str; 6] = [
    "check",
    "check_again",
    "enrol_device",
    "receive_events",
    "poll_pushes",
    "acknowledge_push",
];
/// Operations that require a device's own token. With a tenant's device key they answer 404.
const OF_ONE_DEVICE: [&str; 3] = ["receive_events", "poll_pushes", "acknowledge_push"];

/// Operations that only a person can call, regardless of the role.
const OF_PEOPLE: [&str; 2] = ["logout", "change_password"];

/// Cells of `roles.txt` by operation and column.
struct Table {
    columns: Vec<&'static str>,
    rows: BTreeMap<&'static str, Vec<bool>>,
}

/// A caller that can obtain an equivalent credential again.
enum Who {
    Nobody,
    Device,
    Person(String),
    Pipeline(Caller),
}

async fn every_role_may_do_what_the_table_says_and_nothing_else(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let table = Table::read();
    let mut number = 0;
    for column in &table.columns {
        for who in callers(&app, &admin, column).await {
            number += 1;
            let objects = Objects::make(&app, &admin, TENANT, number).await;
            table.try_each_operation(&app, column, &who, &objects).await;
        }
    }
}

on_both_databases!(every_role_may_do_what_the_table_says_and_nothing_else);

/// Returns callers with all kinds of credentials of a column.
async fn callers(app: &TestApp, admin: &Caller, column: &str) -> Vec<Who> {
    match column {
        "nobody" => vec![Who::Nobody],
        "device" => vec![Who::Device],
        "platform_admin" => vec![Who::Person(ADMIN.to_owned())],
        role => {
            let username = format!("the-{role}");
            make_person(admin, TENANT, &username, role).await;
            vec![
                Who::Person(username),
                Who::Pipeline(api_token(app, admin, TENANT, role).await),
            ]
        }
    }
}

impl Who {
    async fn caller(&self, app: &TestApp, objects: &Objects) -> Caller {
        match self {
            Self::Nobody => app.anyone(),
            Self::Device => app.bearer(objects.device_key["device_key"].as_str().unwrap()),
            Self::Person(username) => {
                let signed_in = sign_in(app, username).await;
                app.bearer(signed_in["access_token"].as_str().unwrap())
            }
            Self::Pipeline(token) => token.clone(),
        }
    }
}

impl Table {
    fn read() -> Self {
        let mut lines = include_str!("roles.txt")
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
            .map(|line| line.split_whitespace());
        let columns: Vec<_> = lines.next().unwrap().skip(1).collect();
        let mut rows = BTreeMap::new();
        for mut cells in lines {
            let operation = cells.next().unwrap();
            let cells: Vec<_> = cells.map(is_yes).collect();
            assert_eq!(cells.len(), columns.len(), "{operation}");
            assert!(
                rows.insert(operation, cells).is_none(),
                "{operation} has two rows"
            );
        }
        Self { columns, rows }
    }

    fn allows(&self, operation: &str, column: &str) -> bool {
        let index = self.columns.iter().position(|name| *name == column).unwrap();
        self.rows[operation][index]
    }

    async fn try_each_operation(&self, app: &TestApp, column: &str, who: &Who, objects: &Objects) {
        let operations = with_descriptions(operations(objects));
        let rows: Vec<_> = self.rows.keys().copied().collect();
        let mut listed: Vec<_> = operations.iter().map(|(operation, _)| operation.id).collect();
        listed.sort_unstable();
        assert_eq!(rows, listed, "roles.txt must have a row for every operation");

        let mut caller = who.caller(app, objects).await;
        for (operation, _) in &operations {
            let answer = call(&caller, operation).await;
            let is_allowed = self.allows(operation.id, column);
            expect(&answer, operation, column, who, is_allowed);
            let is_signed_out = OF_PEOPLE.contains(&operation.id) && is_allowed;
            if is_signed_out {
                caller = who.caller(app, objects).await;
            }
        }
    }
}

fn is_yes(cell: &str) -> bool {
    match cell {
        "yes" => true,
        "-" => false,
        other => panic!("{other} is neither yes nor -"),
    }
}

fn expect(answer: &Answer, operation: &Operation, column: &str, who: &Who, is_allowed: bool) {
    let id = operation.id;
    let is_pipeline = matches!(who, Who::Pipeline(_));
    let context = format!("{id} by {column}, token: {is_pipeline}: {}", answer.text);
    if is_allowed && !(is_pipeline && OF_PEOPLE.contains(&id)) {
        assert!((200..300).contains(&answer.status), "{context}");
        return;
    }
    let is_of_this_face = matches!(who, Who::Person(_) | Who::Pipeline(_)) && !OF_DEVICES.contains(&id);
    let (status, code) = if column == "device" && OF_ONE_DEVICE.contains(&id) {
        (404, "not_found")
    } else if is_of_this_face {
        (403, "permission_denied")
    } else {
        (401, "unauthenticated")
    };
    assert_eq!(answer.status, status, "{context}");
    assert_eq!(answer.body["code"], code, "{context}");
}
