//! Forms that are sent twice, sent for a changed object, or sent with errors, and the stream of a push page.

use reqwest::Method;
use serde_json::{Value, json};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, stream_of, until_changed};
use super::new_release::assert_has;
use super::objects::Objects;
use super::roles::NEW_RELEASE;
use crate::api::harness::{ADMIN, CHUKU, Caller, PACKAGE, PASSWORD, TENANT, TestApp, release_fields, with};

struct Fixture {
    app: TestApp,
    objects: Objects,
    browser: Browser,
    tenant: String,
}

impl Fixture {
    async fn make(database: TestDatabase) -> Self {
        let app = TestApp::start(database).await;
        let admin = app.tenant_admin(TENANT).await;
        Self {
            objects: Objects::make(&app, &admin, TENANT, 0).await,
            browser: Browser::signed_in(&app, ADMIN, PASSWORD).await,
            tenant: format!("/console/tenants/{TENANT}"),
            app,
        }
    }
}

async fn a_form_that_is_sent_twice_creates_once(database: TestDatabase) {
    let Fixture {
        objects,
        mut browser,
        tenant,
        app,
    } = Fixture::make(database).await;
    let path = objects.fill(&format!("{tenant}/apps/{{package}}/releases"));
    let page = browser.get(&format!("{path}/new")).await;
    let id = page.hidden("release", "form_id").unwrap();
    let mut fields: Vec<_> = NEW_RELEASE
        .iter()
        .map(|(name, value)| (*name, objects.fill(value)))
        .collect();
    fields.push(("form_id", id));
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let (first, second) = (
        browser.post(&path, &fields).await,
        browser.post(&path, &fields).await,
    );
    assert_eq!(first.status, 303, "{}", first.text);
    assert_eq!(
        (second.status, second.location().to_owned()),
        (303, first.location().replace("done=created", "done=exists"))
    );
    assert_eq!(browser.get(first.location()).await.status, 200);

    // A secret is not shown again.
    let keys = format!("{tenant}/keys");
    let id = browser.get(&keys).await.hidden("device-key", "form_id").unwrap();
    let fields = [("name", "handhelds"), ("form_id", id.as_str())];
    let (first, second) = (
        browser.post(&format!("{keys}/device"), &fields).await,
        browser.post(&format!("{keys}/device"), &fields).await,
    );
    assert!(
        first.status == 200 && first.text.contains("slipway_device_"),
        "{}",
        first.text
    );
    assert!(
        second.status == 409 && !second.text.contains("slipway_device_"),
        "{}",
        second.text
    );
    let admin = app.platform_admin().await;
    let listed = admin
        .get(&format!("/api/v1/tenants/{TENANT}/device-keys"))
        .await
        .expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
}

async fn a_changed_object_is_shown_beside_the_input(database: TestDatabase) {
    let Fixture {
        objects,
        mut browser,
        tenant,
        app,
    } = Fixture::make(database).await;
    let path = objects.fill(&format!("{tenant}/apps/{{package}}"));
    let etag = browser.get(&path).await.hidden("change", "etag").unwrap();
    let admin = app.platform_admin().await;
    let api = objects.fill(&format!("/api/v1/tenants/{TENANT}/apps/{{package}}"));
    admin
        .patch(&api, &json!({"app_name": "Theirs"}))
        .await
        .expect(200);
    let update = format!("{path}/update");
    let page = browser
        .post(
            &update,
            &[("app_name", "Mine"), ("enabled", "true"), ("etag", &etag)],
        )
        .await;
    assert_eq!(page.status, 412, "{}", page.text);
    assert!(
        page.text.contains("value=\"Mine\"") && page.text.contains("Theirs"),
        "{}",
        page.text
    );
    assert_eq!(admin.get(&api).await.expect(200)["app_name"], "Theirs");
    // The page has the new tag, so that the user can confirm the change by sending it again.
    let etag = page.hidden("change", "etag").unwrap();
    let page = browser
        .post(
            &update,
            &[("app_name", "Mine"), ("enabled", "true"), ("etag", &etag)],
        )
        .await;
    assert_eq!(page.status, 303, "{}", page.text);
    assert_eq!(admin.get(&api).await.expect(200)["app_name"], "Mine");
}

async fn mistakes_are_named_at_their_fields_and_the_input_is_kept(database: TestDatabase) {
    let Fixture {
        objects,
        mut browser,
        tenant,
        app: _app,
    } = Fixture::make(database).await;
    let path = objects.fill(&format!("{tenant}/apps/{{package}}/releases"));
    let mut fields: Vec<_> = NEW_RELEASE.to_vec();
    fields.retain(|(name, _)| *name != "md5" && *name != "version_code");
    fields.extend([("md5", "short"), ("version_code", "0")]);
    let page = browser.post(&path, &fields).await;
    assert_eq!(page.status, 400, "{}", page.text);
    for part in [
        "id=\"release-md5-error\"",
        "id=\"release-version_code-error\"",
        "value=\"short\"",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    let csv = "l1,l2,l3,l4,l5,name,time_zone\nHM,HM-SH,,,,,\nHM,HM-SH,,,,,\n,X,,,,,\n";
    let page = browser.post(&format!("{tenant}/org"), &[("csv", csv)]).await;
    assert_eq!(page.status, 400, "{}", page.text);
    assert!(
        page.text.contains("import-csv-error") && page.text.contains("HM,HM-SH"),
        "{}",
        page.text
    );
}

/// Returns the newest audit event of the tenant.
async fn newest_event(admin: &Caller) -> Value {
    let path = format!("/api/v1/tenants/{TENANT}/audit?limit=1");
    admin.get(&path).await.expect(200)["items"][0].clone()
}

async fn a_directory_is_replaced_by_a_table_with_its_columns_only(database: TestDatabase) {
    let Fixture {
        mut browser,
        tenant,
        app,
        ..
    } = Fixture::make(database).await;
    let admin = app.platform_admin().await;
    let api = format!("/api/v1/tenants/{TENANT}/org-directory");
    let before = admin.get(&api).await.expect(200);
    let path = format!("{tenant}/org");
    for (csv, message) in [
        ("a,b", "line 1: has 2 columns, not 7"),
        (
            "HM,,,,,,\n\nHM;HM-SH;;;;;\n",
            "line 3: columns are separated by commas",
        ),
        (
            "l1,l2,name\nHM,,,,,,\n",
            "line 1: must name these columns in this order",
        ),
        ("HM,,,,,,,x\n", "line 1: has 8 columns, not 7"),
        (" \n", "is required"),
    ] {
        let page = browser.post(&path, &[("csv", csv)]).await;
        assert_eq!(page.status, 400, "{csv}");
        assert!(page.text.contains(message), "{message}: {}", page.text);
    }
    assert_eq!(admin.get(&api).await.expect(200), before);

    let names = "l1,l2,l3,l4,l5,name,time zone\n";
    let first = format!("{names}HM,,,,,,\nHM,A,,,,,\nHM,B,,,,,\nHM,C,,,,,\n");
    let second = format!("{names}HM,,,,,,\nHM,A,,,,East,\nHM,D,,,,,\n");
    browser.post(&path, &[("csv", &first)]).await;
    let page = browser.post(&path, &[("csv", &second)]).await;
    assert_eq!(page.status, 303, "{}", page.text);
    let page = browser.get(page.location()).await;
    let numbers = "Imported: 3 nodes (1 new, 1 changed, 2 removed).";
    assert!(page.text.contains(numbers), "{}", page.text);
    let event = newest_event(&admin).await;
    assert_eq!(event["action"], "org_directory.replace");
    let counts = |state: &Value| (state["node_count"].clone(), state["differing_count"].clone());
    assert_eq!(counts(&event["before"]), (json!(4), json!(3)));
    assert_eq!(counts(&event["after"]), (json!(3), json!(2)));
}

async fn an_import_of_devices_skips_its_header_and_answers_with_numbers(database: TestDatabase) {
    let Fixture {
        mut browser,
        tenant,
        app,
        ..
    } = Fixture::make(database).await;
    let admin = app.platform_admin().await;
    let api = format!("/api/v1/tenants/{TENANT}");
    let nodes = json!({"nodes": [{"path": ["FM", "FM-EAST", "8007"]}]});
    admin
        .put(&format!("{api}/org-directory"), &nodes)
        .await
        .expect(200);
    let path = format!("{tenant}/devices");
    for (header, new) in [
        ("id, project, type, org path", "N1"),
        ("编号,项目,类型,组织路径", "N2"),
        ("Device_ID,project_id", "N3"),
    ] {
        let csv = format!("{header}\n{new},shop,,FM/FM-EAST/8007\n");
        let page = browser.post(&path, &[("csv", &csv)]).await;
        assert_eq!(page.status, 303, "{}", page.text);
        let page = browser.get(page.location()).await;
        assert!(page.text.contains("Imported: 1 new, 0 changed."), "{}", page.text);
        assert!(!page.text.contains("does not have"), "{}", page.text);
    }
    let header = admin.get(&format!("{api}/devices/id")).await;
    header.problem(404, "not_found");

    let csv = "N1,shop,10013,FM/FM-EAST/9999\nN4,shop,,//8007\n";
    let page = browser.post(&path, &[("csv", csv)]).await;
    let target = page.location().to_owned();
    let page = browser.get(&target).await;
    let text =
        "Imported: 1 new, 1 changed. 1 in a node that the org directory does not have: FM/FM-EAST/9999";
    assert!(page.text.contains(text), "{}", page.text);
    let event = newest_event(&admin).await;
    assert_eq!(event["action"], "device.import");
    assert_eq!(event["after"], json!({"created": 1, "updated": 1}));
    // A link from elsewhere shows no other numbers and names, and nothing to another person.
    let (unsealed, _) = target.split_once("&seal=").unwrap();
    for made_up in [
        target.replace("new=1", "new=9"),
        target.replace("9999", "call+0800"),
        target.replace("devices_imported", "org_imported"),
        unsealed.to_owned(),
    ] {
        assert_ne!(made_up, target);
        let page = browser.get(&made_up).await;
        assert_eq!(page.status, 200, "{made_up}");
        assert!(!page.text.contains("Imported:"), "{made_up}: {}", page.text);
    }
    let mut other = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    assert!(!other.get(&target).await.text.contains("Imported:"));

    let csv = "N5,shop\n\nN6,shop,,FM,more\n";
    let page = browser.post(&path, &[("csv", csv)]).await;
    assert_eq!(page.status, 400);
    assert!(
        page.text.contains("line 3: has 5 columns, not 2 to 4"),
        "{}",
        page.text
    );
}

async fn explain_takes_old_package_names_and_names_unknown_ones(database: TestDatabase) {
    let Fixture {
        objects,
        mut browser,
        tenant,
        app,
    } = Fixture::make(database).await;
    let admin = app.platform_admin().await;
    let api = objects.fill(&format!("/api/v1/tenants/{TENANT}/apps/{{package}}"));
    let old = json!({"old_package_names": ["com.old"]});
    admin.patch(&api, &old).await.expect(200);
    let check = |name: &'static str| {
        [
            ("package_name", name),
            ("version_code", "0"),
            ("device_id", "PDA001"),
        ]
    };
    let path = format!("{tenant}/explain");
    let page = browser.post(&path, &check("com.old")).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let page = browser.post(&path, &check("com.mistyped")).await;
    assert_eq!(page.status, 400, "{}", page.text);
    for part in [
        "id=\"check-package_name-error\">This tenant has no app com.mistyped",
        "value=\"PDA001\"",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
}

async fn why_is_told_in_the_language_of_the_page(database: TestDatabase) {
    let Fixture {
        objects,
        mut browser,
        tenant,
        app,
    } = Fixture::make(database).await;
    let admin = app.platform_admin().await;
    let releases = objects.fill(&format!("/api/v1/tenants/{TENANT}/apps/{{package}}/releases"));
    let targeted = json!({"publish": true, "device_types": ["10013"], "org_scopes": [{"l1Code": "HM"}]});
    let targeted = with(release_fields(&objects.fill("{identifier}"), 50), targeted);
    admin.post(&releases, &targeted).await.expect(201);
    let package = objects.fill("{package}");
    let check = [
        ("package_name", package.as_str()),
        ("version_code", "0"),
        ("device_id", "PDA001"),
        ("device_type", "10014"),
    ];
    let why = objects.fill(&format!("{tenant}/devices/{{device}}/why"));
    let preview = objects.fill(&format!("{tenant}/apps/{{package}}/releases/new/preview"));
    let mut new: Vec<_> = NEW_RELEASE
        .iter()
        .map(|(name, value)| (*name, objects.fill(value)))
        .collect();
    new.push(("device_types", "10013".to_owned()));
    let new: Vec<_> = new.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let english = "the release is for type 10013; the device has type 10014";
    let chinese = "该版本面向类型 10013 的设备；此设备的类型为 10014";
    let of_preview = [
        "the release is for type 10013; the device",
        "该版本面向类型 10013 的设备；此设备",
    ];
    for (language, shown, hidden) in [("en", 0, 1), ("zh", 1, 0)] {
        browser.headers = vec![("accept-language".to_owned(), language.to_owned())];
        for path in [&why, &format!("{tenant}/explain")] {
            let page = browser.post(path, &check).await;
            let step = ["<td>3. Device type <code>", "<td>3. 设备类型 <code>"][shown];
            let steps = [
                "<li>State of the release · Time window</li>",
                "<li>版本状态 · 提供时间</li>",
            ][shown];
            assert_has(&page, &[[english, chinese][shown], step, steps]);
            assert!(!page.text.contains([english, chinese][hidden]), "{}", page.text);
        }
        let page = browser.post(&preview, &new).await;
        assert_has(&page, &[of_preview[shown]]);
        assert!(!page.text.contains(of_preview[hidden]), "{}", page.text);
    }
}

async fn a_wrong_filter_of_devices_is_named_and_kept(database: TestDatabase) {
    let Fixture {
        mut browser,
        tenant,
        app: _app,
        ..
    } = Fixture::make(database).await;
    let path = format!("{tenant}/devices");
    let page = browser
        .get(&format!("{path}?package_name=com.hema.wms&version_code=7"))
        .await;
    assert_eq!(page.status, 400);
    for part in [
        "id=\"f-version-error\">needs a resource",
        "value=\"com.hema.wms\"",
        "value=\"7\"",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    let page = browser.get(&format!("{path}?org=//8007")).await;
    assert_eq!(page.status, 400);
    for part in ["id=\"f-org-error\">must be the codes", "value=\"//8007\""] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    for (list, text) in [
        ("devices?id=none", "No devices match the filter."),
        ("audit?actor_name=nobody", "No events match the filter."),
        ("pins?package_name=none", "No pins match the filter."),
        ("pushes?trace_id=none", "No pushes match the filter."),
        ("artifacts?package_name=none", "No files match the filter."),
    ] {
        let page = browser.get(&format!("{tenant}/{list}")).await;
        assert!(page.text.contains(text), "{list}: {}", page.text);
    }
}

async fn messages_have_the_words_of_the_page(database: TestDatabase) {
    let Fixture {
        objects,
        mut browser,
        tenant,
        app: _app,
    } = Fixture::make(database).await;
    let path = objects.fill(&format!("{tenant}/apps/{{package}}/releases"));
    for (field, wrong, message) in [
        (
            "rollout.percent",
            "abc",
            "must be a number from 0 to 100, for example 10.5",
        ),
        ("version_code", "x", "must be a whole number"),
    ] {
        let mut fields: Vec<_> = NEW_RELEASE.to_vec();
        fields.retain(|(name, _)| *name != field);
        fields.push((field, wrong));
        let page = browser.post(&path, &fields).await;
        let is_named = page.text.contains(message) && !page.text.contains("not a string");
        assert!(is_named, "{message}: {}", page.text);
    }
    let pin = [
        ("package_name", "com.hema.wms"),
        ("identifier", "com.hema.wms"),
        ("mode", "hold"),
        ("reason", "r"),
    ];
    let page = browser.post(&format!("{tenant}/pins"), &pin).await;
    let text = "id=\"pin-device_id-error\">give a device or an org node";
    assert!(page.text.contains(text), "{}", page.text);
}

async fn nodes_that_the_directory_lacks_are_a_warning(database: TestDatabase) {
    let Fixture {
        objects,
        mut browser,
        tenant,
        app,
    } = Fixture::make(database).await;
    let admin = app.platform_admin().await;
    let nodes = json!({"nodes": [{"path": ["FM", "FM-EAST", "8007"]}]});
    let api = format!("/api/v1/tenants/{TENANT}/org-directory");
    admin.put(&api, &nodes).await.expect(200);
    let path = objects.fill(&format!("{tenant}/apps/{{package}}/releases"));
    let warning = "Not in the org directory: FM/FM-EAST/9999</p>";
    let scopes = "FM/FM-EAST/9999\nFM/FM-EAST/8007\n//8007";
    let mut fields: Vec<_> = NEW_RELEASE.to_vec();
    fields.retain(|(name, _)| *name != "org_scopes");
    fields.push(("org_scopes", scopes));
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, objects.fill(value)))
        .collect();
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let page = browser.post(&path, &fields).await;
    assert_eq!(page.status, 303, "{}", page.text);
    let page = browser.get(page.location()).await;
    assert!(page.text.contains(warning), "{}", page.text);

    let (package, identifier) = (objects.fill("{package}"), objects.fill("{identifier}"));
    let pin = [
        ("package_name", package.as_str()),
        ("identifier", identifier.as_str()),
        ("org_path", "FM/FM-EAST/9999"),
        ("mode", "hold"),
        ("reason", "r"),
    ];
    let page = browser.post(&format!("{tenant}/pins"), &pin).await;
    assert_eq!(page.status, 303, "{}", page.text);
    let page = browser.get(page.location()).await;
    assert!(page.text.contains(warning), "{}", page.text);
}

async fn a_gateway_request_is_explained_with_the_string_that_it_signs(database: TestDatabase) {
    let Fixture {
        objects,
        mut browser,
        tenant,
        app: _app,
    } = Fixture::make(database).await;
    let request = objects.fill(
        "app_key=1&method=wdk.rexout.resource.list.check&sign=00&v=2.0&package_name={package}&version_code=0&device_id=PDA001",
    );
    let page = browser
        .post(&format!("{tenant}/explain/request"), &[("request", &request)])
        .await;
    assert_eq!(page.status, 200, "{}", page.text);
    let signed = objects.fill(
        "app_key1device_idPDA001methodwdk.rexout.resource.list.checkpackage_name{package}v2.0version_code0",
    );
    assert!(page.text.contains(&signed), "{}", page.text);
    assert!(page.text.contains("id=\"explanation\""), "{}", page.text);
    let native =
        objects.fill("{\"package_name\": \"{package}\", \"version_code\": 0, \"device_id\": \"PDA001\"}");
    let page = browser
        .post(&format!("{tenant}/explain/request"), &[("request", &native)])
        .await;
    assert!(
        page.status == 200 && page.text.contains("id=\"explanation\""),
        "{}",
        page.text
    );
    let page = browser
        .post(&format!("{tenant}/explain/request"), &[("request", "{")])
        .await;
    assert_eq!(page.status, 400, "{}", page.text);
}

async fn the_states_of_a_push_are_live_while_the_session_lasts(database: TestDatabase) {
    let Fixture {
        objects,
        mut browser,
        tenant,
        app: _app,
    } = Fixture::make(database).await;
    let path = objects.fill(&format!("{tenant}/pushes/{{push}}"));
    let page = browser.get(&path).await;
    let events = stream_of(&page);
    // A screen reader reads out the counts, not the whole table.
    let (_, targets) = page.text.split_once("id=\"targets\"").unwrap();
    let (targets, table) = targets.split_once("</div>").unwrap();
    assert!(
        targets.contains("aria-live=\"polite\"") && targets.contains("queued"),
        "{targets}"
    );
    assert!(
        table.contains("<table>") && !table.contains("aria-live"),
        "{table}"
    );
    let mut stream = browser.open(&events).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let page = browser.post(&format!("{path}/withdraw"), &[]).await;
    assert_eq!(page.status, 303, "{}", page.text);
    until_changed(&mut stream).await;
    // A browser that reconnects learns of the change that it missed.
    until_changed(&mut browser.open(&events).await).await;
    assert_eq!(browser.post("/console/sign-out", &[]).await.status, 303);
    while stream.chunk().await.unwrap().is_some() {}
}

async fn a_release_leads_to_its_pin(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 7).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let id = release["id"].as_str().unwrap();
    let path = format!("/console/tenants/{TENANT}/apps/{PACKAGE}/releases/{id}");
    let page = browser.get(&path).await;
    let pins = format!(
        "/console/tenants/{TENANT}/pins?package_name={PACKAGE}&identifier={CHUKU}&version_code=7&mode=exact"
    );
    let link = format!("href=\"{}\"", pins.replace('&', "&#38;"));
    assert!(page.text.contains(&link), "{link}: {}", page.text);
    let page = browser.get(&pins).await;
    for part in [
        "<option value=\"exact\" selected",
        "value=\"7\"",
        "<details class=\"disclosure\" open>",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
}

async fn a_missing_page_is_a_page(database: TestDatabase) {
    let Fixture {
        mut browser,
        app: _app,
        ..
    } = Fixture::make(database).await;
    for path in [
        "/console/nowhere",
        "/console/tenants/1/apps",
        "/console/tenants/x",
    ] {
        let page = browser.send(Method::GET, path, &[], &[]).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(
            page.text.contains("<h1>") && page.header("content-type").starts_with("text/html"),
            "{path}"
        );
    }
}

on_both_databases!(
    a_form_that_is_sent_twice_creates_once,
    a_changed_object_is_shown_beside_the_input,
    mistakes_are_named_at_their_fields_and_the_input_is_kept,
    a_directory_is_replaced_by_a_table_with_its_columns_only,
    an_import_of_devices_skips_its_header_and_answers_with_numbers,
    explain_takes_old_package_names_and_names_unknown_ones,
    why_is_told_in_the_language_of_the_page,
    a_wrong_filter_of_devices_is_named_and_kept,
    messages_have_the_words_of_the_page,
    nodes_that_the_directory_lacks_are_a_warning,
    a_gateway_request_is_explained_with_the_string_that_it_signs,
    the_states_of_a_push_are_live_while_the_session_lasts,
    a_missing_page_is_a_page,
    a_release_leads_to_its_pin,
);
