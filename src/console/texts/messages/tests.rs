//! Every message that a form can cause has a text.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// Messages that no form or page of the console causes.
const OF_OTHER_FACES: [&str; 7] = [
    "must be one of received, opened, applied, failed",
    "must be sha-256=:<base64>: with 32 bytes (RFC 9530)",
    "must be visible ASCII",
    "must be * or a list of quoted entity tags, as in ETag",
    "must be 1 to 255 visible ASCII characters",
    // Beginnings of messages that are put together.
    "must ",
    "must be ",
];

#[test]
fn names_and_values_are_kept() {
    for (english, chinese) in [
        (
            "must be 1 to 128 characters long, not 0",
            "长度必须为 1 至 128 个字符，现为 0 个",
        ),
        (
            "path must be 1 to 5 codes, from l1 down",
            "path 必须是从 l1 开始的 1 至 5 个编码",
        ),
        ("must be an array, not a string", "必须是数组，而不是文本"),
        (
            "the APK is debuggable and is for tests only; publish a release build, or publish with \
             \"accept_unsafe_package\": true",
            "安装包可调试、仅供测试；请发布正式构建，或勾选“即使安装包可调试、仅供测试或没有 v2 或 v3 签名也发布”",
        ),
        (
            "a paused release cannot be published; resume it",
            "已暂停的版本不能发布；请恢复发布",
        ),
        ("some other text", "some other text"),
    ] {
        assert_eq!(in_chinese(english), chinese);
    }
}

#[test]
fn every_message_on_a_field_has_a_text() {
    let mut absent = Vec::new();
    for folder in [
        "crates/slipway-domain/src",
        "src/services",
        "src/http/admin",
        "src/secrets",
    ] {
        for file in sources(Path::new(folder)) {
            absent.extend(untranslated(&file));
        }
    }
    for file in [
        "fields",
        "request_fields",
        "pagination",
        "body",
        "upload_body",
        "upload_form",
        "problem",
    ] {
        absent.extend(untranslated(Path::new(&format!("src/http/{file}.rs"))));
    }
    assert!(absent.is_empty(), "messages without a text: {absent:#?}");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found
}

fn untranslated(file: &Path) -> Vec<String> {
    let source = fs::read_to_string(file).unwrap();
    let code = source.split("mod tests {").next().unwrap();
    let messages = literals(code).into_iter().filter(|text| is_message(text));
    let sampled = messages.filter(|text| !OF_OTHER_FACES.contains(&text.as_str()));
    sampled.filter(|text| in_chinese(text) == *text).collect()
}

fn is_message(text: &str) -> bool {
    let begins = [
        "must ",
        "value must ",
        "name must ",
        "is not ",
        "requires ",
        "the app has ",
        "this username ",
    ];
    begins.iter().any(|begin| text.starts_with(begin))
}

/// Returns the texts of the source, with a number in each place of a value.
fn literals(code: &str) -> Vec<String> {
    let code: Vec<_> = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n").replace("\\\"", "'").replace("'\"'", "");
    let texts = code.split('"').skip(1).step_by(2);
    texts
        .map(|text| {
            without_placeholders(
                &text
                    .replace("\\\n", "\n")
                    .lines()
                    .map(str::trim_start)
                    .collect::<String>(),
            )
        })
        .collect()
}

fn without_placeholders(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        plain.push_str(before);
        plain.push('7');
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    plain + rest
}
