//! Downloads by link: ranges, conditions, permits, and the page for people.

use reqwest::Client;
use reqwest::header::HeaderMap;
use serde_json::json;

use super::fixture::{Fixture, TestStorage, browser, local, on_every_store};
use super::sha256;
use crate::api::harness::DEADLINE;
use slipway_test_support::wait::until;

/// Makes a request without a credential. Returns status, headers and body.
pub(super) async fn fetch(
    fixture: &Fixture,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, HeaderMap, Vec<u8>) {
    fetch_by(&browser(), fixture, path, headers).await
}

/// Makes a request with a client that keeps its connections.
pub(super) async fn fetch_by(
    client: &Client,
    fixture: &Fixture,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, HeaderMap, Vec<u8>) {
    let mut request = client.get(format!("{}{path}", fixture.app.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, headers, answer.bytes().await.unwrap().to_vec())
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

async fn a_link_downloads_the_file_whole_or_in_parts(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    // Longer than one chunk of the store, and without repetition.
    let content: Vec<u8> = (0..300_000_u32)
        .map(|index| (index % 251).to_le_bytes()[0])
        .collect();
    let stored = fixture
        .upload(&content, "?filename=%E8%B4%A7%20%22a%22.bin")
        .await
        .expect(201);
    let path = local(&stored);
    let (status, headers, body) = fetch(&fixture, &path, &[]).await;
    assert_eq!((status, body == content), (200, true));
    let etag = format!("\"{}\"", sha256(&content));
    for (name, value) in [
        ("etag", etag.as_str()),
        ("accept-ranges", "bytes"),
        ("content-length", "300000"),
        ("content-type", "application/octet-stream"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("x-content-type-options", "nosniff"),
        (
            "content-disposition",
            "attachment; filename=\"_ _a_.bin\"; filename*=UTF-8''%E8%B4%A7%20%22a%22.bin",
        ),
    ] {
        assert_eq!(header(&headers, name), value, "{name}");
    }
    assert!(header(&headers, "repr-digest").starts_with("sha-256=:"));
    let last_modified = header(&headers, "last-modified").to_owned();
    assert_eq!(last_modified, "Mon, 02 Mar 2026 02:00:00 GMT");

    let (status, headers, body) = fetch(&fixture, &path, &[("range", "bytes=131000-262143")]).await;
    assert_eq!((status, body[..] == content[131_000..262_144]), (206, true));
    assert_eq!(header(&headers, "content-range"), "bytes 131000-262143/300000");
    let (status, headers, _) = fetch(&fixture, &path, &[("range", "bytes=300000-")]).await;
    assert_eq!(
        (status, header(&headers, "content-range")),
        (416, "bytes */300000")
    );
    assert_eq!(fetch(&fixture, &path, &[("if-none-match", &etag)]).await.0, 304);
    assert_eq!(fetch(&fixture, &path, &[("if-match", "\"other\"")]).await.0, 412);
    let stale = [("range", "bytes=0-0"), ("if-range", "\"other\"")];
    assert_eq!(fetch(&fixture, &path, &stale).await.0, 200);
    let fresh = [("range", "bytes=0-0"), ("if-range", last_modified.as_str())];
    assert_eq!(fetch(&fixture, &path, &fresh).await.0, 206);

    let head = browser()
        .head(format!("{}{path}", fixture.app.url))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.status().as_u16(), header(head.headers(), "content-length")),
        (200, "300000")
    );
    assert!(head.bytes().await.unwrap().is_empty());
    let head = browser()
        .head(format!("{}{path}", fixture.app.url))
        .header("range", "bytes=0-9");
    assert_eq!(
        head.send().await.unwrap().status(),
        200,
        "ranges are defined for GET alone"
    );
}

async fn unknown_keys_look_alike_and_old_links_end(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let stored = fixture.upload(b"linked", "").await.expect(201);
    let old = local(&stored);
    // The node has the link in memory from now on.
    assert_eq!(fetch(&fixture, &old, &[]).await.2, b"linked");
    let resource = Fixture::path(&sha256(b"linked"));
    let renewed = fixture
        .admin
        .post(&format!("{resource}/new-link"), &json!({}))
        .await
        .expect(200);
    assert_eq!(fetch(&fixture, &local(&renewed), &[]).await.2, b"linked");
    let unknown = format!("/dl/{}/x", "a".repeat(26));
    let mut answers = Vec::new();
    for path in [old.as_str(), &unknown, "/dl/short/x"] {
        let (status, headers, body) = fetch(&fixture, path, &[]).await;
        answers.push((status, header(&headers, "content-type").to_owned(), body));
    }
    assert_eq!(answers[0].0, 404);
    assert!(answers.iter().all(|answer| *answer == answers[0]));

    // The number of a link is never reused, even for the same file.
    fixture.admin.delete(&resource).await.expect(204);
    assert_eq!(fetch(&fixture, &local(&renewed), &[]).await.0, 404);
    let again = fixture.upload(b"linked", "").await.expect(201);
    assert_eq!(fetch(&fixture, &local(&again), &[]).await.0, 200);
    for ended in [old, local(&renewed)] {
        assert_eq!(fetch(&fixture, &ended, &[]).await.0, 404, "{ended}");
    }
}

async fn an_empty_file_is_downloaded(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let path = local(&fixture.upload(b"", "").await.expect(201));
    let (status, headers, body) = fetch(&fixture, &path, &[]).await;
    assert_eq!((status, body.len()), (200, 0));
    assert_eq!(header(&headers, "content-length"), "0");
}

/// Both nodes have the link in memory. The other one learns of its end as it learns of offers.
async fn a_link_ends_on_every_node(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let path = local(&fixture.upload(b"linked", "").await.expect(201));
    let url = fixture.artifacts_url();
    let (node, there) = fixture
        .app
        .at_another_node_with(&fixture.admin, |config| {
            config.artifacts.url = Some(url);
            if let Some(bucket) = &fixture.bucket {
                config.artifacts.bucket_variables = bucket.variables();
            }
        })
        .await;
    let status_there = async || {
        let answer = browser().get(format!("{}{path}", there.url)).send().await;
        answer.unwrap().status().as_u16()
    };
    until("the other node serves the tenant", DEADLINE, async || {
        status_there().await == 200
    })
    .await;
    assert_eq!(fetch(&fixture, &path, &[]).await.0, 200);
    let resource = Fixture::path(&sha256(b"linked"));
    fixture.admin.delete(&resource).await.expect(204);
    assert_eq!(fetch(&fixture, &path, &[]).await.0, 404);
    until("the link ends there", DEADLINE, async || {
        status_there().await == 404
    })
    .await;
    node.stop().await.unwrap();
}

/// A rollout goes on while the database is away: the files of links that were used before are sent.
async fn known_links_need_no_database(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let known = local(&fixture.upload(b"known", "").await.expect(201));
    let unknown = local(&fixture.upload(b"unknown", "").await.expect(201));
    assert_eq!(fetch(&fixture, &known, &[]).await.2, b"known");
    fixture.app.running.context.db().clone().close().await.unwrap();
    for _ in 0..2 {
        assert_eq!(fetch(&fixture, &known, &[]).await.2, b"known");
        assert_eq!(fetch(&fixture, &unknown, &[]).await.0, 503);
    }
}

async fn downloads_beyond_the_permits_are_told_when_to_come_back(storage: TestStorage) {
    let fixture = Fixture::start_with(storage, |config| config.artifacts.downloads = 1).await;
    // Larger than all buffers between the server and a client that reads nothing.
    let stored = fixture.upload(&vec![1; 30_000_000], "").await.expect(201);
    let path = local(&stored);
    let url = format!("{}{path}", fixture.app.url);
    let held = browser().get(&url).send().await.unwrap();
    assert_eq!(held.status(), 200);
    let (status, headers, _) = fetch(&fixture, &path, &[]).await;
    let seconds: u64 = header(&headers, "retry-after").parse().unwrap();
    assert_eq!((status, (5..=60).contains(&seconds)), (503, true));
    // A response without content needs no permit.
    assert_eq!(browser().head(&url).send().await.unwrap().status(), 200);
    drop(held);
    until("the permit is free", DEADLINE, async || {
        fetch(&fixture, &path, &[("range", "bytes=0-0")]).await.0 == 206
    })
    .await;
}

async fn people_get_a_page_in_their_language(storage: TestStorage) {
    let fixture = Fixture::start(storage).await;
    let samples = slipway_package_maker::samples::samples();
    let sample = samples
        .into_iter()
        .find(|sample| sample.name == "chinese.apk")
        .unwrap();
    let stored = fixture
        .upload(&sample.bytes, "?filename=%3Cb%3E.apk")
        .await
        .expect(201);
    let page = format!("/get/{}", local(&stored).split('/').nth(2).unwrap());
    let (status, headers, body) = fetch(&fixture, &page, &[("accept-language", "zh-CN")]).await;
    let html = String::from_utf8(body).unwrap();
    assert_eq!((status, header(&headers, "vary")), (200, "Accept-Language"));
    assert!(header(&headers, "content-security-policy").starts_with("default-src 'none'"));
    assert!(
        html.contains("lang=\"zh\"") && html.contains("货架") && html.contains("下载"),
        "{html}"
    );
    assert!(html.contains(stored["sha256"].as_str().unwrap()) && html.contains("1.4.2"));
    assert!(!html.contains("<script") && !html.contains("<b>.apk"), "{html}");
    let english = String::from_utf8(fetch(&fixture, &page, &[]).await.2).unwrap();
    assert!(
        english.contains("Download") && english.contains("Shelf"),
        "{english}"
    );

    let (status, headers, icon) = fetch(&fixture, &format!("{page}/icon"), &[]).await;
    assert_eq!((status, header(&headers, "content-type")), (200, "image/png"));
    assert!(icon.starts_with(b"\x89PNG"));
    let (_, headers, svg) = fetch(&fixture, &format!("{page}/qr.svg"), &[]).await;
    assert_eq!(header(&headers, "content-type"), "image/svg+xml");
    assert!(svg.starts_with(b"<svg"));
    let (_, headers, png) = fetch(&fixture, &format!("{page}/qr.png"), &[]).await;
    assert_eq!(header(&headers, "content-type"), "image/png");
    assert!(png.starts_with(b"\x89PNG"));
}

on_every_store!(
    a_link_downloads_the_file_whole_or_in_parts,
    unknown_keys_look_alike_and_old_links_end,
    a_link_ends_on_every_node,
    an_empty_file_is_downloaded,
    known_links_need_no_database,
    downloads_beyond_the_permits_are_told_when_to_come_back,
    people_get_a_page_in_their_language,
);
