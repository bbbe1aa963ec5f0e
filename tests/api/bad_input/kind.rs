//! Types of fields, and the values that each type must refuse.

use serde_json::{Value, json};

/// Type of a field.
#[derive(Clone)]
pub(super) enum Kind {
    /// Text on one line.
    Line {
        max: usize,
    },
    /// Text on several lines.
    Lines {
        min: usize,
        max: usize,
    },
    /// `[A-Za-z0-9][A-Za-z0-9._:-]{0,127}`
    Identifier,
    Username,
    /// The scheme of a URL without its colon.
    UrlScheme,
    Password,
    /// Any text. The server does not interpret it.
    AnyText,
    Url {
        may_be_empty: bool,
    },
    /// This number of hexadecimal digits.
    Hex(usize),
    Instant,
    OneOf(&'static [&'static str]),
    Integer {
        min: i64,
    },
    Percent,
    Bool,
    /// Any JSON object, at most 64 KiB.
    AnyObject,
    /// An object whose members have types of their own.
    Members,
    /// 1 to 5 org codes. A refusal names the path for a wrong code.
    OrgPath,
    /// An array. The function builds the items of a valid one.
    List {
        item: Box<Kind>,
        max: usize,
        valid: fn(usize) -> Value,
    },
}

/// A value that a field must refuse, as raw JSON, and the place that the refusal must name.
pub(super) struct Wrong {
    pub(super) json: String,
    pub(super) at: At,
}

/// Place that a refusal names.
#[derive(Clone)]
pub(super) enum At {
    /// The field name with this suffix, for a value of the wrong type.
    Type(String),
    /// The field name with this suffix, for an unacceptable value.
    Value(String),
    /// The body, which is not JSON.
    Body,
}

impl Kind {
    pub(super) fn list(item: Self, max: usize, valid: fn(usize) -> Value) -> Self {
        Self::List {
            item: Box::new(item),
            max,
            valid,
        }
    }

    /// Returns every wrong value except absent and null, which depend on the field.
    pub(super) fn wrong_values(&self) -> Vec<Wrong> {
        match self {
            Self::Integer { min } => integers(*min),
            Self::Percent => percents(),
            Self::Bool => types(&[r#""true""#, r#""""#, "0", "1", "1.5", "[]", "[true]", "{}"]),
            Self::AnyObject => objects(),
            Self::Members => types(&[r#""x""#, r#""""#, "5", "1.5", "true", "[]", "[5]"]),
            Self::OrgPath => org_paths(),
            Self::List { item, max, valid } => lists(item, *max, *valid),
            text => texts(text),
        }
    }

    /// Returns texts that violate the grammar.
    fn wrong_texts(&self) -> Vec<String> {
        match self {
            Self::Line { max } => [blank(), too_long(*max), controls(), lines("a\nb")].concat(),
            Self::Lines { min: 0, max } => [too_long(*max), controls()].concat(),
            Self::Lines { max, .. } => [blank(), too_long(*max), controls()].concat(),
            Self::Identifier => {
                let wrong = lines(".a|-a|_a|a b| a|a |a/b|é|店|a\n|a%20b");
                [blank(), too_long(128), controls(), wrong].concat()
            }
            Self::Username => {
                let wrong = lines(".a|a b| a|a/b|é|a:b|a\n");
                [blank(), too_long(128), controls(), wrong].concat()
            }
            Self::UrlScheme => {
                let wrong = lines("1a|a b| a|a/b|é|https:|https://|a_b|a\n");
                [blank(), too_long(64), controls(), wrong].concat()
            }
            Self::Password => lines("|short|123456789")
                .into_iter()
                .chain(too_long(256))
                .collect(),
            Self::Url { may_be_empty } => {
                let mut wrong =
                    lines(" |   |a.bin|//host/a|https:|://x|:x|1http://x|ht tp://x|http://a b|http://a\nb");
                wrong.push(format!("https://a/{}", "x".repeat(2_048 - 9)));
                wrong.push("http://a\0".to_owned());
                wrong.extend((!may_be_empty).then(String::new));
                wrong
            }
            Self::Hex(digits) => {
                let of = |length: usize| "a".repeat(length);
                let mut wrong = vec![of(digits - 1), of(digits + 1), format!("{}g", of(digits - 1))];
                wrong.extend([format!(" {}", of(digits - 1)), format!("{} ", of(*digits))]);
                wrong.extend([format!("0x{}", of(digits - 2)), "ａ".repeat(*digits)]);
                [blank(), wrong].concat()
            }
            Self::Instant => [blank(), lines(WRONG_INSTANTS)].concat(),
            Self::OneOf(names) => {
                let first = names[0];
                let near = vec![first.to_uppercase(), format!("{first} "), format!("{first}\0")];
                [blank(), near, lines("nonsense")].concat()
            }
            _ => Vec::new(),
        }
    }
}

const WRONG_INSTANTS: &str = "now|tomorrow|2026-03-02|02:00:00Z|2026-03-02T02:00:00|2026-03-02T02:00Z|\
    2026-13-01T00:00:00Z|2026-02-30T00:00:00Z|2026-03-02T25:00:00Z|2026-03-02T02:00:00+25:00|\
    1969-12-31T23:59:59Z|10000-01-01T00:00:00Z|-0001-01-01T00:00:00Z|1772416800|2026-03-02T02:00:00Z.";

fn lines(texts: &str) -> Vec<String> {
    texts.split('|').map(str::to_owned).collect()
}

/// Returns blank texts: empty, ASCII blanks, and a blank of Unicode.
fn blank() -> Vec<String> {
    lines("|   |\u{3000}")
}

/// Returns texts with one character too many, of one byte each and of three.
fn too_long(max: usize) -> Vec<String> {
    vec!["x".repeat(max + 1), "店".repeat(max + 1)]
}

fn controls() -> Vec<String> {
    lines("a\0b|a\u{7}b|\u{1b}[31m|a\u{7f}|a\u{9f}")
}

fn types(values: &[&str]) -> Vec<Wrong> {
    wrong(values, &At::Type(String::new()))
}

fn values(values: &[&str]) -> Vec<Wrong> {
    wrong(values, &At::Value(String::new()))
}

fn no_json(values: &[&str]) -> Vec<Wrong> {
    wrong(values, &At::Body)
}

fn wrong(values: &[&str], at: &At) -> Vec<Wrong> {
    let wrong = values.iter().map(|json| Wrong {
        json: (*json).to_owned(),
        at: at.clone(),
    });
    wrong.collect()
}

fn texts(kind: &Kind) -> Vec<Wrong> {
    let mut all = types(&[
        "5",
        "-1.5",
        "true",
        "false",
        "[]",
        "{}",
        r#"["a"]"#,
        r#"{"a":"b"}"#,
    ]);
    all.extend(no_json(&[
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#""\u12""#,
        r#""\x""#,
        "\"a\u{7}b\"",
        "'a'",
        "\"a",
        "undefined",
    ]));
    all.extend(kind.wrong_texts().into_iter().map(|text| Wrong {
        json: json!(text).to_string(),
        at: At::Value(String::new()),
    }));
    all
}

fn integers(min: i64) -> Vec<Wrong> {
    let mut all = types(&[
        r#""5""#,
        r#""""#,
        r#""x""#,
        "5.0",
        "5.5",
        "-0.5",
        "1e3",
        "1E0",
        "1e300",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "99999999999999999999999999999999999999999",
        "true",
        "[]",
        "[5]",
        "{}",
    ]);
    all.extend(values(&["-1", "-9223372036854775808"]));
    all.extend(values(&["0"]).into_iter().filter(|_| min > 0));
    all.extend(no_json(&[
        "05", "+5", ".5", "5.", "0x10", "NaN", "Infinity", "1e400", "1_000", "--5",
    ]));
    all
}

fn percents() -> Vec<Wrong> {
    let mut all = types(&[r#""50""#, r#""50%""#, "true", "[]", "[50]", "{}"]);
    all.extend(values(&[
        "100.01",
        "-0.01",
        "33.333",
        "101",
        "-1",
        "0.001",
        "1e3",
        "1e300",
        "99.999999999999",
        "18446744073709551616",
    ]));
    all.extend(no_json(&["50%", "1e400", "NaN", "050"]));
    all
}

fn objects() -> Vec<Wrong> {
    // The refusal may name the type or the value; both name the field.
    let mut all = values(&[r#""x""#, r#""{}""#, "5", "1.5", "true", "[]", "[{}]"]);
    all.push(Wrong {
        json: json!({"a": "x".repeat(64 * 1024 - 7)}).to_string(),
        at: At::Value(String::new()),
    });
    all.push(Wrong {
        json: nested(200),
        at: At::Value(String::new()),
    });
    all
}

/// Returns this number of nested objects.
pub(super) fn nested(depth: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth))
}

fn org_paths() -> Vec<Wrong> {
    let mut all = types(&[r#""HM""#, "5", "true", "{}", r#"{"l1Code":"HM"}"#]);
    all.extend(wrong(
        &["[5]", "[null]", "[[]]", "[{}]", "[true]"],
        &At::Type("[0]".to_owned()),
    ));
    let long = json!(["HM", "x".repeat(129)]).to_string();
    all.extend(values(&[
        "[]",
        r#"["1","2","3","4","5","6"]"#,
        r#"["HM",""]"#,
        r#"["HM","  "]"#,
        r#"["H\u0000M"]"#,
        r#"["H\u0007M"]"#,
        &long,
    ]));
    all
}

fn lists(item: &Kind, max: usize, valid: fn(usize) -> Value) -> Vec<Wrong> {
    let mut all = types(&["5", "1.5", r#""x""#, r#""""#, "true", "{}", r#"{"0":"x"}"#]);
    let first = valid(0);
    let mut items = item.wrong_values();
    items.extend(types(&["null"]));
    all.extend(items.into_iter().map(|wrong| Wrong {
        json: format!("[{first},{}]", wrong.json),
        at: match wrong.at {
            At::Type(inside) => At::Type(format!("[1]{inside}")),
            At::Value(inside) => At::Value(format!("[1]{inside}")),
            At::Body => At::Body,
        },
    }));
    all.push(Wrong {
        json: json!((0..=max).map(valid).collect::<Vec<_>>()).to_string(),
        at: At::Value(String::new()),
    });
    all
}
