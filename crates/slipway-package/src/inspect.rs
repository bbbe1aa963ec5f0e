//! Detection of the kind of a file.

use std::io::{Read, Seek};

use crate::error::{InspectionError, Part, invalid};
use crate::facts::Inspection;
use crate::limits::Limits;
use crate::source::Source;
use crate::zip::Archive;
use crate::{android, hap};

/// Reads what a file states about itself.
///
/// A file that does not begin as a ZIP container is `Other`. A container that is damaged, contradicts itself or exceeds
/// a limit is an error, and so is a package with false or ambiguous facts.
pub fn inspect<R: Read + Seek>(reader: R, limits: &Limits) -> Result<Inspection, InspectionError> {
    let mut source = Source::new(reader)?;
    if source.length() > limits.file_bytes {
        let reason = format!(
            "{} bytes exceed the limit of {}",
            source.length(),
            limits.file_bytes
        );
        return Err(invalid(Part::File, reason));
    }
    let Some(archive) = Archive::open(&mut source, limits)? else {
        return Ok(Inspection::Other);
    };
    if let Some(facts) = android::inspect(&mut source, &archive, limits)? {
        return Ok(Inspection::Apk(Box::new(facts)));
    }
    if let Some(facts) = hap::inspect(&mut source, &archive, limits)? {
        return Ok(Inspection::Hap(facts));
    }
    Ok(Inspection::Zip(archive.facts()))
}
