//! Rules on what a device says of itself.

use std::cmp::Ordering;

use semver::VersionReq;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::app::one_of;
use super::field::Invalid;

/// The most values one rule may list.
pub const MAX_RULE_VALUES: usize = 100;

/// A rule as it is written: an attribute's name, an operator and the operator's value. Valid by construction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct AttributeRule {
    name: String,
    op: RuleOp,
    value: Value,
}

#[derive(Deserialize)]
struct Written {
    name: String,
    op: String,
    value: Value,
}

impl TryFrom<Written> for AttributeRule {
    type Error = Invalid;

    fn try_from(written: Written) -> Result<Self, Invalid> {
        let op = RuleOp::parse(&written.op)?;
        Self::new(written.name, op, written.value)
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
        one_of(&Self::ALL, Self::as_str, text)
    }
}

impl AttributeRule {
    /// Refuses a name that is blank or too long and a value that the operator cannot use.
    pub fn new(name: String, op: RuleOp, value: Value) -> Result<Self, Invalid> {
        let length = name.chars().count();
        if name.trim().is_empty() || length > 128 || name.chars().any(char::is_control) {
            return Err(Invalid::new(
                "name must be 1 to 128 characters without control characters",
            ));
        }
        let rule = Self { name, op, value };
        rule.compile()?;
        Ok(rule)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn op(&self) -> RuleOp {
        self.op
    }

    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The rule in a form made for testing values.
    pub fn compile(&self) -> Result<RuleTest, Invalid> {
        match self.op {
            RuleOp::Eq => Ok(RuleTest::OneOf(vec![self.scalar()?])),
            RuleOp::Ne => Ok(RuleTest::NoneOf(vec![self.scalar()?])),
            RuleOp::In => self.scalars().map(RuleTest::OneOf),
            RuleOp::NotIn => self.scalars().map(RuleTest::NoneOf),
            RuleOp::Gt => self.compared(&[Ordering::Greater]),
            RuleOp::Ge => self.compared(&[Ordering::Greater, Ordering::Equal]),
            RuleOp::Lt => self.compared(&[Ordering::Less]),
            RuleOp::Le => self.compared(&[Ordering::Less, Ordering::Equal]),
            RuleOp::Semver => self.requirement(),
            RuleOp::Exists => self
                .value
                .as_bool()
                .map(RuleTest::Exists)
                .ok_or_else(|| Invalid::new("value must be true or false for exists")),
        }
    }

    fn scalar(&self) -> Result<String, Invalid> {
        scalar_text(&self.value).ok_or_else(|| {
            Invalid::new(format!(
                "value must be a text, number or boolean of at most 1,000 characters for {}",
                self.op.as_str()
            ))
        })
    }

    fn scalars(&self) -> Result<Vec<String>, Invalid> {
        self.value
            .as_array()
            .filter(|values| (1..=MAX_RULE_VALUES).contains(&values.len()))
            .and_then(|values| values.iter().map(scalar_text).collect())
            .ok_or_else(|| {
                Invalid::new(format!(
                    "value must be an array of 1 to {MAX_RULE_VALUES} texts, numbers or booleans for {}",
                    self.op.as_str()
                ))
            })
    }

    fn compared(&self, accepted: &'static [Ordering]) -> Result<RuleTest, Invalid> {
        scalar_text(&self.value)
            .filter(|_| !self.value.is_boolean())
            .and_then(|text| Decimal::parse(&text))
            .map(|bound| RuleTest::Compared { bound, accepted })
            .ok_or_else(|| Invalid::new(format!("value must be a number for {}", self.op.as_str())))
    }

    fn requirement(&self) -> Result<RuleTest, Invalid> {
        self.value
            .as_str()
            .and_then(|text| VersionReq::parse(text).ok())
            .map(RuleTest::Semver)
            .ok_or_else(|| {
                Invalid::new("value must be a SemVer requirement such as \">=8.0, <12\" for semver")
            })
    }
}

/// A scalar as the text it is compared as: 8 and "8" are equal. `None` for what is no scalar, or too long.
fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (text.chars().count() <= 1_000).then(|| text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A rule made for testing the value that a device sent.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleTest {
    OneOf(Vec<String>),
    NoneOf(Vec<String>),
    Compared {
        bound: Decimal,
        accepted: &'static [Ordering],
    },
    Semver(VersionReq),
    Exists(bool),
}

impl RuleTest {
    /// Whether the rule holds for what the device sent. A rule on an attribute that was not sent is false, negative
    /// ones too; only `exists: false` is true then.
    pub fn holds(&self, sent: Option<&str>) -> bool {
        let Some(text) = sent else {
            return *self == Self::Exists(false);
        };
        match self {
            Self::OneOf(values) => values.iter().any(|value| value == text),
            Self::NoneOf(values) => values.iter().all(|value| value != text),
            Self::Compared { bound, accepted } => Decimal::parse(text)
                .and_then(|number| number.compare(*bound))
                .is_some_and(|ordering| accepted.contains(&ordering)),
            Self::Semver(requirement) => {
                padded_version(text).is_some_and(|version| requirement.matches(&version))
            }
            Self::Exists(expected) => *expected,
        }
    }
}

/// A version in which missing parts count as 0: 8.1 is 8.1.0.
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

/// A number of a rule or of a device. Integers are exact up to 2^63 − 1.
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
    use serde_json::json;

    use super::*;

    fn holds(op: RuleOp, value: Value, sent: Option<&str>) -> bool {
        let rule = AttributeRule::new("a".to_owned(), op, value).unwrap();
        rule.compile().unwrap().holds(sent)
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
                AttributeRule::new("a".to_owned(), op, value.clone()).is_err(),
                "{op:?} {value}"
            );
        }
    }
}
