//! Limits of an inspection.

const MIB: u64 = 1 << 20;

/// Bounds on what an inspection reads and keeps in memory. The defaults keep it below 64 MiB.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Size of the file. The digests of a signature are computed over all of it.
    pub file_bytes: u64,
    /// Number of entries of the container.
    pub entries: u64,
    /// Size of the central directory, which is read into memory.
    pub directory_bytes: u64,
    /// Unpacked size of all entries together, as the container states it.
    pub unpacked_bytes: u64,
    /// Unpacked size of `AndroidManifest.xml` or `module.json`.
    pub manifest_bytes: u64,
    /// Unpacked size of `resources.arsc`. A larger table is not read: the label and the icon are then absent.
    pub resources_bytes: u64,
    /// Size of the icon. A larger image is not an icon.
    pub icon_bytes: u64,
    /// Nesting of elements in the manifest.
    pub xml_depth: usize,
    /// Size of a block of signatures.
    pub signature_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 2048 * MIB,
            entries: 65_535,
            directory_bytes: 16 * MIB,
            unpacked_bytes: 64 * 1024 * MIB,
            manifest_bytes: 4 * MIB,
            resources_bytes: 24 * MIB,
            icon_bytes: MIB,
            xml_depth: 64,
            signature_bytes: MIB,
        }
    }
}
