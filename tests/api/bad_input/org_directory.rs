//! The org directory.

use std::fmt::Write;

use reqwest::Method;
use serde_json::{Value, json};

use super::fixture::{Fixture, tenant};
use super::kind::Kind;
use super::table::{ExpectedProblem, Field, Operation, Row};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

pub(super) fn replace() -> Operation {
    let zone = Kind::OneOf(&["Asia/Shanghai"]);
    Operation::new(
        Method::PUT,
        tenant("/org-directory"),
        json!({"nodes": [{"path": ["HM", "HM-SH", "8007"], "name": "Store", "time_zone": "Asia/Shanghai"}]}),
        vec![
            Field::required(
                "nodes",
                Kind::list(
                    Kind::Members,
                    100_000,
                    |index| json!({"path": [index.to_string()]}),
                ),
            ),
            Field::required("nodes[0].path", Kind::OrgPath),
            Field::optional("nodes[0].name", Kind::Line { max: 128 }),
            Field::optional("nodes[0].time_zone", zone),
        ],
    )
}

async fn the_org_directory_refuses_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let replace = replace();
    fixture.try_rows(&admin, &replace, replace.rows()).await;
    let row = |nodes: Value, fields: &[&str]| {
        replace.row(
            &json!({"nodes": nodes}),
            ExpectedProblem::fields(fields.iter().copied()),
        )
    };
    let rows = vec![
        row(json!([{"path": ["HM"]}, {"path": ["HM"]}]), &["nodes[1].path"]),
        row(
            json!([{"path": ["HM"]}, {"path": [" HM "], "name": "the same"}]),
            &["nodes[1].path"],
        ),
        row(
            json!([{"path": ["HM"]}, {"path": ["hm"]}, {"path": ["HM"]}, {"path": ["hm"]}]),
            &["nodes[2].path", "nodes[3].path"],
        ),
        row(json!([{}]), &["nodes[0].path"]),
        row(json!([{"path": null}]), &["nodes[0].path"]),
        row(json!([{"path": ["HM"], "zone": "UTC"}]), &["nodes[0].zone"]),
        row(json!([[["HM"], "name", "UTC"]]), &["nodes[0]"]),
        row(
            json!([{"path": ["HM"], "time_zone": "Asia/Hangzhou"}]),
            &["nodes[0].time_zone"],
        ),
        row(
            json!([{"path": ["HM"], "time_zone": "+08:00"}]),
            &["nodes[0].time_zone"],
        ),
        row(
            json!([{"path": ["HM"]}, {"path": [], "name": " ", "time_zone": "x"}]),
            &["nodes[1].path", "nodes[1].name", "nodes[1].time_zone"],
        ),
    ];
    fixture.try_rows(&admin, &replace, rows).await;
    assert_eq!(fixture.everything().await, before);
    fixture.try_operation(&admin, &replace, 200).await;
    fixture.finish();
}

/// The refusal names only the first hundred wrong nodes, so that it stays readable.
async fn a_directory_of_mistakes_is_answered_briefly(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let directory = |node: &str| {
        let mut body = format!("{{\"nodes\":[{node}");
        for _ in 1..100_000 {
            write!(body, ",{node}").unwrap();
        }
        body + "]}"
    };
    for body in [directory("{}"), directory(r#"{"path":["HM"]}"#)] {
        let request = admin
            .request(Method::PUT, &tenant("/org-directory"))
            .header("content-type", "application/json")
            .body(body);
        let answer = admin.send(request).await;
        assert!(answer.text.len() < 100_000, "{} bytes", answer.text.len());
        let named = answer.wrong_fields();
        assert_eq!(named.len(), 100);
        assert!(named.iter().all(|field| field.ends_with("].path")), "{named:?}");
    }
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

async fn a_directory_may_be_large_and_a_body_not_larger(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let replace = replace();
    let too_large = Row {
        label: "over 16 MiB".to_owned(),
        body: vec![b' '; 16 * 1024 * 1024 + 1],
        expected: ExpectedProblem::status(413, "too_large"),
    };
    fixture.try_rows(&admin, &replace, vec![too_large]).await;
    let nodes: Vec<_> = (0..100_000)
        .map(|index| json!({"path": [index.to_string()]}))
        .collect();
    admin
        .put(&replace.path, &json!({"nodes": nodes}))
        .await
        .expect(200);
    fixture.finish();
}

on_both_databases!(
    the_org_directory_refuses_bad_input,
    a_directory_of_mistakes_is_answered_briefly,
    a_directory_may_be_large_and_a_body_not_larger,
);
