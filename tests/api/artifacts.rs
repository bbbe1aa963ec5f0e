//! Artifacts: uploads, facts read from files, limits, and visibility.

mod downloads;
mod fixture;
mod jobs;
mod ranges;
mod slow_readers;
mod store_faults;

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use slipway_package_maker::hostile::{Outcome, hostile_files};
use slipway_package_maker::samples::samples;

use self::fixture::{Fixture, TestStorage, on_every_store, upload};
use super::harness::{Answer, in_tenant, raw, sha256};
use slipway_test_support::wait::until;

async fn a_file_is_stored_once_and_described(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let sample = samples()
        .into_iter()
        .find(|sample| sample.name == "chinese.apk")
        .unwrap();
    let stored = fixture
        .upload(&sample.bytes, "?filename=shelf%20%E8%B4%A7.apk")
        .await
        .expect(201);
    assert_eq!(stored["sha256"], sha256(&sample.bytes));
    assert_eq!(stored["size"], sample.bytes.len());
    assert_eq!(stored["filename"], "shelf 货.apk");
    assert_eq!(stored["kind"], "apk");
    assert_eq!(stored["media_type"], "application/vnd.android.package-archive");
    let package = &stored["package"];
    assert_eq!(package["package_name"], "com.example.sample");
    assert_eq!(package["version_code"], 42);
    assert_eq!(package["abis"], json!(["arm64-v8a", "armeabi-v7a"]));
    assert_eq!(package["signers"].as_array().unwrap().len(), 1);
    assert_eq!(package["signers_verified"], true);
    let url = stored["download_url"].as_str().unwrap();
    assert!(
        url.starts_with("https://files.example/dl/") && url.ends_with("/shelf%20%E8%B4%A7.apk"),
        "{url}"
    );

    let again = fixture
        .upload(&sample.bytes, "?filename=other.apk")
        .await
        .expect(200);
    assert_eq!(again, stored, "the first name stays");
    assert_eq!(fixture.stored_files().len(), 1);
    assert_eq!(fixture.files_being_uploaded(), Vec::<std::path::PathBuf>::new());

    let one = fixture
        .admin
        .get(&Fixture::path(&sha256(&sample.bytes)))
        .await
        .expect(200);
    assert_eq!(one["releases"], json!([]));
    for (query, found) in [
        ("", 1),
        ("?kind=apk", 1),
        ("?kind=zip", 0),
        ("?unused=true", 1),
        ("?unused=false", 0),
        ("?package_name=com.example.sample", 1),
        ("?package_name=com.other", 0),
    ] {
        let list = fixture
            .admin
            .get(&in_tenant(&format!("/artifacts{query}")))
            .await
            .expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), found, "{query}");
    }
}

async fn every_sample_is_stored_with_its_kind(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    for sample in samples() {
        let kind = if Path::new(sample.name)
            .extension()
            .is_some_and(|extension| extension == "hap")
        {
            "hap"
        } else {
            "apk"
        };
        let stored = fixture.upload(&sample.bytes, "").await.expect(201);
        assert_eq!(stored["kind"], kind, "{}", sample.name);
        let prefix = sha256(&sample.bytes)[..12].to_owned();
        assert_eq!(stored["filename"], format!("{prefix}.{kind}"));
    }
    assert_eq!(fixture.upload(b"", "").await.expect(201)["kind"], "other");
}

async fn an_upload_without_a_body_is_refused(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let request = fixture.admin.request(Method::POST, &in_tenant("/artifacts"));
    let problem = fixture
        .admin
        .send(request)
        .await
        .problem(400, "invalid_parameter");
    assert_eq!(problem["errors"][0]["field"], "file");
    let list = fixture.admin.get(&in_tenant("/artifacts")).await.expect(200);
    assert_eq!(list["items"], json!([]));
}

async fn hostile_files_are_refused_or_kept_for_what_they_are(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    for file in hostile_files() {
        let answer = fixture.upload(&file.bytes, "").await;
        match file.outcome {
            Outcome::Refused(message) => {
                let detail = answer.body["detail"].as_str().unwrap_or_default().to_owned();
                assert_eq!(answer.wrong_fields(), ["file"], "{}", file.name);
                assert!(detail.contains(message), "{}: {detail}", file.name);
            }
            Outcome::Kind(kind) => {
                assert!(
                    [200, 201].contains(&answer.status),
                    "{}: {}",
                    file.name,
                    answer.text
                );
                assert_eq!(answer.body["kind"], kind, "{}", file.name);
                assert_ne!(answer.body["package"]["signers_verified"], true, "{}", file.name);
            }
        }
    }
    assert_eq!(fixture.files_being_uploaded(), Vec::<std::path::PathBuf>::new());
}

async fn simultaneous_uploads_of_the_same_bytes_make_one_artifact(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let bytes = vec![7_u8; 300_000];
    let uploads = (0..6).map(|_| fixture.upload(&bytes, ""));
    let answers = futures_util::future::join_all(uploads).await;
    let new = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(new, 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    assert_eq!(fixture.stored_files().len(), 1);
}

async fn forms_and_digests_are_read(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let (path, bytes) = (in_tenant("/artifacts"), b"a file".as_slice());
    let digest = |bytes: &[u8]| format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(bytes)));
    let wrong = upload(
        &fixture.admin,
        &path,
        bytes,
        &[("repr-digest", &digest(b"another"))],
    )
    .await;
    wrong.problem(400, "digest_mismatch");
    assert_eq!(fixture.stored_files(), Vec::<std::path::PathBuf>::new());
    let unreadable = upload(&fixture.admin, &path, bytes, &[("content-digest", "sha-256=abc")]).await;
    assert_eq!(unreadable.wrong_fields(), ["Content-Digest"]);
    upload(
        &fixture.admin,
        &path,
        bytes,
        &[("content-digest", &digest(bytes))],
    )
    .await
    .expect(201);

    let form = async |name: &str, content: &str| {
        let body = format!(
            "--x\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"in the form.bin\"\r\n\r\n{content}\r\n--x--\r\n"
        );
        let headers = [("content-type", "multipart/form-data; boundary=x")];
        let request = fixture
            .admin
            .request(Method::POST, &path)
            .header(headers[0].0, headers[0].1)
            .body(body);
        Answer::read(request.send().await.unwrap()).await
    };
    let stored = form("file", "in a form").await.expect(201);
    assert_eq!(stored["filename"], "in the form.bin");
    assert_eq!(stored["sha256"], sha256(b"in a form"));
    assert_eq!(form("other", "in a form").await.wrong_fields(), ["file"]);
    let name = upload(&fixture.admin, &format!("{path}?filename=a%2Fb"), bytes, &[]).await;
    assert_eq!(name.wrong_fields(), ["filename"]);
}

async fn an_upload_that_breaks_off_leaves_nothing(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let head = raw::head(
        "POST",
        &in_tenant("/artifacts"),
        fixture.admin.token(),
        "Content-Length: 1000000\r\n",
    );
    let answer = raw::exchange(&fixture.app.url, vec![head, vec![1; 500_000]]).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    until(
        "the temporary file is gone",
        Duration::from_secs(20),
        async || fixture.files_being_uploaded().is_empty(),
    )
    .await;
    assert_eq!(fixture.stored_files(), Vec::<std::path::PathBuf>::new());
    let list = fixture.admin.get(&in_tenant("/artifacts")).await.expect(200);
    assert_eq!(list["items"], json!([]));
}

async fn sizes_and_quotas_are_limited(storage: TestStorage) {
    let fixture = Fixture::start_with(storage, |config| config.artifacts.max_bytes = 100_000).await;
    let large = fixture.upload(&vec![0; 100_001], "").await;
    large.problem(413, "too_large");
    // Without a length, the limit is detected while the bytes arrive.
    let mut request = vec![raw::head(
        "POST",
        &in_tenant("/artifacts"),
        fixture.admin.token(),
        "Transfer-Encoding: chunked\r\n",
    )];
    request.extend(raw::chunked(&vec![0; 500_000], 10_000));
    let answer = raw::exchange(&fixture.app.url, request).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let platform = fixture.app.platform_admin().await;
    let quota = json!({"artifact_quota_bytes": 150_000});
    assert_eq!(
        platform.patch(&in_tenant(""), &quota).await.expect(200)["artifact_quota_bytes"],
        150_000
    );
    let (one, other) = (vec![1; 90_000], vec![2; 90_000]);
    let (one, other) = tokio::join!(fixture.upload(&one, ""), fixture.upload(&other, ""));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 507]);
    fixture
        .upload(&vec![3; 90_000], "")
        .await
        .problem(507, "insufficient_storage");
    assert_eq!(fixture.stored_files().len(), 1);
    let kept = if one.status == 201 { one } else { other };
    fixture
        .admin
        .delete(&Fixture::path(kept.body["sha256"].as_str().unwrap()))
        .await
        .expect(204);
    fixture.upload(&vec![3; 90_000], "").await.expect(201);
}

async fn another_tenant_has_its_own_artifacts(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let other = fixture.app.tenant_admin(20_000_000).await;
    let bytes = b"the same bytes";
    let mine = fixture.upload(bytes, "").await.expect(201);
    let path = format!("/api/v1/tenants/20000000/artifacts/{}", sha256(bytes));
    other.get(&path).await.problem(404, "not_found");
    let theirs = upload(&other, "/api/v1/tenants/20000000/artifacts", bytes, &[])
        .await
        .expect(201);
    assert_ne!(mine["download_url"], theirs["download_url"]);
    other.delete(&path).await.expect(204);
    fixture
        .admin
        .get(&Fixture::path(&sha256(bytes)))
        .await
        .expect(200);
    assert_eq!(fixture.stored_files().len(), 1);
}

async fn writes_are_audited_without_the_key_of_the_link(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let stored = fixture.upload(b"audited", "").await.expect(201);
    let path = Fixture::path(&sha256(b"audited"));
    fixture
        .admin
        .patch(&path, &json!({"keep": true}))
        .await
        .expect(200);
    fixture
        .admin
        .post(&format!("{path}/new-link"), &json!({}))
        .await
        .expect(200);
    fixture.admin.delete(&path).await.expect(204);
    let audit = fixture.admin.get(&in_tenant("/audit")).await.expect(200);
    let actions: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["action"].clone())
        .collect();
    assert_eq!(
        actions[..4],
        [
            "artifact.delete",
            "artifact.replace_link",
            "artifact.update",
            "artifact.create"
        ]
    );
    let key = stored["download_url"]
        .as_str()
        .unwrap()
        .split('/')
        .nth(4)
        .unwrap();
    assert!(!audit.to_string().contains(key));
}

on_every_store!(
    a_file_is_stored_once_and_described,
    every_sample_is_stored_with_its_kind,
    an_upload_without_a_body_is_refused,
    hostile_files_are_refused_or_kept_for_what_they_are,
    simultaneous_uploads_of_the_same_bytes_make_one_artifact,
    forms_and_digests_are_read,
    an_upload_that_breaks_off_leaves_nothing,
    sizes_and_quotas_are_limited,
    another_tenant_has_its_own_artifacts,
    writes_are_audited_without_the_key_of_the_link,
);
