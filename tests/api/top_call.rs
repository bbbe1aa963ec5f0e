//! `slipway top-call` as an integrator runs it: the program against a server. Only on SQLite, because the command uses
//! no database.

use std::process::Command;

use serde_json::Value;

use super::harness::{CHECK, CHUKU, TENANT, TestApp, TopClient, xml_to_json};
use slipway_test_support::database::TestDatabase;

const DEVICE: [&str; 5] = [
    CHECK,
    "package_name=com.hema.wms",
    "version_code=50",
    "device_id=PDA001",
    "tenant_id=10000000",
];
const SECRET: &str = "helloworld";

/// Output of the program and its exit code.
struct CommandOutput {
    code: Option<i32>,
    output: String,
    errors: String,
}

impl CommandOutput {
    /// Returns the text below a label.
    fn part(&self, label: &str) -> &str {
        let (_, rest) = self.output.split_once(&format!("== {label} ==\n")).unwrap();
        rest.split("\n== ").next().unwrap().trim_end()
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let mut lines = self.part("request").lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }

    fn body(&self) -> &str {
        let (head, body) = self.part("answer").split_once("\n\n").unwrap();
        assert!(head.starts_with("status: 200 OK\ncontent type: "), "{head}");
        body
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.body()).unwrap()
    }
}

/// Runs the command with this secret in its environment. The output must not contain the secret.
async fn top_call(secret: &str, arguments: &[&str]) -> CommandOutput {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command.env_clear().env("SLIPWAY_APP_SECRET", secret);
    command.arg("top-call").args(arguments);
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = run.await.unwrap();
    let shown = CommandOutput {
        code: output.status.code(),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!shown.output.contains(secret), "{}", shown.output);
    assert!(!shown.errors.contains(secret), "{}", shown.errors);
    shown
}

/// Starts a server with the system's clock, an update for [`DEVICE`], and a key.
async fn stage() -> (TestApp, TopClient) {
    let app = TestApp::start_by_system_clock(TestDatabase::sqlite().await).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    let client = app.top_client(&merchant.admin, TENANT, "device").await;
    (app, client)
}

/// Returns the arguments that name the server and the key, followed by these.
fn with_key<'a>(url: &'a str, app_key: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [&["--url", url, "--app-key", app_key], arguments].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_shown_as_it_was_sent_signed_and_answered() {
    let (app, client) = stage().await;
    let arguments = with_key(&app.url, &client.app_key, &DEVICE);
    let shown = top_call(&client.secret, &arguments).await;
    assert_eq!(shown.code, Some(0), "{}{}", shown.output, shown.errors);
    let request = shown.part("request");
    assert!(
        request.starts_with(&format!("POST {}/router/rest\n\nform:\napp_key=", app.url)),
        "{request}"
    );
    assert_eq!(shown.parameter("device_id"), Some("PDA001"));
    let timestamp = shown.parameter("timestamp").unwrap();
    assert_eq!(
        shown.part("canonical string"),
        format!(
            "app_key{}device_idPDA001formatjsonmethod{CHECK}package_namecom.hema.wmssign_methodhmac-sha256\
             tenant_id10000000timestamp{timestamp}v2.0version_code50",
            client.app_key
        )
    );
    let offers = &shown.json()["wdk_rexout_resource_list_check_response"]["data"]["d_t_o"];
    assert_eq!(offers[0]["version_code"], 240);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_sign_send_and_answer_can_be_chosen() {
    let (_app, client) = stage().await;
    for sign_method in ["md5", "hmac", "hmac-sha256"] {
        let options = ["--sign-method", sign_method, "--get", "--simplify"];
        let arguments = [options.as_slice(), &DEVICE].concat();
        // The client's URL is the complete address of the gateway.
        let arguments = with_key(&client.url, &client.app_key, &arguments);
        let shown = top_call(&client.secret, &arguments).await;
        assert_eq!(shown.code, Some(0), "{}{}", shown.output, shown.errors);
        let request = shown.part("request");
        assert!(
            request.starts_with(&format!("GET {}\n\nquery:\n", client.url)),
            "{request}"
        );
        assert_eq!(shown.json()["data"][0]["version_code"], 240);
    }
    let own = ["--format", "xml", "session=a=b", "device_type=杭州 1+1&"];
    let arguments = [&DEVICE, own.as_slice()].concat();
    let shown = top_call(
        &client.secret,
        &with_key(&client.url, &client.app_key, &arguments),
    )
    .await;
    assert_eq!(shown.code, Some(0), "{}{}", shown.output, shown.errors);
    assert_eq!(shown.parameter("session"), Some("a=b"));
    assert_eq!(shown.parameter("device_type"), Some("杭州 1+1&"));
    let answer = xml_to_json(shown.body());
    let offers = &answer["wdk_rexout_resource_list_check_response"]["data"]["d_t_o"];
    assert_eq!(offers[0]["version_code"], "240");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_shown_and_told_by_the_exit_code() {
    let (app, client) = stage().await;
    let arguments = with_key(&app.url, &client.app_key, &DEVICE);
    let shown = top_call("another secret", &arguments).await;
    assert_eq!(shown.code, Some(1));
    assert_eq!(shown.json()["error_response"]["code"], 25);

    let in_xml = [arguments.as_slice(), &["--format", "xml"]].concat();
    let shown = top_call("another secret", &in_xml).await;
    assert_eq!(shown.code, Some(1));
    assert_eq!(xml_to_json(shown.body())["error_response"]["code"], "25");

    let elsewhere = format!("{}/elsewhere", app.url);
    let shown = top_call(&client.secret, &with_key(&elsewhere, &client.app_key, &DEVICE)).await;
    assert_eq!(shown.code, Some(1));
    assert!(
        shown.part("answer").starts_with("status: 404"),
        "{}",
        shown.output
    );

    // Port 1 has no listener. The request is shown nevertheless.
    let nowhere = "http://127.0.0.1:1";
    let shown = top_call(&client.secret, &with_key(nowhere, &client.app_key, &DEVICE)).await;
    assert_eq!(shown.code, Some(1));
    assert!(shown.parameter("sign").is_some());
    assert!(shown.errors.contains("cannot be called"), "{}", shown.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_call_has_its_known_signature() {
    let app = TestApp::start(TestDatabase::sqlite().await).await;
    let expected = [
        ("md5", "D005A231371375EF38C5F5FCF6BEB1DB"),
        ("hmac", "BDB79956FD7368D92CD7D4FCD8BF8080"),
        (
            "hmac-sha256",
            "E8DB2997A350F2E4101389B29630E5009D1031DA628CDC67687A94FD84B5E656",
        ),
    ];
    for (sign_method, sign) in expected {
        let own = [
            "--timestamp",
            "2026-01-02 03:04:05",
            "--sign-method",
            sign_method,
            CHECK,
            "package_name=com.test.test",
            "version_code=1",
            "device_id=12345",
            "device_type=10013",
            "old_versions={}",
            r#"org_info={"l1Code":"HM"}"#,
            "attributes={}",
            "tenant_id=10000000",
        ];
        let shown = top_call(SECRET, &with_key(&app.url, "12345678", &own)).await;
        assert_eq!(shown.parameter("sign"), Some(sign), "{}", shown.output);
        assert_eq!(
            shown.part("canonical string"),
            format!(
                "app_key12345678attributes{{}}device_id12345device_type10013formatjson\
                 methodwdk.rexout.resource.list.checkold_versions{{}}org_info{{\"l1Code\":\"HM\"}}\
                 package_namecom.test.testsign_method{sign_method}tenant_id10000000\
                 timestamp2026-01-02 03:04:05v2.0version_code1"
            )
        );
        assert_eq!(shown.code, Some(1), "the key is unknown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_usage_is_told_before_anything_is_sent() {
    let base = ["--url", "http://127.0.0.1:1", "--app-key", "1"];
    let rows: [(&[&str], &str); 10] = [
        (&[], "<METHOD>"),
        (&["device_id=1"], "the first argument is the API's name"),
        (&[CHECK, "device_id"], "this has no `=`"),
        (&[CHECK, "=1"], "this has no name"),
        (&[CHECK, "a=1", "a=1"], "the parameter a is given twice"),
        (&[CHECK, "app_key=2"], "it is set by --app-key"),
        (&[CHECK, "sign=2"], "it is made with --app-secret"),
        (&[CHECK, "timestamp=2"], "it is set by --timestamp"),
        (&[CHECK, "v=3.0"], "it is always 2.0"),
        (&[CHECK, "--sign-method", "sha256"], "hmac-sha256"),
    ];
    for (arguments, why) in rows {
        let shown = top_call(SECRET, &[base.as_slice(), arguments].concat()).await;
        assert_eq!(shown.code, Some(2), "{arguments:?}");
        assert!(shown.errors.contains(why), "{arguments:?}: {}", shown.errors);
        assert_eq!(shown.output, "", "{arguments:?}");
    }
    for url in ["router/rest", "ftp://127.0.0.1", "http://127.0.0.1/?method=a"] {
        let shown = top_call(SECRET, &["--url", url, "--app-key", "1", CHECK]).await;
        assert_eq!(shown.code, Some(2), "{url}: {}", shown.errors);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_answer_in_the_form_asked_for_is_a_success() {
    use std::io::{Read, Write};

    // A proxy's page, for example, is a 200 too.
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listening.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listening.incoming().take(2) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<html></html>";
            stream.write_all(page.as_bytes()).unwrap();
        }
    });
    for format in ["json", "xml"] {
        let own = [DEVICE.as_slice(), &["--format", format]].concat();
        let shown = top_call(SECRET, &with_key(&url, "12345678", &own)).await;
        assert_eq!(shown.code, Some(1), "{}{}", shown.output, shown.errors);
        assert_eq!(shown.body(), "<html></html>");
    }
}
