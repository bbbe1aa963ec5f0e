//! Icons.

use std::io::Write as _;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

const SIDE: u32 = 48;

/// Makes a PNG: a square of one colour.
pub fn icon(colour: [u8; 3]) -> Vec<u8> {
    let row = [vec![0], colour.repeat(48)].concat();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&row.repeat(48)).unwrap();
    let header = [&SIDE.to_be_bytes()[..], &SIDE.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        png_chunk(*b"IHDR", &header),
        png_chunk(*b"IDAT", &encoder.finish().unwrap()),
        png_chunk(*b"IEND", &[]),
    ]
    .concat()
}

fn png_chunk(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(&kind);
    crc.update(body);
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes()[..], &kind, body, &crc.sum().to_be_bytes()].concat()
}
