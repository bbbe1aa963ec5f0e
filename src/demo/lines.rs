//! The text that the demo prints: the address, the keys, and commands to paste.

use std::path::Path;

use serde_json::{Value, json};

use super::catalog::{APP, DEVICE, DemoCredentials, PROJECT, TENANT};

/// Parts of the text.
pub(super) struct Instructions<'a> {
    pub(super) url: &'a str,
    pub(super) username: &'a str,
    pub(super) password: &'a str,
    pub(super) credentials: &'a DemoCredentials,
    /// Path of this executable, for the commands that call it.
    pub(super) program: &'a Path,
    /// Path of a file to publish.
    pub(super) package: &'a Path,
}

/// Formats the text.
pub(super) fn format_instructions(parts: &Instructions<'_>) -> String {
    let Instructions {
        url,
        username,
        password,
        credentials,
        program,
        package,
    } = *parts;
    let device = format!("-H 'Authorization: Bearer {}'", credentials.device_key);
    let pipeline = format!("-H 'Authorization: Bearer {}'", credentials.api_token);
    let app = format!("{url}/api/v1/tenants/{TENANT}/apps/{APP}");
    let outdated = check(&json!({}));
    let current = check(
        &json!({format!("{APP}.receiving"): 42, format!("{APP}.stocktaking"): 30, format!("{APP}.labels"): 7}),
    );
    format!(
        "\nSlipway is running at {url} (API description at {url}/docs/). Its data goes when you press Ctrl-C.\n\n\
         Open the console at {url}/console/ and sign in as {username} with the password {password}\n\n\
         administrator   {username} / {password}\n\
         tenant          {TENANT}\n\
         device key      {}\n\
         API token       {}\n\
         gateway key     {} / {}\n\n\
         1. A device checks and gets what is new for it:\n\n{}\n\n\
         2. The same check when it is up to date:\n\n{}\n\n\
         3. A pipeline uploads and publishes a new version of a module:\n\n{}\n\n\
         4. The check now sees it:\n\n{}\n\n\
         5. Why does this device get what it gets?\n\n{}\n\n\
         6. The same check as an existing SDK makes it, through the signed gateway:\n\n{}\n\n\
         7. The device, in the background, waits for one push and says that it applied it:\n\n{}\n\n\
         8. A package is pushed to the device, and seen to arrive:\n\n{}\n\n\
         9. A device downloads the app, is cut off, and continues:\n\n{}\n\n\
         10. The page of the app for people, with a QR code: {}\n",
        credentials.device_key,
        credentials.api_token,
        credentials.app_key,
        credentials.app_secret,
        curl(&format!("{url}/v1/check"), &device, &outdated),
        curl(&format!("{url}/v1/check"), &device, &current),
        publish(program, url, credentials, package),
        curl(&format!("{url}/v1/check"), &device, &current),
        curl(&format!("{app}/explain"), &pipeline, &current),
        top_call(program, url, credentials, &current),
        listen(program, url, credentials),
        push(program, url, credentials),
        download(&credentials.download_url),
        page(&credentials.download_url),
    )
}

/// Builds a check by the newest version of the host app, with these modules.
fn check(old_versions: &Value) -> Value {
    json!({
        "package_name": APP,
        "version_code": 121,
        "device_id": DEVICE,
        "device_type": "10013",
        "old_versions": old_versions,
        "org_info": {"l3Code": "8007"},
    })
}

/// Formats a command that sends the check through the gateway, where every field is a string.
fn top_call(program: &Path, url: &str, credentials: &DemoCredentials, check: &Value) -> String {
    let fields = check.as_object().into_iter().flatten();
    let parameters: Vec<_> = fields
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name}={}", quoted(&text))
        })
        .collect();
    format!(
        "{} top-call --url {url} --app-key {} --app-secret {} wdk.rexout.resource.list.check tenant_id={TENANT} {}",
        quoted(&program.to_string_lossy()),
        credentials.app_key,
        credentials.app_secret,
        parameters.join(" "),
    )
}

fn publish(program: &Path, url: &str, credentials: &DemoCredentials, package: &Path) -> String {
    format!(
        "{} publish --server {url} --token {} --tenant {TENANT} --app {APP} --json {}",
        quoted(&program.to_string_lossy()),
        credentials.api_token,
        quoted(&package.to_string_lossy()),
    )
}

/// Formats commands that download a file in two parts.
fn download(url: &str) -> String {
    let url = quoted(url);
    format!(
        "curl -s -r 0-999 -o handheld.apk {url}; curl -s -C - -o handheld.apk {url} && sha256sum handheld.apk"
    )
}

/// Returns the page of an artifact: it has the key of the download.
fn page(download_url: &str) -> String {
    let (base, rest) = download_url.split_once("/dl/").unwrap_or((download_url, ""));
    let key = rest.split('/').next().unwrap_or_default();
    format!("{base}/get/{key}")
}

/// Formats a command that simulates the device.
fn listen(program: &Path, url: &str, credentials: &DemoCredentials) -> String {
    format!(
        "{} device listen --url {url} --device {DEVICE} --token {} --acknowledge applied --count 1 &",
        quoted(&program.to_string_lossy()),
        credentials.device_token,
    )
}

fn push(program: &Path, url: &str, credentials: &DemoCredentials) -> String {
    format!(
        "{} push --url {url} --token {} --tenant {TENANT} --device {DEVICE}@{PROJECT} --app-id 2021001 \
         --pack-url https://files.freshmart.example/shelf-labels.zip --wait",
        quoted(&program.to_string_lossy()),
        credentials.api_token,
    )
}

/// Quotes a text as one shell word.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Formats a command in one line. The strings of the body contain no single quotes.
fn curl(url: &str, authorization: &str, body: &Value) -> String {
    format!("curl -s {url} {authorization} -H 'Content-Type: application/json' -d '{body}'")
}
