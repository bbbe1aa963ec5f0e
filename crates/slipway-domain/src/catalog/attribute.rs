//! Rules on the attributes of devices.

use std::cmp::Ordering;

use super::closed_list::parse_name;
use super::field::Invalid;
use super::json::{JsonText, Node};
use super::short_text::ShortText;
use semver::VersionReq;
use serde::{Deserialize, Serialize};

/// Maximum number of values in a rule.
pub const MAX_RULE_VALUES: usize = 100;
/// Maximum length of a rule's text or number, in characters. A device's value is parsed as a number or version only up
/// to this length, so that a long text does not slow down every rule.
const MAX_VALUE_CHARACTERS: usize = 1_000;

/// Rule in its source form: an attribute name, an operator and the operator's value. Valid by construction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawAttributeRule")]
pub struct AttributeRule {
    name: ShortText,
    op: RuleOp,
    value: JsonText,
}

#[derive(Deserialize)]
struct RawAttributeRule {
    name: String,
    op: String,
    value: JsonText,
}

impl TryFrom<RawAttributeRule> for AttributeRule {
    type Error = Invalid;

    fn try_from(raw: RawAttributeRule) -> Result<Self, Invalid> {
        let op = RuleOp::parse(&raw.op)?;
        Self::new(raw.name, op, raw.value)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleOp {
    Eq,
    Ne,
    In,
    NotIn,
    Gt,
    Ge,
    Lt,
    Le,
    Semver,
    Exists,
}

impl RuleOp {
    pub const ALL: [Self; 10] = [
        Self::Eq,
        Self::Ne,
        Self::In,
        Self::NotIn,
        Self::Gt,
        Self::Ge,
        Self::Lt,
        Self::Le,
        Self::Semver,
        Self::Exists,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::In => "in",
            Self::NotIn => "not_in",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Semver => "semver",
            Self::Exists => "exists",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        parse_name(&Self::ALL, Self::as_str, text)
    }
}

impl AttributeRule {
    /// Rejects a name that is blank or too long, and a value that the operator does not accept.
    pub fn new(name: String, op: RuleOp, value: JsonText) -> Result<Self, Invalid> {
        let length = name.chars().count();
        if name.trim().is_empty() || length > 128 || name.chars().any(char::is_control) {
            return Err(Invalid::new(
                "name must be 1 to 128 characters without control characters",
            ));
        }
        let name = ShortText::from(name.as_str());
        let rule = Self { name, op, value };
        rule.compile()?;
        Ok(rule)
    }

    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    pub fn op(&self) -> RuleOp {
        self.op
    }

    pub fn value(&self) -> &JsonText {
        &self.value
    }

    /// Compiles the rule for testing values.
    pub fn compile(&self) -> Result<RuleTest, Invalid> {
        // A scalar or a list of scalars. No operator accepts deeper values.
        let value = Node::of_raw(self.value.as_raw(), 1)
            .map_err(|why| Invalid::new(format!("value {why}, which no operator accepts")))?;
        match self.op {
            RuleOp::Eq => Ok(RuleTest::OneOf(vec![self.scalar(&value)?])),
            RuleOp::Ne => Ok(RuleTest::NoneOf(vec![self.scalar(&value)?])),
            RuleOp::In => self.scalars(&value).map(RuleTest::OneOf),
            RuleOp::NotIn => self.scalars(&value).map(RuleTest::NoneOf),
            RuleOp::Gt => self.compared(&value, &[Ordering::Greater]),
            RuleOp::Ge => self.compared(&value, &[Ordering::Greater, Ordering::Equal]),
            RuleOp::Lt => self.compared(&value, &[Ordering::Less]),
            RuleOp::Le => self.compared(&value, &[Ordering::Less, Ordering::Equal]),
            RuleOp::Semver => requirement(&value),
            RuleOp::Exists => match value {
                Node::Bool(expected) => Ok(RuleTest::Exists(expected)),
                _ => Err(Invalid::new("value must be true or false for exists")),
            },
        }
    }

    fn scalar(&self, value: &Node<'_>) -> Result<ShortText, Invalid> {
        scalar_text(value).ok_or_else(|| {
            Invalid::new(format!(
                "value must be a text, number or boolean of at most {MAX_VALUE_CHARACTERS} characters for {}",
                self.op.as_str()
            ))
        })
    }

    fn scalars(&self, value: &Node<'_>) -> Result<Vec<ShortText>, Invalid> {
        let values = match value {
            Node::Array(values) if (1..=MAX_RULE_VALUES).contains(&values.len()) => {
                values.iter().map(scalar_text).collect()
            }
            _ => None,
        };
        values.ok_or_else(|| {
            Invalid::new(format!(
                "value must be an array of 1 to {MAX_RULE_VALUES} texts, numbers or booleans for {}",
                self.op.as_str()
            ))
        })
    }

    fn compared(&self, value: &Node<'_>, accepted: &'static [Ordering]) -> Result<RuleTest, Invalid> {
        let is_boolean = matches!(value, Node::Bool(_));
        scalar_text(value)
            .filter(|_| !is_boolean)
            .and_then(|text| Decimal::parse(text.as_str()))
            .map(|bound| RuleTest::Compared { bound, accepted })
            .ok_or_else(|| Invalid::new(format!("value must be a number for {}", self.op.as_str())))
    }
}

fn requirement(value: &Node<'_>) -> Result<RuleTest, Invalid> {
    let requirement = match value {
        Node::Text(text) if is_short(text) => VersionReq::parse(text).ok(),
        _ => None,
    };
    requirement
        .map(RuleTest::Semver)
        .ok_or_else(|| Invalid::new("value must be a SemVer requirement such as \">=8.0, <12\" for semver"))
}

/// Returns the text by which a scalar is compared: 8 and "8" are equal, 8 and 8.0 are not. Returns `None` if the value
/// is not a scalar or is too long.
fn scalar_text(value: &Node<'_>) -> Option<ShortText> {
    match value {
        Node::Text(text) | Node::Number(text) => is_short(text).then(|| text.as_ref().into()),
        Node::Bool(true) => Some("true".into()),
        Node::Bool(false) => Some("false".into()),
        _ => None,
    }
}

fn is_short(text: &str) -> bool {
    text.len() <= MAX_VALUE_CHARACTERS || text.chars().count() <= MAX_VALUE_CHARACTERS
}

/// Rule compiled for testing the value that a device sent.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleTest {
    OneOf(Vec<ShortText>),
    NoneOf(Vec<ShortText>),
    Compared {
        bound: Decimal,
        accepted: &'static [Ordering],
    },
    Semver(VersionReq),
    Exists(bool),
}

impl RuleTest {
    /// Returns `true` if the rule holds for the value that the device sent. A rule on an absent attribute is false,
    /// even if it is negative, except for `exists: false`.
    pub fn matches(&self, sent: Option<&str>) -> bool {
        let Some(text) = sent else {
            return *self == Self::Exists(false);
        };
        match self {
            Self::OneOf(values) => values.iter().any(|value| value.as_str() == text),
            Self::NoneOf(values) => values.iter().all(|value| value.as_str() != text),
            Self::Compared { bound, accepted } => Decimal::of_device(text)
                .and_then(|number| number.compare(*bound))
                .is_some_and(|ordering| accepted.contains(&ordering)),
            Self::Semver(requirement) => {
                is_short(text) && padded_version(text).is_some_and(|version| requirement.matches(&version))
            }
            Self::Exists(expected) => *expected,
        }
    }
}

/// Parses a version whose missing parts count as 0: 8.1 is 8.1.0.
fn padded_version(text: &str) -> Option<semver::Version> {
    let core_end = text.find(['-', '+']).unwrap_or(text.len());
    let (core, rest) = text.split_at(core_end);
    let padding = match core.bytes().filter(|byte| *byte == b'.').count() {
        0 => ".0.0",
        1 => ".0",
        _ => "",
    };
    semver::Version::parse(&format!("{core}{padding}{rest}")).ok()
}

/// Number in a rule or from a device. Integers are exact up to 2^63 − 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decimal {
    Integer(i64),
    Float(f64),
}

impl Decimal {
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(integer) = text.parse() {
            return Some(Self::Integer(integer));
        }
        text.parse()
            .ok()
            .filter(|float: &f64| float.is_finite())
            .map(Self::Float)
    }

    /// Parses the value that a device sent. A text that is too long is not a number.
    pub fn of_device(text: &str) -> Option<Self> {
        Some(text).filter(|text| is_short(text)).and_then(Self::parse)
    }

    pub fn is_below(self, bound: i64) -> bool {
        self.compare(Self::Integer(bound)) == Some(Ordering::Less)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "an integer is only rounded to be compared with a fraction"
    )]
    fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(&b)),
            (Self::Integer(a), Self::Float(b)) => (a as f64).partial_cmp(&b),
            (Self::Float(a), Self::Integer(b)) => a.partial_cmp(&(b as f64)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn holds(op: RuleOp, value: Value, sent: Option<&str>) -> bool {
        written_holds(op, &value.to_string(), sent)
    }

    fn written_holds(op: RuleOp, value: &str, sent: Option<&str>) -> bool {
        let value = JsonText::checked(value.to_owned()).unwrap();
        let rule = AttributeRule::new("a".to_owned(), op, value).unwrap();
        rule.compile().unwrap().matches(sent)
    }

    #[test]
    fn equality_compares_text() {
        assert!(holds(RuleOp::Eq, json!(8), Some("8")));
        assert!(holds(RuleOp::Eq, json!("8"), Some("8")));
        assert!(holds(RuleOp::Eq, json!(true), Some("true")));
        assert!(!holds(RuleOp::Eq, json!(8), Some("8.0")));
        assert!(holds(RuleOp::NotIn, json!(["a", "b"]), Some("c")));
        assert!(!holds(RuleOp::NotIn, json!(["a", "b"]), None));
    }

    #[test]
    fn numbers_are_exact() {
        assert!(holds(
            RuleOp::Gt,
            json!(9_007_199_254_740_992_i64),
            Some("9007199254740993")
        ));
        assert!(!holds(
            RuleOp::Gt,
            json!(9_007_199_254_740_993_i64),
            Some("9007199254740993")
        ));
        assert!(holds(RuleOp::Lt, json!(1.5), Some(" 1 ")));
        assert!(!holds(RuleOp::Lt, json!(5), Some("abc")));
        assert!(!holds(RuleOp::Lt, json!(5), Some("NaN")));
        assert!(!holds(RuleOp::Gt, json!(5), Some("inf")));
    }

    #[test]
    fn a_number_of_a_rule_is_compared_as_it_was_written() {
        for number in [
            "117.63331139400017",
            "0.9215686321258545",
            "18446744073709551617",
            "1.50",
            "1e3",
        ] {
            assert!(written_holds(RuleOp::Eq, number, Some(number)), "{number}");
            assert!(
                written_holds(RuleOp::In, &format!("[0,{number}]"), Some(number)),
                "{number}"
            );
        }
        assert!(!written_holds(RuleOp::Eq, "1.50", Some("1.5")));
        assert!(written_holds(RuleOp::Ge, "1e3", Some("1000")));
    }

    #[test]
    fn what_is_longer_than_any_number_is_none() {
        let digits = |count: usize| "1".repeat(count);
        assert!(holds(RuleOp::Gt, json!(1), Some(&digits(300))));
        assert!(!holds(
            RuleOp::Gt,
            json!(1),
            Some(&format!("1{}", "0".repeat(1_000)))
        ));
        assert!(!holds(
            RuleOp::Semver,
            json!(">=1"),
            Some(&format!("1.0.0+{}", digits(1_000)))
        ));
        let long = JsonText::checked(digits(1_001)).unwrap();
        assert!(AttributeRule::new("a".to_owned(), RuleOp::Eq, long).is_err());
    }

    #[test]
    fn short_versions_are_padded() {
        assert!(holds(RuleOp::Semver, json!(">=8.0, <12"), Some("8.1")));
        assert!(holds(RuleOp::Semver, json!(">=8.0, <12"), Some("8")));
        assert!(!holds(RuleOp::Semver, json!(">=8.0, <12"), Some("8.1-beta")));
        assert!(!holds(RuleOp::Semver, json!(">=8.0, <12"), Some("v8.1")));
    }

    #[test]
    fn values_that_the_operator_cannot_use_are_refused() {
        for (op, value) in [
            (RuleOp::Eq, json!(null)),
            (RuleOp::Eq, json!(["a"])),
            (RuleOp::In, json!("a")),
            (RuleOp::In, json!([])),
            (RuleOp::In, json!([["a"]])),
            (RuleOp::Gt, json!("many")),
            (RuleOp::Gt, json!(true)),
            (RuleOp::Semver, json!("newest")),
            (RuleOp::Semver, json!(8)),
            (RuleOp::Exists, json!("true")),
        ] {
            assert!(
                AttributeRule::new("a".to_owned(), op, JsonText::of(&value)).is_err(),
                "{op:?} {value}"
            );
        }
    }
}
