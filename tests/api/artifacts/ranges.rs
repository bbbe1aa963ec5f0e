//! Random range requests against slices of the content.

use std::ops::Range;

use futures_util::StreamExt as _;
use reqwest::Client;

use super::downloads::{fetch_by, header};
use super::fixture::{Fixture, TestStorage, browser, local};
use super::sha256;
use slipway_test_support::database::TestDatabase;

/// Longer than one chunk of each store, and not a multiple of one.
const LENGTH: usize = 600_011;
const CONCURRENT: usize = 4;
const SEED: u64 = 9_110;

/// Expected response.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expected {
    Whole,
    Part(Range<usize>),
    Unsatisfiable,
}

#[derive(Debug)]
struct Case {
    range: String,
    if_range: Option<String>,
    expected: Expected,
}

/// The content, its link, and a client for it.
struct Download {
    fixture: Fixture,
    path: String,
    content: Vec<u8>,
    etag: String,
    client: Client,
}

/// Generates a case, and derives the response from its construction.
fn case(random: &mut fastrand::Rng, etag: &str) -> Case {
    let first = random.usize(0..LENGTH);
    // Most ranges are short. The others cross chunks of the store.
    let count = match random.u8(0..20) {
        0 => random.usize(1..=LENGTH),
        1..=4 => random.usize(1..=200_000),
        _ => random.usize(1..=3_000),
    };
    let end = (first + count).min(LENGTH);
    let beyond = LENGTH + random.usize(0..3);
    let (range, expected) = match random.u8(0..100) {
        0..=49 => (format!("bytes={first}-{}", end - 1), Expected::Part(first..end)),
        50..=59 => (format!("bytes=-{count}"), Expected::Part(LENGTH - count..LENGTH)),
        60..=64 => (
            format!("bytes={}-", LENGTH - count),
            Expected::Part(LENGTH - count..LENGTH),
        ),
        65..=69 => (
            format!("bytes={}-{beyond}", LENGTH - count),
            Expected::Part(LENGTH - count..LENGTH),
        ),
        70..=74 => (
            format!("Bytes= {first}-{} ,", end - 1),
            Expected::Part(first..end),
        ),
        75..=79 => (
            format!("bytes={}-99999999999999999999999", LENGTH - count),
            Expected::Part(LENGTH - count..LENGTH),
        ),
        80..=86 => (format!("bytes={beyond}-"), Expected::Unsatisfiable),
        87..=93 => (
            format!("bytes={beyond}-{}", beyond + count),
            Expected::Unsatisfiable,
        ),
        94 => ("bytes=-0".to_owned(), Expected::Unsatisfiable),
        95 => (format!("bytes={}-{first}", first + 1), Expected::Whole),
        96 => (format!("bytes=0-{first},{}-", first + 1), Expected::Whole),
        97 => (format!("items={first}-{end}"), Expected::Whole),
        98 => (format!("bytes={first}"), Expected::Whole),
        _ => (format!("bytes={first}-{end}x"), Expected::Whole),
    };
    match random.u8(0..50) {
        0 => Case {
            range,
            if_range: Some("\"another\"".to_owned()),
            expected: Expected::Whole,
        },
        1 => Case {
            range,
            if_range: Some(etag.to_owned()),
            expected,
        },
        _ => Case {
            range,
            if_range: None,
            expected,
        },
    }
}

async fn assert_answered(download: &Download, case: Case) {
    let mut request = vec![("range", case.range.as_str())];
    request.extend(case.if_range.as_deref().map(|etag| ("if-range", etag)));
    let Download {
        fixture,
        path,
        content,
        etag,
        client,
    } = download;
    let (status, headers, body) = fetch_by(client, fixture, path, &request).await;
    let (range, expected_status, content_range) = match &case.expected {
        Expected::Whole => (0..LENGTH, 200, String::new()),
        Expected::Part(range) => {
            let text = format!("bytes {}-{}/{LENGTH}", range.start, range.end - 1);
            (range.clone(), 206, text)
        }
        Expected::Unsatisfiable => {
            let text = format!("bytes */{LENGTH}");
            assert_eq!(
                (status, header(&headers, "content-range")),
                (416, &*text),
                "{case:?}"
            );
            assert!(header(&headers, "content-type").starts_with("application/problem+json"));
            return;
        }
    };
    assert_eq!(status, expected_status, "{case:?}");
    assert!(body == content[range.clone()], "{case:?}");
    for (name, value) in [
        ("content-range", content_range),
        ("content-length", range.len().to_string()),
        ("etag", etag.clone()),
        ("accept-ranges", "bytes".to_owned()),
        ("content-type", "application/octet-stream".to_owned()),
        ("last-modified", "Mon, 02 Mar 2026 02:00:00 GMT".to_owned()),
        ("cache-control", "public, max-age=31536000, immutable".to_owned()),
    ] {
        assert_eq!(header(&headers, name), value, "{name} of {case:?}");
    }
    assert!(header(&headers, "repr-digest").starts_with("sha-256=:"));
}

async fn assert_ranges_equal_slices(storage: TestStorage, cases: usize) {
    let fixture = Fixture::start(storage).await;
    let mut random = fastrand::Rng::with_seed(SEED);
    let content: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(LENGTH).collect();
    let stored = fixture.upload(&content, "").await.expect(201);
    let download = Download {
        path: local(&stored),
        etag: format!("\"{}\"", sha256(&content)),
        client: browser(),
        fixture,
        content,
    };
    let cases = std::iter::repeat_with(|| case(&mut random, &download.etag)).take(cases);
    futures_util::stream::iter(cases)
        .for_each_concurrent(CONCURRENT, |case| assert_answered(&download, case))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_of_a_folder_equal_slices() {
    let storage = TestStorage::folder(TestDatabase::sqlite().await);
    assert_ranges_equal_slices(storage, 10_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_of_a_bucket_equal_slices() {
    // Each request takes two or more to the service.
    assert_ranges_equal_slices(TestStorage::bucket().await, 1_000).await;
}
