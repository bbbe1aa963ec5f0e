//! QR codes as images.

use std::io::Write as _;

use fast_qr::convert::Builder as _;
use fast_qr::convert::svg::SvgBuilder;
use fast_qr::{ECL, QRBuilder, QRCode};
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// Width of the quiet zone in modules (ISO/IEC 18004).
const MARGIN: usize = 4;
/// Width of a module in the PNG, in pixels.
const SCALE: usize = 8;

/// Returns the code of a text; `None` if the text is too long for one.
pub(super) fn encode(text: &str) -> Option<QRCode> {
    QRBuilder::new(text).ecl(ECL::M).build().ok()
}

pub(super) fn svg(code: &QRCode) -> String {
    SvgBuilder::default().margin(MARGIN).to_str(code)
}

/// Returns a PNG of one bit for each pixel.
pub(super) fn png(code: &QRCode) -> Vec<u8> {
    let width = (code.size + 2 * MARGIN) * SCALE;
    let mut header = Vec::new();
    for side in [width, width] {
        header.extend_from_slice(&u32::try_from(side).unwrap_or(u32::MAX).to_be_bytes());
    }
    // One bit in greyscale; the only methods of compression, filtering and interlacing that exist.
    header.extend_from_slice(&[1, 0, 0, 0, 0]);
    let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
    write_chunk(&mut image, *b"IHDR", &header);
    write_chunk(&mut image, *b"IDAT", &compress(&pixels(code, width)));
    write_chunk(&mut image, *b"IEND", &[]);
    image
}

/// Returns the rows of the image, each after the number of its filter. A set bit is white.
fn pixels(code: &QRCode, width: usize) -> Vec<u8> {
    let is_dark = |x: usize, y: usize| {
        let module = |pixel: usize| {
            (pixel / SCALE)
                .checked_sub(MARGIN)
                .filter(|index| *index < code.size)
        };
        module(x).zip(module(y)).is_some_and(|(x, y)| code[y][x].value())
    };
    let mut rows = Vec::with_capacity((width.div_ceil(8) + 1) * width);
    for y in 0..width {
        rows.push(0);
        for byte in 0..width.div_ceil(8) {
            let bits = (0..8).map(|bit| (bit, 8 * byte + bit));
            let white = bits
                .filter(|(_, x)| !is_dark(*x, y))
                .map(|(bit, _)| 0x80_u8 >> bit);
            rows.push(white.sum());
        }
    }
    rows
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

fn write_chunk(image: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    image.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    let mut sum = Crc::new();
    for part in [&kind[..], data] {
        image.extend_from_slice(part);
        sum.update(part);
    }
    image.extend_from_slice(&sum.sum().to_be_bytes());
}
