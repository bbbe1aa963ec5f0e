//! Imports of devices, and the filters of their list.

use std::fmt::Write;

use reqwest::Method;
use serde_json::{Value, json};

use super::fixture::{APP, Fixture, RESOURCE, app_path, tenant};
use super::kind::Kind;
use super::table::{ExpectedProblem, Field, Operation, Row};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

fn import() -> Operation {
    let line = || Kind::Line { max: 128 };
    let device = |index: usize| json!({"device_id": index.to_string(), "project_id": "stores"});
    Operation::new(
        Method::POST,
        tenant("/devices"),
        json!({"devices": [{"device_id": "PDA001", "project_id": "stores", "device_type": "10013",
            "org_info": {"l1Code": "HM"}}]}),
        vec![
            Field::required("devices", Kind::list(Kind::Members, 100_000, device)),
            Field::required("devices[0].device_id", line()),
            Field::required("devices[0].project_id", line()),
            Field::optional("devices[0].device_type", line()),
        ],
    )
}

async fn an_import_refuses_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let import = import();
    fixture.try_rows(&admin, &import, import.rows()).await;
    let row = |devices: Value, fields: &[&str]| {
        import.row(
            &json!({"devices": devices}),
            ExpectedProblem::fields(fields.iter().copied()),
        )
    };
    let with_org = |org_info: Value| json!([{"device_id": "A", "project_id": "p", "org_info": org_info}]);
    let too_many: Vec<_> = (0..9)
        .map(|store: i64| json!({"l3Code": store.to_string()}))
        .collect();
    let rows = vec![
        row(
            json!([{"device_id": "A", "project_id": "p"}, {"device_id": "B"}, {"project_id": ""}]),
            &[
                "devices[1].project_id",
                "devices[2].device_id",
                "devices[2].project_id",
            ],
        ),
        row(
            json!([{"device_id": "A", "project_id": "p"}, {"device_id": "B", "project_id": "p"},
                {"device_id": "A", "project_id": "q"}]),
            &["devices[2].device_id"],
        ),
        row(
            json!([{"device_id": "A", "project_id": "p", "enrolled": true}]),
            &["devices[0].enrolled"],
        ),
        row(json!([["A", "p"]]), &["devices[0]"]),
        row(with_org(json!({})), &["devices[0].org_info"]),
        row(with_org(json!("HM")), &["devices[0].org_info"]),
        row(with_org(json!(5)), &["devices[0].org_info"]),
        row(with_org(json!({"l1Code": ""})), &["devices[0].org_info"]),
        row(with_org(json!({"l1Code": "a\u{7}"})), &["devices[0].org_info"]),
        row(
            with_org(json!({"l1Code": "x".repeat(129)})),
            &["devices[0].org_info"],
        ),
        row(with_org(json!({"l1Code": 5})), &["devices[0].org_info.l1Code"]),
        row(with_org(json!({"l6Code": "x"})), &["devices[0].org_info.l6Code"]),
        row(with_org(json!([{}])), &["devices[0].org_info"]),
        row(with_org(json!([["HM"]])), &["devices[0].org_info[0]"]),
        row(
            with_org(json!([{"l1Code": "HM"}, {"l1Code": 5}])),
            &["devices[0].org_info[1].l1Code"],
        ),
        row(with_org(json!(too_many)), &["devices[0].org_info"]),
    ];
    fixture.try_rows(&admin, &import, rows).await;
    let listed = admin.get(&import.path).await.expect(200);
    assert_eq!(listed["items"], json!([]));
    fixture.try_operation(&admin, &import, 200).await;
    fixture.finish();
}

/// The refusal names only the first hundred wrong devices, so that it stays readable.
async fn an_import_of_mistakes_is_answered_briefly(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let mut body = "{\"devices\":[{}".to_owned();
    for _ in 1..100_000 {
        write!(body, ",{{}}").unwrap();
    }
    let request = fixture
        .admin
        .request(Method::POST, &tenant("/devices"))
        .body(body + "]}");
    let answer = fixture.admin.send(request).await;
    assert!(answer.text.len() < 100_000, "{} bytes", answer.text.len());
    assert_eq!(answer.wrong_fields().len(), 100);
}

async fn an_import_may_be_large_and_a_body_not_larger(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let import = import();
    let too_large = Row {
        label: "over 16 MiB".to_owned(),
        body: vec![b' '; 16 * 1024 * 1024 + 1],
        expected: ExpectedProblem::status(413, "too_large"),
    };
    fixture.try_rows(&admin, &import, vec![too_large]).await;
    let devices: Vec<_> = (0..20_000)
        .map(|index| json!({"device_id": format!("{index:0100}"), "project_id": "stores"}))
        .collect();
    let body = json!({"devices": devices});
    let done = admin.post(&import.path, &body).await.expect(200);
    assert_eq!(done, json!({"created": 20_000, "updated": 0}));
    let again = admin.post(&import.path, &body).await.expect(200);
    assert_eq!(again, json!({"created": 0, "updated": 0}));
    fixture.finish();
}

async fn filters_of_devices_and_adoption_refuse_bad_values(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let devices = tenant("/devices");
    let adoption = app_path("/adoption");
    let of_app = format!("{devices}?package_name={APP}");
    let long = "x".repeat(129);
    let mut rows = Vec::new();
    for field in ["project_id", "device_type"] {
        for text in ["", "%20", "%00", "a%07", &long] {
            rows.push((format!("{devices}?{field}={text}"), field));
        }
    }
    for text in ["", "/", "HM/", "/HM", "HM//8007", "1/2/3/4/5/6", "%00", &long] {
        rows.push((format!("{devices}?org={text}"), "org"));
        rows.push((
            format!("{}?path={text}", tenant("/org-directory/devices")),
            "path",
        ));
    }
    for text in ["", "a%20b", "%00"] {
        rows.push((format!("{devices}?package_name={text}"), "package_name"));
        rows.push((format!("{of_app}&identifier={text}"), "identifier"));
        rows.push((format!("{adoption}?identifier={text}"), "identifier"));
        rows.push((format!("{adoption}/history?identifier={text}"), "identifier"));
    }
    for text in ["", "0", "-1", "x", "1.0", "%2B1", "9223372036854775808"] {
        rows.push((
            format!("{of_app}&identifier={RESOURCE}&version_code={text}"),
            "version_code",
        ));
    }
    for text in ["", "0", "-1", "366", "x", "1.0", "%2B1", "65536"] {
        rows.push((format!("{adoption}?seen_within_days={text}"), "seen_within_days"));
    }
    for text in ["", "0", "-1", "401", "x", "1.0", "%2B1", "65536"] {
        rows.push((format!("{adoption}/history?days={text}"), "days"));
    }
    for text in ["", "yes", "1", "True", "%00"] {
        rows.push((format!("{devices}?connected={text}"), "connected"));
    }
    rows.push((format!("{devices}?identifier={RESOURCE}"), "identifier"));
    rows.push((format!("{of_app}&version_code=1"), "version_code"));
    rows.push((format!("{adoption}?days=1"), "days"));
    rows.push((
        format!("{adoption}/history?seen_within_days=1"),
        "seen_within_days",
    ));
    for (path, field) in rows {
        let request = admin.request(Method::GET, &path);
        fixture
            .expect_refusal(&path, &admin, request, &ExpectedProblem::field(field))
            .await;
    }
    fixture.finish();
}

on_both_databases!(
    an_import_refuses_bad_input,
    an_import_of_mistakes_is_answered_briefly,
    an_import_may_be_large_and_a_body_not_larger,
    filters_of_devices_and_adoption_refuse_bad_values,
);
