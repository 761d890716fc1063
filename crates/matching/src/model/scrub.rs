//! Removes secrets from a text, whole or partial, in any encoding.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Length of a piece of a secret that counts: long enough not to be an ordinary word.
const PIECE: usize = 8;

/// Maximum depth of encodings: a server that quotes an address in an address encodes twice.
const ENCODINGS: usize = 4;

/// Length of the longest encoding of a character.
const SPELLING: usize = 12;

type Piece = [u8; PIECE];

/// A decoded byte, and the range of the text that encodes it.
#[derive(Clone, Copy)]
struct DecodedByte {
    byte: u8,
    from: usize,
    to: usize,
}

/// Replaces each piece of a secret by `***`. Secrets shorter than a piece are not detected.
pub fn scrub(text: &str, secrets: &[&[u8]]) -> String {
    // Stores hashes, since the set is not overwritten when freed. Time is linear in the lengths of the secrets and the
    // text.
    let state = RandomState::new();
    let hash = |piece: Piece| state.hash_one(piece);
    let pieces = secrets.iter().flat_map(|secret| secret.windows(PIECE));
    let pieces: HashSet<u64> = pieces
        .map(|piece| hash(std::array::from_fn(|at| plain(piece[at]))))
        .collect();
    let mut hidden = vec![false; text.len()];
    let mut decoded_bytes: Vec<DecodedByte> = (0..)
        .zip(text.bytes())
        .map(|(from, byte)| DecodedByte {
            byte,
            from,
            to: from + 1,
        })
        .collect();
    for _ in 0..=ENCODINGS {
        hide(&decoded_bytes, hash, &pieces, &mut hidden);
        let decoded = decode(&decoded_bytes);
        if decoded.len() == decoded_bytes.len() {
            break;
        }
        decoded_bytes = decoded;
    }
    let mut scrubbed = String::with_capacity(text.len());
    let mut was_hidden = false;
    for (at, one) in text.char_indices() {
        let is_hidden = hidden[at..at + one.len_utf8()].contains(&true);
        match (is_hidden, was_hidden) {
            (false, _) => scrubbed.push(one),
            (true, false) => scrubbed.push_str("***"),
            (true, true) => {}
        }
        was_hidden = is_hidden;
    }
    scrubbed
}

/// Marks all ranges that encode a piece of a secret. Checks each position, since pieces of two secrets may overlap.
fn hide(decoded_bytes: &[DecodedByte], hash: impl Fn(Piece) -> u64, pieces: &HashSet<u64>, hidden: &mut [bool]) {
    for piece in decoded_bytes.windows(PIECE) {
        if pieces.contains(&hash(std::array::from_fn(|at| plain(piece[at].byte)))) {
            hidden[piece[0].from..piece[PIECE - 1].to].fill(true);
        }
    }
}

/// Folds the case of a byte; '+' becomes a space, as in forms.
fn plain(byte: u8) -> u8 {
    if byte == b'+' { b' ' } else { byte.to_ascii_lowercase() }
}

/// Decodes one level of percent, HTML and JSON escapes.
fn decode(decoded_bytes: &[DecodedByte]) -> Vec<DecodedByte> {
    let mut decoded = Vec::with_capacity(decoded_bytes.len());
    let mut at = 0;
    while at < decoded_bytes.len() {
        let mut head = [0; SPELLING];
        for (byte, one) in head.iter_mut().zip(&decoded_bytes[at..]) {
            *byte = one.byte;
        }
        if let Some((bytes, length)) = spelled(&head) {
            let (from, to) = (decoded_bytes[at].from, decoded_bytes[at + length - 1].to);
            decoded.extend(bytes.into_iter().map(|byte| DecodedByte { byte, from, to }));
            at += length;
        } else {
            decoded.push(decoded_bytes[at]);
            at += 1;
        }
    }
    decoded
}

/// Decodes the escape at the beginning of a text; returns the bytes and the length of the escape.
fn spelled(head: &[u8; SPELLING]) -> Option<(Vec<u8>, usize)> {
    let number = |digits: &[u8], base| {
        let is_digit = |digit: &u8| char::from(*digit).is_digit(base);
        let digits = std::str::from_utf8(digits).ok()?;
        digits.bytes().all(|digit| is_digit(&digit)).then_some(())?;
        u32::from_str_radix(digits, base).ok()
    };
    let encoded = |code: u32| Some(char::from_u32(code)?.to_string().into_bytes());
    match head {
        [b'%', digits @ ..] => Some((vec![u8::try_from(number(&digits[..2], 16)?).ok()?], 3)),
        [b'\\', b'u', digits @ ..] => {
            let unit = |digits| u16::try_from(number(digits, 16)?).ok();
            let second = digits[4..6].eq(b"\\u").then(|| unit(&digits[6..10])).flatten();
            let one = char::decode_utf16([unit(&digits[..4])?, second.unwrap_or(0)])
                .next()?
                .ok()?;
            Some((one.to_string().into_bytes(), 6 * one.len_utf16()))
        }
        [b'\\', own @ (b'/' | b'"' | b'\\'), ..] => Some((vec![*own], 2)),
        [b'&', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b';')?;
            let bytes = match &rest[..end] {
                b"amp" => b"&".to_vec(),
                b"lt" => b"<".to_vec(),
                b"gt" => b">".to_vec(),
                b"quot" => b"\"".to_vec(),
                b"apos" => b"'".to_vec(),
                [b'#', b'x' | b'X', digits @ ..] => encoded(number(digits, 16)?)?,
                [b'#', digits @ ..] => encoded(number(digits, 10)?)?,
                _ => return None,
            };
            Some((bytes, end + 2))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
