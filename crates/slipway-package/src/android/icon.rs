//! Icons.

use std::io::{Read, Seek};

use super::resources::ResourceTable;
use crate::error::{Flaw, InspectionError, Part};
use crate::facts::Icon;
use crate::source::Source;
use crate::zip::{Archive, read_entry};

/// Number of images that are tried.
const MAX_TRIES: usize = 8;

/// Lists the files of an icon, the best first: a web page shows it larger than a launcher does.
pub(super) fn paths(table: &ResourceTable<'_>, icon: u32) -> Result<Vec<String>, Flaw> {
    let mut files = table.texts(icon)?;
    files.sort_by_key(|(config, _)| std::cmp::Reverse(config.density));
    let mut paths: Vec<_> = files.into_iter().map(|(_, path)| path).collect();
    paths.dedup();
    paths.truncate(MAX_TRIES);
    Ok(paths)
}

/// Reads the first of the files that is a raster image within the limit.
pub(super) fn read<R: Read + Seek>(
    source: &mut Source<R>,
    archive: &Archive,
    paths: &[String],
    limit: u64,
) -> Result<Option<Icon>, InspectionError> {
    for path in paths {
        let Some(entry) = archive.find(path).filter(|entry| entry.size <= limit) else {
            continue;
        };
        let bytes = read_entry(source, entry, Part::Resources, limit)?;
        if let Some(media_type) = media_type(&bytes) {
            return Ok(Some(Icon { media_type, bytes }));
        }
    }
    Ok(None)
}

/// Detects a raster image by its first bytes. Vector images are binary XML, which only Android shows.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else {
        None
    }
}
