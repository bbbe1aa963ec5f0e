//! Test vectors of the protocol, byte for byte as on its page, with its key, secret and instant.

use serde_json::{Value, json};

use crate::api::harness::{Answer, TENANT, TestApp, app_fields, plant_app_key};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const CHECK_OF_JAVA: &str = "package_name=com.test.test&version_code=1&device_id=12345&device_type=10013&old_versions=%7B%7D&org_info=%7B%22l1Code%22%3A%22HM%22%7D&attributes=%7B%7D&tenant_id=10000000";
const FORM: &str = "application/x-www-form-urlencoded;charset=UTF-8";

/// Starts a server at the vectors' instant, with their key and an app that has nothing to offer.
async fn vectors(database: TestDatabase) -> TestApp {
    plant_app_key(&database, TENANT, "12345678", "helloworld").await;
    let app = TestApp::start(database).await;
    let platform = app.platform_admin().await;
    let path = format!("/api/v1/tenants/{TENANT}/apps");
    platform
        .post(&path, &app_fields("com.test.test"))
        .await
        .expect(201);
    app.set_clock("2026-01-01T19:04:05Z");
    app
}

async fn post(app: &TestApp, path: &str, content_type: &str, body: &str) -> Answer {
    let request = app.anyone().request(reqwest::Method::POST, path);
    let request = request
        .header("content-type", content_type)
        .header("accept", "text/xml,text/javascript")
        .header("user-agent", "top-sdk-java");
    app.anyone().send(request.body(body.to_owned())).await
}

#[track_caller]
fn assert_nothing_newer(answer: &Answer) {
    let response = &answer.body["wdk_rexout_resource_list_check_response"];
    let id = response["request_id"]
        .as_str()
        .unwrap_or_else(|| panic!("{}", answer.text));
    assert_eq!(
        answer.text,
        format!(
            r#"{{"wdk_rexout_resource_list_check_response":{{"data":{{}},"succeed":"true","request_id":"{id}"}}}}"#
        )
    );
}

async fn a_check_of_java_is_answered(database: TestDatabase) {
    let app = vectors(database).await;
    let path = "/router/rest?app_key=12345678&method=wdk.rexout.resource.list.check&v=2.0&sign=D005A231371375EF38C5F5FCF6BEB1DB&timestamp=2026-01-02+03%3A04%3A05&format=json&sign_method=md5";
    assert_nothing_newer(&post(&app, path, FORM, CHECK_OF_JAVA).await);
    // The same bytes are answered again.
    assert_nothing_newer(&post(&app, path, FORM, CHECK_OF_JAVA).await);
    for (method, sign) in [
        ("hmac", "BDB79956FD7368D92CD7D4FCD8BF8080"),
        (
            "hmac-sha256",
            "e8db2997a350f2e4101389b29630e5009d1031da628cdc67687a94fd84b5e656",
        ),
    ] {
        let path = path
            .replace("D005A231371375EF38C5F5FCF6BEB1DB", sign)
            .replace("sign_method=md5", &format!("sign_method={method}"));
        assert_nothing_newer(&post(&app, &path, FORM, CHECK_OF_JAVA).await);
    }
}

async fn a_check_of_dotnet_is_answered(database: TestDatabase) {
    let app = vectors(database).await;
    let public = "app_key=12345678&method=wdk.rexout.resource.list.check&v=2.0&timestamp=2026-01-02+03%3A04%3A05&format=json&sign_method=md5&sign=D005A231371375EF38C5F5FCF6BEB1DB";
    let body = format!("{CHECK_OF_JAVA}&{public}");
    let type_of_dotnet = "application/x-www-form-urlencoded;charset=utf-8";
    assert_nothing_newer(&post(&app, "/router/rest", type_of_dotnet, &body).await);
    let get = app
        .anyone()
        .request(reqwest::Method::GET, &format!("/router/rest?{body}"));
    let labelled = get.header("content-type", "application/x-www-form-urlencoded;charset=gbk");
    assert_nothing_newer(&app.anyone().send(labelled).await);
}

/// Multipart as the clients write it: the signature last, no types of the parts.
async fn a_check_in_parts_is_answered(database: TestDatabase) {
    let app = vectors(database).await;
    let parts = [
        ("timestamp", "2026-01-02 03:04:05"),
        ("version_code", "1"),
        ("app_key", "12345678"),
        ("method", "wdk.rexout.resource.list.check"),
        ("v", "2.0"),
        ("format", "json"),
        ("sign_method", "md5"),
        ("package_name", "com.test.test"),
        ("device_id", "12345"),
        ("device_type", "10013"),
        ("old_versions", "{}"),
        ("org_info", r#"{"l1Code":"HM"}"#),
        ("tenant_id", "10000000"),
    ];
    let body = |attributes: &str, sign: &str| {
        let rest = [("attributes", attributes), ("sign", sign)];
        let mut body = String::new();
        for (name, value) in parts.into_iter().chain(rest) {
            let part = format!(
                "----------------------------1ae7d7eb\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
            body.push_str(&part);
        }
        body + "----------------------------1ae7d7eb--"
    };
    let kind = "multipart/form-data; boundary=--------------------------1ae7d7eb";
    let ascii = body("{}", "D005A231371375EF38C5F5FCF6BEB1DB");
    assert_nothing_newer(&post(&app, "/router/rest", kind, &ascii).await);
    // Vector B: raw UTF-8 with a character of four bytes.
    let unicode = body(
        r#"{"store":"杭州 1+1","note":"🚀&=%"}"#,
        "1AA219F031C055EB5B43E2384543E32A",
    );
    assert_nothing_newer(&post(&app, "/router/rest", kind, &unicode).await);
}

async fn a_check_with_milliseconds_is_answered(database: TestDatabase) {
    let app = vectors(database).await;
    // Signed with md5sum.
    let path = "/router/rest?app_key=12345678&method=wdk.rexout.resource.list.check&v=2.0&sign=CCBD8B0E53D9B6C8EB965C6413E6A397&timestamp=1767294245000&format=json&sign_method=md5&partner_id=top-sdk-python-20200924";
    assert_nothing_newer(&post(&app, path, FORM, CHECK_OF_JAVA).await);
}

/// Vector B as a form, D simplified, E in both readings of an empty value, F with another secret.
async fn the_other_vectors_are_answered(database: TestDatabase) {
    let app = vectors(database).await;
    let path = |sign: &str, more: &str| {
        format!(
            "/router/rest?app_key=12345678&method=wdk.rexout.resource.list.check&v=2.0&sign={sign}&timestamp=2026-01-02+03%3A04%3A05&format=json&sign_method=md5{more}"
        )
    };
    let attributes = "attributes=%7B%22store%22%3A%22%E6%9D%AD%E5%B7%9E+1%2B1%22%2C%22note%22%3A%22%F0%9F%9A%80%26%3D%25%22%7D";
    let b = CHECK_OF_JAVA.replace("attributes=%7B%7D", attributes);
    assert_nothing_newer(&post(&app, &path("1AA219F031C055EB5B43E2384543E32A", ""), FORM, &b).await);
    let spaced = b.replace('+', "%20");
    assert_nothing_newer(&post(&app, &path("1AA219F031C055EB5B43E2384543E32A", ""), FORM, &spaced).await);

    let d = path(
        "E72A8ED17F56813BF24FC3DB992F6829",
        "&simplify=true&partner_id=top-sdk-java-20200923",
    );
    let simplified = post(&app, &d, FORM, CHECK_OF_JAVA).await;
    let id = simplified.body["request_id"].as_str().unwrap();
    assert_eq!(
        simplified.text,
        format!(r#"{{"data":[],"succeed":"true","request_id":"{id}"}}"#)
    );

    let e = CHECK_OF_JAVA
        .replace("attributes=%7B%7D", "attributes=")
        .replace("old_versions=%7B%7D", "old_versions=");
    for sign in [
        "B55C6891CF67697A2053182F899234F0",
        "6550B99C147C0B23FBD84D27B0048CB4",
    ] {
        assert_nothing_newer(&post(&app, &path(sign, ""), FORM, &e).await);
    }
    let f = path("0005A231371375EF38C5F5FCF6BEB1DB", "");
    assert_eq!(
        post(&app, &f, FORM, CHECK_OF_JAVA).await.body["error_response"]["code"],
        25
    );
}

async fn a_check_signed_with_another_secret_is_refused(database: TestDatabase) {
    plant_app_key(&database, TENANT, "12345678", "goodbyeworld").await;
    let app = TestApp::start(database).await;
    app.set_clock("2026-01-01T19:04:05Z");
    let path = "/router/rest?app_key=12345678&method=wdk.rexout.resource.list.check&v=2.0&sign=D005A231371375EF38C5F5FCF6BEB1DB&timestamp=2026-01-02+03%3A04%3A05&format=json&sign_method=md5";
    let error = &post(&app, path, FORM, CHECK_OF_JAVA).await.body["error_response"];
    assert_eq!(
        (&error["code"], &error["msg"]),
        (&Value::from(25), &Value::from("Invalid signature"))
    );
}

/// Vector C, with every signature of the page.
async fn a_push_is_answered(database: TestDatabase) {
    let app = vectors(database).await;
    let platform = app.platform_admin().await;
    let device = json!({"devices": [{"device_id": "111", "project_id": "projectId"}]});
    let tenant = format!("/api/v1/tenants/{TENANT}");
    platform
        .post(&format!("{tenant}/devices"), &device)
        .await
        .expect(200);
    let body = "method=yunos.miniapp.offlinepkg.push&v=2.0&sign_method=hmac-sha256&app_key=12345678&format=json&timestamp=2026-01-02+03%3A04%3A05&sign=3836B08A550A2C5DD874727F5484C01EDEB140D4176E4EFE3CA2EF97E270990B&alipay_context=%7B%22havanaId%22%3A%22%22%2C%22loginId%22%3A%22%22%2C%22masterId%22%3A%22%22%7D&req=%7B%22action%22%3A%22preview%22%2C%22package_push_info%22%3A%7B%22app_id%22%3A%22111%22%2C%22app_type%22%3A%22tinyApp%22%2C%22pack_url%22%3A%22scheme%3A%5C%2F%5C%2Fpkg%22%7D%2C%22source_url%22%3A%22http%3A%5C%2F%5C%2Fsrc.example%5C%2Fa%22%2C%22target_info%22%3A%5B%7B%22hardware_id%22%3A%22111%22%2C%22project_id%22%3A%22projectId%22%7D%5D%2C%22trace_id%22%3A%2211111%22%7D";
    for (method, sign) in [
        (
            "hmac-sha256",
            "3836B08A550A2C5DD874727F5484C01EDEB140D4176E4EFE3CA2EF97E270990B",
        ),
        ("md5", "BB4E58AB465AEB3BB4B34383E5621D62"),
        ("hmac", "3C8D95B279A8B7A7993A2685E4604570"),
    ] {
        let body = body
            .replace(
                "3836B08A550A2C5DD874727F5484C01EDEB140D4176E4EFE3CA2EF97E270990B",
                sign,
            )
            .replace("sign_method=hmac-sha256", &format!("sign_method={method}"));
        let answer = post(&app, "/router/rest", FORM, &body).await;
        let response = &answer.body["yunos_miniapp_offlinepkg_push_response"];
        let id = response["request_id"]
            .as_str()
            .unwrap_or_else(|| panic!("{}", answer.text));
        assert_eq!(
            answer.text,
            format!(
                r#"{{"yunos_miniapp_offlinepkg_push_response":{{"result":{{"result":true,"success":true,"result_code":"200","result_msg":"请求成功"}},"request_id":"{id}"}}}}"#
            )
        );
    }
    let forged = body.replace("3836B08A", "0836B08A");
    let forged = post(&app, "/router/rest", FORM, &forged).await;
    assert_eq!(forged.body["error_response"]["code"], 25);
    // They share a trace id and content.
    let pushes = platform.get(&format!("{tenant}/pushes")).await.expect(200);
    let pushes = pushes["items"].as_array().unwrap().clone();
    assert_eq!(pushes.len(), 1);
    assert_eq!(pushes[0]["pack_url"], "scheme://pkg");
    assert_eq!(pushes[0]["trace_id"], "11111");
}

async fn the_batch_of_the_page_is_answered(database: TestDatabase) {
    let app = vectors(database).await;
    let call = |version: &str, device: &str| {
        format!(
            "method=wdk.rexout.resource.list.check&package_name=com.test.test&version_code={version}&device_id={device}&tenant_id=10000000"
        )
    };
    let body = format!("{}\r\n-S-\r\n{}", call("1", "12345"), call("2", "12346"));
    for (method, sign) in [
        ("md5", "26350381129954EA56BC1047142996E9"),
        ("hmac", "E3199D7E47555EB93BCF113E98521722"),
        (
            "hmac-sha256",
            "892A6CD12746BF173A9684A9E744BDDAA1366E1B43368376C54642841F99260D",
        ),
    ] {
        let path = format!(
            "/router/batch?app_key=12345678&format=json&timestamp=2026-01-02+03%3A04%3A05&v=2.0&sign_method={method}&sign={sign}"
        );
        let answer = post(&app, &path, "text/plain;charset=UTF-8", &body).await;
        let answers: Vec<_> = answer.text.split("\r\n-S-\r\n").collect();
        assert_eq!(answers.len(), 2, "{}", answer.text);
        for text in answers {
            let body = serde_json::from_str(text).unwrap();
            let answer = Answer {
                body,
                text: text.to_owned(),
                ..answer.clone()
            };
            assert_nothing_newer(&answer);
        }
    }
}

on_both_databases!(
    a_check_of_java_is_answered,
    a_check_of_dotnet_is_answered,
    a_check_in_parts_is_answered,
    a_check_with_milliseconds_is_answered,
    the_other_vectors_are_answered,
    a_check_signed_with_another_secret_is_refused,
    a_push_is_answered,
    the_batch_of_the_page_is_answered,
);
