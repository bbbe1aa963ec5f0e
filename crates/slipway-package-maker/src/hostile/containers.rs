//! Hostile containers.

use super::{HostileFile, kind, refused};
use crate::samples;
use crate::zip::{DirectoryExtent, Entry, Header, Parts, end_record, write};

const MIB: usize = 1 << 20;

pub(super) fn files() -> Vec<HostileFile> {
    [
        other_files(),
        places(),
        counts(),
        names(),
        contradictions(),
        bombs(),
    ]
    .concat()
}

fn sample() -> Vec<Entry> {
    vec![Entry::stored("a", b"abc"), Entry::deflated("b", &[0; 100])]
}

/// Files that are not ZIP containers.
fn other_files() -> Vec<HostileFile> {
    let zip = write(&sample());
    let in_program = [b"\x7fELF program".to_vec(), zip.clone()].concat();
    vec![
        kind("empty", "other", Vec::new()),
        kind("two-letters.zip", "other", b"PK".to_vec()),
        kind(
            "error-page.apk",
            "other",
            b"<!DOCTYPE html><title>404</title>".to_vec(),
        ),
        kind(
            "dex-before-archive.apk",
            "other",
            [b"dex\n035\0".to_vec(), zip].concat(),
        ),
        kind("archive-in-program.apk", "other", in_program),
        kind(
            "end-record-only.zip",
            "zip",
            end_record(0, DirectoryExtent::new(0, 0), &[]),
        ),
        refused(
            "magic-only.zip",
            "the end of central directory record is missing",
            b"PK\x03\x04".to_vec(),
        ),
    ]
}

/// False places of entries, directory and end record.
fn places() -> Vec<HostileFile> {
    let zip = write(&sample());
    let parts = Parts::new(&sample());
    let offset = u32::try_from(parts.content.len()).unwrap();
    let size = u32::try_from(parts.directory.len()).unwrap();
    let with_end = |end: Vec<u8>| [&parts.content[..], &parts.directory, &end].concat();
    let misplaced = "does not lie directly before";
    vec![
        refused("entries-share-content.zip", "overlaps another", shared_content()),
        refused("entry-in-entry.zip", "overlaps another", entry_in_entry()),
        refused(
            "entry-over-directory.zip",
            "overlaps the central directory",
            over_directory(),
        ),
        refused("entry-beyond-file.zip", "cut off", moved(0x7fff_ffff)),
        refused("entry-without-local-header.zip", "no local header", moved(2)),
        refused(
            "directory-offset.zip",
            misplaced,
            with_end(end_record(2, DirectoryExtent::new(offset - 1, size), &[])),
        ),
        refused(
            "directory-size.zip",
            misplaced,
            with_end(end_record(2, DirectoryExtent::new(offset, size - 1), &[])),
        ),
        refused(
            "directory-beyond.zip",
            misplaced,
            with_end(end_record(2, DirectoryExtent::new(0xffff_fffe, 0xffff_fffe), &[])),
        ),
        refused(
            "bytes-after-end.zip",
            "not the end of the file",
            [zip.clone(), vec![0; 10]].concat(),
        ),
        refused(
            "end-record-in-comment.zip",
            misplaced,
            with_end(end_record(
                2,
                DirectoryExtent::new(offset, size),
                &end_record(0, DirectoryExtent::new(0, 0), &[]),
            )),
        ),
        refused(
            "half.zip",
            "the end of central directory record is missing",
            zip[..zip.len() / 2].to_vec(),
        ),
    ]
}

fn shared_content() -> Vec<u8> {
    let mut entries = sample();
    let mut copy = entries[0].clone();
    copy.central.name = b"c".to_vec();
    copy.offset = Some(0);
    copy.data = Vec::new();
    entries.push(copy);
    write(&entries)
}

/// Quotes one local header in the content of another, as the densest bombs do.
fn entry_in_entry() -> Vec<u8> {
    let inner = write(&[Entry::stored("inner", b"abc")]);
    let outer = Entry::stored("outer.bin", &inner);
    let mut quoted = Entry::stored("inner", b"abc");
    // The content is aligned to four bytes.
    quoted.offset = Some(40);
    let mut parts = Parts::new(std::slice::from_ref(&outer));
    let content = parts.content.clone();
    parts = Parts::new(&[outer, quoted]);
    parts.content = content;
    parts.join(&[])
}

fn over_directory() -> Vec<u8> {
    write(&[Entry::stored("a", b"abc").change(|header| {
        header.compressed_size = 60;
        header.size = 60;
    })])
}

fn moved(offset: u32) -> Vec<u8> {
    let mut entry = Entry::stored("a", b"abc");
    entry.offset = Some(offset);
    write(&[entry])
}

/// False numbers of entries and volumes.
fn counts() -> Vec<HostileFile> {
    let parts = Parts::new(&sample());
    let counted = |count: u16| {
        let mut parts = parts.clone();
        parts.count = count;
        parts.join(&[])
    };
    let mut volumes = write(&sample());
    let disk = volumes.len() - 18;
    volumes[disk] = 1;
    let many: Vec<_> = (0..65_535)
        .map(|index| Entry::stored(&format!("{index:05}"), &[]))
        .collect();
    vec![
        kind("65535-entries.zip", "zip", write(&many)),
        refused("claims-65535-entries.zip", "cut off", counted(u16::MAX)),
        refused("claims-one-entry.zip", "more entries", counted(1)),
        refused("claims-no-entry.zip", "more entries", counted(0)),
        refused("two-volumes.zip", "several volumes", volumes),
    ]
}

fn names() -> Vec<HostileFile> {
    let named = |name: &str| write(&[Entry::stored(name, b"abc")]);
    let twice = |name: &str| write(&[Entry::stored(name, b"abc"), Entry::stored(name, b"def")]);
    let mut apk = samples::plain().entries();
    apk.push(Entry::stored("AndroidManifest.xml", b"other"));
    vec![
        refused("parent-folder.zip", "leaves its folder", named("../evil")),
        refused(
            "parent-folder-inside.zip",
            "leaves its folder",
            named("a/../../evil"),
        ),
        refused(
            "parent-folder-backslash.zip",
            "leaves its folder",
            named("a\\..\\..\\evil"),
        ),
        refused("parent-folder-only.zip", "leaves its folder", named("..")),
        refused("absolute.zip", "is absolute", named("/etc/passwd")),
        refused("absolute-backslash.zip", "is absolute", named("\\windows\\evil")),
        refused("drive.zip", "is absolute", named("C:\\evil")),
        refused("drive-relative.zip", "is absolute", named("c:evil")),
        refused("nul.zip", "contains a NUL", named("a.txt\0.apk")),
        refused("empty-name.zip", "is empty", named("")),
        refused("duplicate.zip", "two entries have the name", twice("a")),
        refused("duplicate-manifest.apk", "two entries have the name", write(&apk)),
        kind("longest-name.zip", "zip", named(&"n".repeat(65_535))),
    ]
}

/// Local and central headers that disagree.
fn contradictions() -> Vec<HostileFile> {
    let local = |change: fn(&mut Header)| {
        let mut entries = sample();
        change(&mut entries[1].local);
        write(&entries)
    };
    vec![
        refused(
            "local-name.zip",
            "disagree about its name",
            local(|header| header.name = b"c".to_vec()),
        ),
        refused(
            "local-name-is-longer.zip",
            "disagree about its name",
            local(|header| header.name = b"bb".to_vec()),
        ),
        refused(
            "local-method.zip",
            "compression method",
            local(|header| header.method = 0),
        ),
        refused(
            "local-size.zip",
            "size or checksum",
            local(|header| header.size += 1),
        ),
        refused(
            "local-packed-size.zip",
            "size or checksum",
            local(|header| header.compressed_size += 1),
        ),
        refused(
            "local-checksum.zip",
            "size or checksum",
            local(|header| header.crc32 ^= 1),
        ),
        refused(
            "local-is-encrypted.zip",
            "flags",
            local(|header| header.flags |= 1),
        ),
        refused(
            "local-has-descriptor.zip",
            "flags",
            local(|header| header.flags |= 8),
        ),
        refused("descriptor-lies.zip", "size or checksum", descriptor_lies()),
    ]
}

fn descriptor_lies() -> Vec<u8> {
    let mut entry = Entry::deflated("a", &[0; 100]).change(|header| header.flags |= 8);
    entry.local.size = 7;
    write(&[entry])
}

/// Entries that are larger than they seem.
fn bombs() -> Vec<HostileFile> {
    let manifest = |change: fn(&mut Header)| {
        let mut content = samples::plain().manifest();
        content.resize(MIB, 0);
        write(&[Entry::deflated("AndroidManifest.xml", &content).change(change)])
    };
    let mut huge = samples::plain().manifest();
    huge.resize(5 * MIB, 0);
    let mut broken = Entry::deflated("AndroidManifest.xml", &samples::plain().manifest());
    let middle = broken.data.len() / 2;
    broken.data[middle..].fill(0xff);
    vec![
        kind("nested-bomb-of-42-kb.zip", "zip", nested_bomb()),
        refused(
            "manifest-bomb.apk",
            "exceed the limit",
            write(&[Entry::deflated("AndroidManifest.xml", &huge)]),
        ),
        refused(
            "manifest-larger-than-stated.apk",
            "stated size",
            manifest(|header| header.size = 100),
        ),
        refused(
            "manifest-smaller-than-stated.apk",
            "stated size",
            manifest(|header| header.size += 1),
        ),
        refused(
            "manifest-checksum.apk",
            "stated size or checksum",
            manifest(|header| header.crc32 ^= 1),
        ),
        refused(
            "manifest-is-encrypted.apk",
            "encrypted",
            manifest(|header| header.flags |= 1),
        ),
        refused(
            "manifest-has-unknown-method.apk",
            "compression method 99",
            manifest(|header| header.method = 99),
        ),
        refused("manifest-is-damaged.apk", "AndroidManifest.xml", write(&[broken])),
        refused(
            "impossible-ratio.zip",
            "impossible",
            write(&[Entry::deflated("a", b"abc").change(|header| header.size = 0xffff_fff0)]),
        ),
        refused(
            "stored-size.zip",
            "impossible",
            write(&[Entry::stored("a", b"abc").change(|header| header.size = 4)]),
        ),
    ]
}

/// Makes a small archive of archives of archives, which would unpack to about 1 TB.
fn nested_bomb() -> Vec<u8> {
    let mut file = vec![0; 4 * MIB];
    for _ in 0..5 {
        let packed = Entry::deflated("0.zip", &file);
        let copies = (0..16).map(|index| {
            let name = format!("{index}.zip");
            packed
                .clone()
                .change(|header| header.name = name.clone().into_bytes())
        });
        file = write(&copies.collect::<Vec<_>>());
    }
    file
}
