//! Pushes.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixture::{Fixture, tenant};
use super::kind::Kind;
use super::table::{ExpectedProblem, Field, Operation, Row};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

fn create_push() -> Operation {
    let line = || Kind::Line { max: 128 };
    let url = || Kind::Line { max: 2_048 };
    let target = |index: usize| json!({"hardware_id": index.to_string(), "project_id": "stores"});
    Operation::new(
        Method::POST,
        tenant("/pushes"),
        json!({
            "target_info": [{"hardware_id": "PDA001", "project_id": "stores"}],
            "package_push_info": {"pack_url": "https://files.example/a.amr", "app_type": "tinyApp", "app_id": "111"},
            "action": "preview",
            "trace_id": "11111",
            "source_url": "https://git.example/a",
        }),
        vec![
            Field::required("target_info", Kind::list(Kind::Members, 1_000, target)),
            Field::required("target_info[0].hardware_id", line()),
            Field::required("target_info[0].project_id", line()),
            Field::required("package_push_info", Kind::Members),
            Field::required("package_push_info.pack_url", url()),
            Field::required("package_push_info.app_type", line()),
            Field::required("package_push_info.app_id", line()),
            Field::required("action", line()),
            Field::optional("trace_id", line()),
            Field::optional("source_url", url()),
        ],
    )
}

async fn pushes_refuse_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let devices = json!({"devices": [{"device_id": "PDA001", "project_id": "stores"},
        {"device_id": "PDA002", "project_id": "kiosks"}]});
    admin.post(&tenant("/devices"), &devices).await.expect(200);
    let create = create_push();
    let before = fixture.everything().await;
    fixture.try_rows(&admin, &create, create.rows()).await;
    let row = |changes: Value, fields: &[&str]| {
        create.row(&changes, ExpectedProblem::fields(fields.iter().copied()))
    };
    let target = |id: &str, project: &str| json!({"hardware_id": id, "project_id": project});
    let info = |url: &str| json!({"pack_url": url, "app_type": "tinyApp", "app_id": "111"});
    let unknown = json!([
        target("PDA001", "stores"),
        target("PDA002", "stores"),
        target("PDA003", "stores"),
        target("PDA002", "kiosks"),
        target("PDA003", "stores")
    ]);
    let rows = vec![
        row(json!({"target_info": []}), &["target_info"]),
        row(json!({"target_info": ["PDA001"]}), &["target_info[0]"]),
        row(
            json!({"target_info": unknown}),
            &[
                "target_info[1].hardware_id",
                "target_info[2].hardware_id",
                "target_info[4].hardware_id",
            ],
        ),
        row(
            json!({"target_info": [{"hardware_id": "PDA001", "project_id": "stores", "name": "x"}]}),
            &["target_info[0].name"],
        ),
        row(
            json!({"package_push_info": info("javascript:x")}),
            &["package_push_info.pack_url"],
        ),
        row(
            json!({"package_push_info": info(" https://a")}),
            &["package_push_info.pack_url"],
        ),
        row(
            json!({"package_push_info": info("a.amr")}),
            &["package_push_info.pack_url"],
        ),
        row(
            json!({"package_push_info": info("DATA:,"), "source_url": "file:///etc/passwd"}),
            &["package_push_info.pack_url", "source_url"],
        ),
        row(json!({"alipay_context": "{}"}), &["alipay_context"]),
        row(
            json!({"target_info": null, "package_push_info": null, "action": null}),
            &["target_info", "package_push_info", "action"],
        ),
        Row {
            label: "over 16 MiB".to_owned(),
            body: vec![b' '; 16 * 1024 * 1024 + 1],
            expected: ExpectedProblem::status(413, "too_large"),
        },
    ];
    fixture.try_rows(&admin, &create, rows).await;
    assert_eq!(fixture.everything().await, before);
    fixture.try_operation(&admin, &create, 201).await;
    for text in ["", "%20", "%00", "a%07", &"x".repeat(129)] {
        let path = tenant(&format!("/pushes?trace_id={text}"));
        let request = admin.request(Method::GET, &path);
        fixture
            .expect_refusal(&path, &admin, request, &ExpectedProblem::field("trace_id"))
            .await;
    }
    fixture.finish();
}

on_both_databases!(pushes_refuse_bad_input);
