//! Reading of a manifest.
//!
//! Android reads some attributes by their name, others by their resource id, and finds the ids by a search that relies
//! on their order. A manifest in which these ways lead to different values is refused.

use super::manifest::{Flag, Manifest, Text};
use super::value::Value;
use super::xml::{Attribute, AttributeValue, StartTag, visit_tags};
use crate::error::{Flaw, quote};

/// Attributes of the framework: resource id and name.
const FRAMEWORK: [(u32, &str); 9] = [
    (0x0101_0001, "label"),
    (0x0101_0002, "icon"),
    (0x0101_000f, "debuggable"),
    (0x0101_020c, "minSdkVersion"),
    (0x0101_021b, "versionCode"),
    (0x0101_021c, "versionName"),
    (0x0101_0270, "targetSdkVersion"),
    (0x0101_0272, "testOnly"),
    (0x0101_0576, "versionCodeMajor"),
];

/// Longest package name that Android installs.
const LONGEST_PACKAGE: usize = 223;

/// Parses a binary manifest.
pub(super) fn read(document: &[u8], deepest: usize) -> Result<Manifest, Flaw> {
    let mut reader = Reader::default();
    visit_tags(document, deepest, |tag| reader.visit(tag))?;
    if !reader.has_root {
        return Err("it has no element".into());
    }
    Ok(reader.manifest)
}

#[derive(Default)]
struct Reader {
    manifest: Manifest,
    has_root: bool,
    has_sdk: bool,
    has_application: bool,
}

impl Reader {
    fn visit(&mut self, tag: &StartTag<'_>) -> Result<(), Flaw> {
        if tag.depth > 1 {
            return Ok(());
        }
        match (tag.depth, tag.name()?.as_str()) {
            (0, "manifest") => {
                require_first(&mut self.has_root, "manifest")?;
                self.read_root(&Attributes::read(tag)?)
            }
            (0, name) => Err(format!("its root is {} and not a manifest", quote(name.as_bytes())).into()),
            (_, "uses-sdk") => {
                require_first(&mut self.has_sdk, "uses-sdk")?;
                self.read_sdk(&Attributes::read(tag)?)
            }
            (_, "application") => {
                require_first(&mut self.has_application, "application")?;
                self.read_application(&Attributes::read(tag)?)
            }
            _ => Ok(()),
        }
    }

    fn read_root(&mut self, attributes: &Attributes) -> Result<(), Flaw> {
        self.manifest.package = attributes.plain("package")?.ok_or("it has no package name")?;
        require_package_name(&self.manifest.package)?;
        self.manifest.split = attributes.plain("split")?;
        self.manifest.version_code = attributes.integer("versionCode")?;
        self.manifest.version_code_major = attributes.integer("versionCodeMajor")?;
        // Java's `long` is signed: a larger number would be a negative version.
        if self
            .manifest
            .version_code_major
            .is_some_and(|major| major > 0x7fff_ffff)
        {
            return Err("versionCodeMajor is negative".into());
        }
        self.manifest.version_name = attributes.text("versionName")?;
        Ok(())
    }

    fn read_sdk(&mut self, attributes: &Attributes) -> Result<(), Flaw> {
        self.manifest.min_sdk = attributes.integer("minSdkVersion")?;
        self.manifest.target_sdk = attributes.integer("targetSdkVersion")?;
        Ok(())
    }

    fn read_application(&mut self, attributes: &Attributes) -> Result<(), Flaw> {
        self.manifest.label = attributes.text("label")?;
        self.manifest.icon = attributes.reference("icon");
        self.manifest.debuggable = attributes.flag("debuggable")?;
        self.manifest.test_only = attributes.flag("testOnly")?;
        Ok(())
    }
}

fn require_first(has_been: &mut bool, element: &'static str) -> Result<(), Flaw> {
    if std::mem::replace(has_been, true) {
        return Err(format!("it has two elements {element}").into());
    }
    Ok(())
}

/// Applies Android's rules for package names.
fn require_package_name(name: &str) -> Result<(), Flaw> {
    let is_segment = |segment: &str| {
        segment.starts_with(|first: char| first.is_ascii_alphabetic())
            && segment
                .chars()
                .all(|other| other.is_ascii_alphanumeric() || other == '_')
    };
    if name.len() > LONGEST_PACKAGE || !name.contains('.') || !name.split('.').all(is_segment) {
        return Err(format!("{} is not a package name", quote(name.as_bytes())).into());
    }
    Ok(())
}

/// Attributes of an element, each with one meaning.
struct Attributes(Vec<Attribute>);

impl Attributes {
    fn read(tag: &StartTag<'_>) -> Result<Self, Flaw> {
        let attributes = tag.attributes()?;
        let mut previous = 0;
        for attribute in attributes.iter().filter(|attribute| attribute.id != 0) {
            if attribute.id <= previous {
                return Err("an element has attributes twice, or not in order".into());
            }
            previous = attribute.id;
        }
        for attribute in &attributes {
            require_one_meaning(attribute)?;
        }
        Ok(Self(attributes))
    }

    fn framework(&self, name: &str) -> Option<&AttributeValue> {
        let (id, _) = FRAMEWORK.iter().find(|(_, other)| *other == name)?;
        let attribute = self.0.iter().find(|attribute| attribute.id == *id)?;
        Some(&attribute.value)
    }

    /// Returns the text of an attribute that Android finds by its name. Android takes the raw text, and treats a
    /// namespace that it cannot resolve as none.
    fn plain(&self, name: &'static str) -> Result<Option<String>, Flaw> {
        let mut found = self.0.iter().filter(|attribute| attribute.name == name);
        let Some(first) = found.next() else {
            return Ok(None);
        };
        if found.next().is_some() {
            return Err(format!("it has the attribute {name} twice").into());
        }
        match (&first.value, &first.raw_text) {
            _ if first.has_namespace => Err(format!("the attribute {name} has a namespace").into()),
            (AttributeValue::Text(text), Some(raw)) if raw == text => Ok(Some(text.clone())),
            (AttributeValue::Text(_), _) => {
                Err(format!("the attribute {name} has two texts, or no raw text").into())
            }
            (AttributeValue::Typed(_), _) => Err(format!("{name} is not a text").into()),
        }
    }

    fn integer(&self, name: &'static str) -> Result<Option<u32>, Flaw> {
        match self.framework(name) {
            None => Ok(None),
            Some(AttributeValue::Typed(Value::Integer(number))) => Ok(Some(*number)),
            Some(_) => Err(format!("{name} is not a number").into()),
        }
    }

    fn text(&self, name: &'static str) -> Result<Option<Text>, Flaw> {
        match self.framework(name) {
            None | Some(AttributeValue::Typed(Value::Null)) => Ok(None),
            Some(AttributeValue::Text(text)) => Ok(Some(Text::Literal(text.clone()))),
            Some(AttributeValue::Typed(Value::Reference(id))) => Ok(Some(Text::Resource(*id))),
            Some(AttributeValue::Typed(Value::Integer(number))) => {
                Ok(Some(Text::Literal(number.to_string())))
            }
            Some(_) => Err(format!("{name} is not a text").into()),
        }
    }

    fn reference(&self, name: &'static str) -> Option<u32> {
        match self.framework(name) {
            Some(AttributeValue::Typed(Value::Reference(id))) => Some(*id),
            _ => None,
        }
    }

    /// Returns a flag as `TypedArray.getBoolean` does: numbers and texts count too.
    fn flag(&self, name: &'static str) -> Result<Flag, Flaw> {
        Ok(match self.framework(name) {
            None | Some(AttributeValue::Typed(Value::Null)) => Flag::Literal(false),
            Some(AttributeValue::Text(text)) => Flag::Literal(matches!(text.as_str(), "true" | "TRUE" | "1")),
            Some(AttributeValue::Typed(Value::Boolean(flag))) => Flag::Literal(*flag),
            Some(AttributeValue::Typed(Value::Integer(number))) => Flag::Literal(*number != 0),
            Some(AttributeValue::Typed(Value::Reference(id))) => Flag::Resource(*id),
            Some(_) => return Err(format!("{name} is not true or false").into()),
        })
    }
}

/// Refuses an attribute whose name and id contradict each other. Optimizers remove names, so an empty one is valid.
fn require_one_meaning(attribute: &Attribute) -> Result<(), Flaw> {
    let by_id = FRAMEWORK.iter().find(|(id, _)| *id == attribute.id);
    let by_name = FRAMEWORK.iter().find(|(_, name)| *name == attribute.name);
    let is_one = by_id == by_name || (by_id.is_some() && attribute.name.is_empty());
    if !is_one {
        let name = quote(attribute.name.as_bytes());
        return Err(format!("the attribute {name} has the id of another").into());
    }
    Ok(())
}
