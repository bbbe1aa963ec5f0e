//! Reader that counts the accesses to a file.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use slipway_package::{Inspection, InspectionError, Limits, inspect};

/// File in memory, with the work that its reader does.
pub(crate) struct MeteredFile<'a> {
    file: Cursor<&'a [u8]>,
    pub(crate) reads: u64,
    pub(crate) seeks: u64,
    pub(crate) bytes: u64,
}

impl Read for MeteredFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.reads += 1;
        self.bytes += u64::try_from(count).unwrap();
        Ok(count)
    }
}

impl Seek for MeteredFile<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.seeks += 1;
        self.file.seek(position)
    }
}

/// Inspects a file and checks that the work is bounded by its size.
pub(crate) fn inspect_metered(name: &str, file: &[u8]) -> Result<Inspection, InspectionError> {
    let mut metered = MeteredFile {
        file: Cursor::new(file),
        reads: 0,
        seeks: 0,
        bytes: 0,
    };
    let result = inspect(&mut metered, &Limits::default());
    let length = u64::try_from(file.len()).unwrap();
    // Headers, the content for the digests, the directory twice, and a few entries. A header has at least 30 bytes.
    let most_bytes = 4 * length + 4096;
    let most_accesses = length / 10 + 4096;
    assert!(
        metered.bytes <= most_bytes,
        "{name}: {} bytes read",
        metered.bytes
    );
    assert!(metered.reads <= most_accesses, "{name}: {} reads", metered.reads);
    assert!(metered.seeks <= most_accesses, "{name}: {} seeks", metered.seeks);
    result
}
