//! Seeded mutations of files.

use fastrand::Rng;

/// Numbers at the edges of fields.
const EDGES: [u64; 12] = [
    0,
    1,
    2,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_fffe,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// Most mutations of one file.
const MOST: usize = 6;

/// Returns a damaged form of a file. The same seed gives the same bytes.
pub fn mutate(file: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Rng::with_seed(seed);
    let mut bytes = file.to_vec();
    for _ in 0..random.usize(1..=MOST) {
        if bytes.is_empty() {
            break;
        }
        let place = place(&bytes, &mut random);
        mutate_at(&mut bytes, place, &mut random);
    }
    bytes
}

/// Chooses a place: half of them near a header, where the structure is.
fn place(bytes: &[u8], random: &mut Rng) -> usize {
    let any = random.usize(..bytes.len());
    if random.bool() {
        return any;
    }
    let headers: Vec<_> = (0..bytes.len() - 1)
        .filter(|place| matches!(&bytes[*place..], [b'P', b'K', ..] | [b'A', b'P', b'K', ..]))
        .collect();
    match random.choice(headers) {
        Some(header) => (header + random.usize(..64)).min(bytes.len() - 1),
        None => any,
    }
}

fn mutate_at(bytes: &mut Vec<u8>, place: usize, random: &mut Rng) {
    let end = bytes.len().min(place + random.usize(1..=64));
    match random.u8(..8) {
        0 => bytes[place] ^= 1 << random.u8(..8),
        1 => bytes[place] = random.u8(..),
        2 | 3 => {
            let number = random.choice(EDGES).unwrap().to_le_bytes();
            let width = random.choice([2, 4, 8]).unwrap();
            let end = bytes.len().min(place + width);
            bytes[place..end].copy_from_slice(&number[..end - place]);
        }
        4 => {
            bytes.drain(place..end);
        }
        5 => {
            let copy = bytes[place..end].to_vec();
            let target = random.usize(..=bytes.len());
            bytes.splice(target..target, copy);
        }
        6 => {
            let target = random.usize(..bytes.len());
            bytes.swap(place, target);
        }
        _ => bytes.truncate(place),
    }
}
