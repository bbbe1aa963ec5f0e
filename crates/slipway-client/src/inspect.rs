//! `slipway inspect`: prints what a package file states about itself. It needs no server.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use slipway_package::{Inspection, Limits};

use super::response::{json_text, print, printable};

/// Arguments of `slipway inspect`.
#[derive(Args)]
pub struct InspectCommand {
    /// File to inspect. Its kind is detected from its content.
    file: PathBuf,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Prints the facts of the file. A file that is damaged or contradicts itself is an error.
pub fn run(command: &InspectCommand) -> anyhow::Result<ExitCode> {
    let inspection = inspect(&command.file).with_context(|| command.file.display().to_string())?;
    let facts = facts(&inspection);
    let text = if command.json {
        json_text(&facts)
    } else {
        lines(&facts)
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn inspect(path: &Path) -> anyhow::Result<Inspection> {
    let file = File::open(path)?;
    Ok(slipway_package::inspect(file, &Limits::default())?)
}

/// Returns the facts as JSON, with the type and the size of the icon in place of its bytes.
pub(crate) fn facts(inspection: &Inspection) -> Value {
    let mut facts = json!(inspection);
    if let Inspection::Apk(apk) = inspection {
        let icon = apk.icon.as_ref();
        facts["icon"] = icon.map_or(
            Value::Null,
            |icon| json!({"media_type": icon.media_type, "size": icon.bytes.len()}),
        );
    }
    facts
}

/// Formats each fact as a line. Absent facts have none.
pub(crate) fn lines(facts: &Value) -> String {
    let members = facts.as_object().into_iter().flatten();
    let lines = members.filter_map(|(name, value)| {
        let text = text(value);
        (!text.is_empty()).then(|| format!("{}: {text}\n", name.replace('_', " ")))
    });
    lines.collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        Value::Array(elements) => elements.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let members = members.iter();
            let members = members.map(|(name, value)| format!("{} {}", printable(name), text(value)));
            members.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use slipway_package::{Limits, inspect};
    use slipway_package_maker::samples::chinese;
    use slipway_package_maker::{Label, Signing, TestKey};

    use super::{facts, lines};

    #[test]
    fn facts_are_printed_one_a_line() {
        let mut apk = chinese();
        apk.version_name = "1\u{1b}[2J".to_owned();
        apk.label = Label::Literal("货架\n".to_owned());
        let file = apk.signed(&Signing::of(TestKey::App));
        let inspection = inspect(Cursor::new(file), &Limits::default()).expect("the file is valid");
        let text = lines(&facts(&inspection));
        assert!(text.starts_with("kind: apk\npackage name: com.example.sample\nversion code: 42\n"));
        assert!(text.contains("version name: 1\u{fffd}[2J\n"), "{text}");
        assert!(text.contains("label: 货架\u{fffd}\n"), "{text}");
        assert!(text.contains("schemes: v2, v3\n"), "{text}");
        assert!(text.contains("icon: media_type image/png, size "), "{text}");
        assert!(!text.contains("split"), "absent facts have no line: {text}");
    }
}
