//! Thousands of damaged and forged snapshots: none is accepted, and none makes the reader panic.

use std::fs;

use serde_json::json;
use slipway::live::snapshot::{SnapshotError, read};
use slipway::secrets::Keyring;

use super::super::harness::in_tenant;
use super::{Fixture, keyring};
use slipway_test_support::database::TestDatabase;

/// Number of variants of each kind of damage.
const VARIANTS: usize = 4_000;

const COUNT_AT: usize = 8 + 4 + 12 + 8 + 16 + 16;
/// After the number of blocks comes the position at which the journal continues.
const HEADER: usize = COUNT_AT + 8 + 8 + 32;
const TAG: usize = 32;
const LENGTHS: usize = 24;

/// A snapshot, split as its format is documented.
#[derive(Clone)]
pub(super) struct Frames {
    header: Vec<u8>,
    pub(super) blocks: Vec<Vec<u8>>,
    end: Vec<u8>,
}

impl Frames {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let (header, mut rest) = bytes.split_at(HEADER + TAG);
        let count = number(&header[COUNT_AT..]);
        let mut blocks = Vec::new();
        for _ in 0..count {
            let (block, behind) = rest.split_at(LENGTHS + number(&rest[8..]) + TAG);
            blocks.push(block.to_vec());
            rest = behind;
        }
        Self {
            header: header.to_vec(),
            blocks,
            end: rest.to_vec(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        [self.header.clone(), self.blocks.concat(), self.end.clone()].concat()
    }

    /// Returns a snapshot whose first block has other content, with valid tags.
    pub(super) fn with_content(mut self, content: &[u8], unpacked: u64) -> Vec<u8> {
        let bytes = zstd::encode_all(content, 1).unwrap();
        self.blocks[0] = [
            self.blocks[0][..8].to_vec(),
            (bytes.len() as u64).to_le_bytes().to_vec(),
            unpacked.to_le_bytes().to_vec(),
            bytes,
            vec![0; TAG],
        ]
        .concat();
        self.forged(&keyring())
    }

    /// Returns the same frames with valid tags, which only a holder of the key can make.
    fn forged(mut self, keyring: &Keyring) -> Vec<u8> {
        let (_, key) = keyring.snapshot_key();
        self.header.truncate(HEADER);
        let header_tag = key.tag(&[b"header", &self.header]);
        let mut tags = Vec::new();
        for (position, block) in self.blocks.iter_mut().enumerate() {
            block.truncate(block.len() - TAG);
            let (lengths, bytes) = block.split_at(LENGTHS);
            let position = (position as u64).to_le_bytes();
            let tag = key.tag(&[b"block", &header_tag, &position, lengths, bytes]);
            block.extend(tag);
            tags.extend(tag);
        }
        self.header.extend(header_tag);
        self.end.truncate(8);
        self.end.extend(key.tag(&[b"end", &header_tag, &tags]));
        self.bytes()
    }
}

/// Unpacks a block.
pub(super) fn unpacked(block: &[u8]) -> Vec<u8> {
    zstd::decode_all(&block[LENGTHS..block.len() - TAG]).unwrap()
}

fn number(bytes: &[u8]) -> usize {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
        .try_into()
        .unwrap()
}

/// `SplitMix64`: the same damage in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// Returns two generations of one node's snapshot.
async fn generations() -> (Vec<u8>, Vec<u8>) {
    let fixture = Fixture::set(TestDatabase::sqlite().await).await;
    let database = fixture.app.database.again().await;
    let (stopped, _) = fixture.stop().await;
    let older = fs::read(&stopped.files()[0]).unwrap();
    let node = super::node(database, stopped.data_dir.path()).await;
    let write = json!({"package_name": "com.hema.new", "app_name": "New"});
    let admin = stopped.merchant.admin.at(&node);
    admin.post(&in_tenant("/apps"), &write).await.expect(201);
    node.running.stop().await.unwrap();
    let newer = fs::read(stopped.files().last().unwrap()).unwrap();
    (older, newer)
}

#[track_caller]
fn refuse(bytes: &[u8], what: &str) -> SnapshotError {
    match read(bytes, &keyring()) {
        Ok(_) => panic!("{what} is accepted"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_snapshot_is_never_accepted() {
    let (older, newer) = generations().await;
    assert!(read(&older, &keyring()).is_ok() && read(&newer, &keyring()).is_ok());
    let mut random = Random(7);
    flip_bits(&newer, &mut random);
    cut_off(&newer, &mut random);
    overwrite(&newer, &mut random);
    for _ in 0..VARIANTS {
        let count = random.below(2_000);
        refuse(&random.bytes(count), "what is random");
        let mut with_magic = newer[..12].to_vec();
        with_magic.extend(random.bytes(count));
        refuse(&with_magic, "what is random behind a proper beginning");
    }
}

fn flip_bits(bytes: &[u8], random: &mut Random) {
    let frames = Frames::of(bytes);
    // Every bit of the header, lengths, end and tags, and the same number of other bits.
    let mut places: Vec<usize> = (0..HEADER + TAG).collect();
    let mut at = HEADER + TAG;
    for block in &frames.blocks {
        places.extend(at..at + LENGTHS);
        at += block.len();
        places.extend(at - TAG..at);
    }
    places.extend(at..bytes.len());
    places.extend((0..VARIANTS).map(|_| random.below(bytes.len())));
    for place in places {
        for bit in 0..8 {
            let mut flipped = bytes.to_vec();
            flipped[place] ^= 1 << bit;
            refuse(&flipped, &format!("bit {bit} of byte {place} flipped"));
        }
    }
}

fn cut_off(bytes: &[u8], random: &mut Random) {
    let frames = Frames::of(bytes);
    let mut ends = vec![bytes.len() - 1, bytes.len() - TAG, bytes.len() - TAG - 8];
    ends.extend(0..HEADER + TAG + LENGTHS);
    let mut at = HEADER + TAG;
    for block in &frames.blocks {
        ends.extend([
            at,
            at + 1,
            at + LENGTHS,
            at + block.len() - TAG,
            at + block.len() - 1,
        ]);
        at += block.len();
    }
    ends.extend((0..VARIANTS).map(|_| random.below(bytes.len())));
    for end in ends {
        refuse(&bytes[..end], &format!("the first {end} bytes"));
    }
    for count in [1, 8, 40, 4_096] {
        let longer = [bytes, &random.bytes(count)].concat();
        refuse(&longer, "what goes on behind its end");
    }
    refuse(&[bytes, bytes].concat(), "a snapshot twice");
}

/// Overwrites a range like a failing disk: with zeroes, or with bytes from another place.
fn overwrite(bytes: &[u8], random: &mut Random) {
    for _ in 0..VARIANTS {
        let start = random.below(bytes.len());
        let length = 1 + random.below((bytes.len() - start).min(4_096));
        let from = random.below(bytes.len() - length + 1);
        let mut zeroed = bytes.to_vec();
        zeroed[start..start + length].fill(0);
        let mut moved = bytes.to_vec();
        moved.copy_within(from..from + length, start);
        for damaged in [zeroed, moved] {
            if damaged != bytes {
                refuse(&damaged, "an overwritten stretch");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_of_another_tenant_position_or_generation_is_refused() {
    let (older, newer) = generations().await;
    let (older, newer) = (Frames::of(&older), Frames::of(&newer));
    assert_eq!(newer.blocks.len(), 2);
    let refuse_frames = |change: &dyn Fn(&mut Frames), what: &str| {
        let mut frames = newer.clone();
        change(&mut frames);
        refuse(&frames.bytes(), what);
    };
    refuse_frames(&|frames| frames.blocks.swap(0, 1), "swapped blocks");
    refuse_frames(
        &|frames| frames.blocks[0] = older.blocks[0].clone(),
        "an older block",
    );
    refuse_frames(
        // The block of the other tenant is the same in both generations.
        &|frames| frames.blocks[1] = older.blocks[1].clone(),
        "an equal block of an older snapshot",
    );
    refuse_frames(&|frames| frames.header = older.header.clone(), "an older header");
    refuse_frames(&|frames| frames.end = older.end.clone(), "an older end");
    refuse_frames(&|frames| drop(frames.blocks.pop()), "a block less");
    refuse_frames(
        &|frames| frames.blocks.push(frames.blocks[1].clone()),
        "a block more",
    );
    refuse_frames(
        &|frames| {
            let foreign = frames.blocks[1].clone();
            frames.blocks[0].truncate(8);
            frames.blocks[0].extend(&foreign[8..]);
        },
        "the neighbour's catalog under the merchant's number",
    );
    for count in [0, 1, 3, u64::from(u32::MAX), u64::MAX] {
        let wrong = |frames: &mut Frames| {
            frames.header[COUNT_AT..COUNT_AT + 8].copy_from_slice(&count.to_le_bytes());
        };
        refuse_frames(&wrong, "a wrong count");
    }
    for length in [0, 1, u64::from(u32::MAX), i64::MAX as u64, u64::MAX] {
        for field in [8, 16] {
            let wrong = |frames: &mut Frames| {
                frames.blocks[0][field..field + 8].copy_from_slice(&length.to_le_bytes());
            };
            refuse_frames(&wrong, "a wrong length");
        }
    }
}

/// Even the holder of the key cannot make the reader panic, or allocate unlimited memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_snapshot_does_not_make_the_reader_panic() {
    let (_, newer) = generations().await;
    let whole = Frames::of(&newer);
    assert!(
        read(&whole.clone().forged(&keyring()), &keyring()).is_ok(),
        "tags are made as documented"
    );

    let of_content = |content: &[u8], unpacked: u64| whole.clone().with_content(content, unpacked);
    let content = unpacked(&whole.blocks[0]);
    let length = content.len() as u64;
    assert!(read(&of_content(&content, length), &keyring()).is_ok());
    refuse(&of_content(&content, length - 1), "too short a length");
    refuse(&of_content(&content, u64::MAX), "a length beyond any memory");
    refuse(
        &of_content(&unpacked(&whole.blocks[1]), length),
        "the neighbour's catalog",
    );
    refuse(
        &of_content(&[&content[..], &[0]].concat(), length + 1),
        "more than a catalog",
    );

    let mut random = Random(11);
    for _ in 0..VARIANTS {
        let mut changed = content.clone();
        let place = random.below(changed.len());
        changed[place] = random.bytes(1)[0];
        // Some of these are valid catalogs, which the holder of the key may make.
        let _ = read(&of_content(&changed, length), &keyring());
        let noise = random.bytes(content.len().min(500));
        let _ = read(&of_content(&noise, noise.len() as u64), &keyring());
        changed.truncate(place);
        refuse(&of_content(&changed, place as u64), "half a catalog");
    }
}
