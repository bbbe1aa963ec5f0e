//! Ids of responses.

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Writes a number as an id of 13 lower-case letters and digits, the form that clients expect.
pub fn encode(mut number: u64) -> String {
    let mut id = String::with_capacity(13);
    for _ in 0..13 {
        id.push(char::from(
            DIGITS[usize::try_from(number % 36).unwrap_or_default()],
        ));
        number /= 36;
    }
    id
}
