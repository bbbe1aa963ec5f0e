//! Parameters of a gateway method.

use super::sign::SignMethod;
use super::signature_ambiguity::{ReadParameter, ReadParameters};
use super::value_kind::ValueKind;

/// Parameters of a method besides the public ones.
pub struct MethodParameters {
    /// Required business parameters, in the order of the method's documentation.
    pub required: &'static [&'static str],
    /// Business parameters that the method reads, sorted by name.
    pub reads: &'static [ReadParameter],
    /// True if unknown parameters are rejected. Text then cannot hide in them, so no other reading of a signed text is
    /// a call of this method. Required for methods that a recorded request must not trigger again.
    pub rejects_unknown: bool,
}

/// Public parameters without an effect. They are treated like unknown parameters, except by methods that reject those.
const IGNORED_PARAMS: [ReadParameter; 3] = [
    ("partner_id", ValueKind::Text),
    ("session", ValueKind::Text),
    ("target_app_key", ValueKind::Text),
];

/// Public parameters with an effect.
const PUBLIC: [ReadParameter; 7] = [
    ("app_key", ValueKind::Fixed),
    ("format", ValueKind::OneOf(&["json", "xml"])),
    ("method", ValueKind::Fixed),
    // Its absence has a meaning too, so it is not fixed.
    ("sign_method", ValueKind::OneOf(&SignMethod::NAMES)),
    ("simplify", ValueKind::Text),
    ("timestamp", ValueKind::Timestamp),
    ("v", ValueKind::Fixed),
];

/// Public parameters that every call requires, besides `sign`, which is not signed.
const PUBLIC_REQUIRED: [&str; 4] = ["app_key", "method", "timestamp", "v"];

impl MethodParameters {
    /// Returns the parameters that affect a call, in no particular order.
    pub fn all(&self) -> impl Iterator<Item = ReadParameter> + Clone {
        let ignored: &[_] = if self.rejects_unknown {
            &IGNORED_PARAMS
        } else {
            &[]
        };
        PUBLIC.iter().chain(ignored).chain(self.reads).copied()
    }

    /// Returns the first of these parameters that the method rejects.
    pub fn find_rejected<'p>(&self, mut names: impl Iterator<Item = &'p str>) -> Option<&'p str> {
        let knows = |name: &str| name == "sign" || self.all().any(|(known, _)| known == name);
        names.find(|name| self.rejects_unknown && !knows(name))
    }

    /// Returns the parameters that affect a call, sorted by name.
    pub fn sorted(&self) -> ReadParameters {
        let mut all: Vec<_> = self.all().collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        let required = PUBLIC_REQUIRED.iter().chain(self.required).copied().collect();
        ReadParameters { all, required }
    }
}
