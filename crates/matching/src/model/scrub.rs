//! Removes secrets from a string, including parts of secrets and encoded secrets.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Minimum length of a removed piece. Shorter pieces of a secret might be ordinary words.
const PIECE_LENGTH: usize = 8;

/// Maximum number of nested encodings. For example, a URL within a URL is encoded twice.
const MAX_ENCODINGS: usize = 4;

/// Maximum length of an escape sequence for one character: two `\uXXXX`.
const ESCAPE_LENGTH: usize = 12;

type Piece = [u8; PIECE_LENGTH];

/// A decoded byte, and the range of the input that encodes the byte.
#[derive(Clone, Copy)]
struct DecodedByte {
    byte: u8,
    from: usize,
    to: usize,
}

/// Returns the text with each piece of a secret replaced by `***`. Does not detect secrets shorter than `PIECE_LENGTH`.
pub fn scrub(text: &str, secrets: &[&[u8]]) -> String {
    // The set stores hashes instead of secrets, because freeing a set does not overwrite its memory.
    let hash_state = RandomState::new();
    let hash = |piece: Piece| hash_state.hash_one(piece);
    let pieces = secrets.iter().flat_map(|secret| secret.windows(PIECE_LENGTH));
    let pieces: HashSet<u64> = pieces
        .map(|piece| hash(std::array::from_fn(|index| fold_byte(piece[index]))))
        .collect();
    // Each round marks the pieces of secrets in `hidden`, and then decodes one level of escapes.
    let mut hidden = vec![false; text.len()];
    let mut decoded_bytes: Vec<DecodedByte> = (0..)
        .zip(text.bytes())
        .map(|(from, byte)| DecodedByte {
            byte,
            from,
            to: from + 1,
        })
        .collect();
    for _ in 0..=MAX_ENCODINGS {
        hide_pieces(&decoded_bytes, hash, &pieces, &mut hidden);
        let decoded = decode(&decoded_bytes);
        if decoded.len() == decoded_bytes.len() {
            break;
        }
        decoded_bytes = decoded;
    }
    // Each run of hidden characters becomes one `***`.
    let mut scrubbed = String::with_capacity(text.len());
    let mut was_hidden = false;
    for (offset, c) in text.char_indices() {
        let is_hidden = hidden[offset..offset + c.len_utf8()].contains(&true);
        match (is_hidden, was_hidden) {
            (false, _) => scrubbed.push(c),
            (true, false) => scrubbed.push_str("***"),
            (true, true) => {}
        }
        was_hidden = is_hidden;
    }
    scrubbed
}

/// Sets the elements of `hidden` for all bytes that encode a piece of a secret. Checks each position, since pieces can
/// overlap. `pieces` contains the hash of each piece.
fn hide_pieces(decoded_bytes: &[DecodedByte], hash: impl Fn(Piece) -> u64, pieces: &HashSet<u64>, hidden: &mut [bool]) {
    for piece in decoded_bytes.windows(PIECE_LENGTH) {
        if pieces.contains(&hash(std::array::from_fn(|index| fold_byte(piece[index].byte)))) {
            hidden[piece[0].from..piece[PIECE_LENGTH - 1].to].fill(true);
        }
    }
}

/// Lower-cases a byte, and replaces `+` with a space, as in form-encoded URLs.
fn fold_byte(byte: u8) -> u8 {
    if byte == b'+' { b' ' } else { byte.to_ascii_lowercase() }
}

/// Decodes one level of percent, HTML and JSON escapes. Each decoded byte keeps its range in the original input.
fn decode(decoded_bytes: &[DecodedByte]) -> Vec<DecodedByte> {
    let mut decoded = Vec::with_capacity(decoded_bytes.len());
    let mut index = 0;
    while index < decoded_bytes.len() {
        let mut head = [0; ESCAPE_LENGTH];
        for (head_byte, decoded_byte) in head.iter_mut().zip(&decoded_bytes[index..]) {
            *head_byte = decoded_byte.byte;
        }
        if let Some((bytes, length)) = decode_escape(&head) {
            let (from, to) = (decoded_bytes[index].from, decoded_bytes[index + length - 1].to);
            decoded.extend(bytes.into_iter().map(|byte| DecodedByte { byte, from, to }));
            index += length;
        } else {
            decoded.push(decoded_bytes[index]);
            index += 1;
        }
    }
    decoded
}

/// Decodes an escape sequence at the start of `head`, which contains the next bytes, padded with zeros. Returns the
/// decoded bytes and the length of the sequence; `None` if `head` does not start with an escape sequence.
fn decode_escape(head: &[u8; ESCAPE_LENGTH]) -> Option<(Vec<u8>, usize)> {
    let number = |digits: &[u8], base| {
        let is_digit = |digit: &u8| char::from(*digit).is_digit(base);
        let digits = std::str::from_utf8(digits).ok()?;
        digits.bytes().all(|digit| is_digit(&digit)).then_some(())?;
        u32::from_str_radix(digits, base).ok()
    };
    let utf8 = |code: u32| Some(char::from_u32(code)?.to_string().into_bytes());
    match head {
        [b'%', digits @ ..] => Some((vec![u8::try_from(number(&digits[..2], 16)?).ok()?], 3)),
        [b'\\', b'u', digits @ ..] => {
            let utf16_unit = |digits| u16::try_from(number(digits, 16)?).ok();
            let low_surrogate = digits[4..6].eq(b"\\u").then(|| utf16_unit(&digits[6..10])).flatten();
            let c = char::decode_utf16([utf16_unit(&digits[..4])?, low_surrogate.unwrap_or(0)])
                .next()?
                .ok()?;
            // Each UTF-16 unit is a sequence of six bytes.
            Some((c.to_string().into_bytes(), 6 * c.len_utf16()))
        }
        [b'\\', escaped @ (b'/' | b'"' | b'\\'), ..] => Some((vec![*escaped], 2)),
        [b'&', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b';')?;
            let bytes = match &rest[..end] {
                b"amp" => b"&".to_vec(),
                b"lt" => b"<".to_vec(),
                b"gt" => b">".to_vec(),
                b"quot" => b"\"".to_vec(),
                b"apos" => b"'".to_vec(),
                [b'#', b'x' | b'X', digits @ ..] => utf8(number(digits, 16)?)?,
                [b'#', digits @ ..] => utf8(number(digits, 10)?)?,
                _ => return None,
            };
            Some((bytes, end + 2)) // with `&` and `;`
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::scrub;

    fn scrubbed(text: &str) -> String {
        scrub(
            text,
            &[
                b"secret-1",
                b"secret-12-long",
                b"ann@example.org",
                "Zo\u{eb} & Ann Lee".as_bytes(),
                "ann/\"\u{1F600}lee".as_bytes(),
            ],
        )
    }

    #[test]
    fn a_secret_is_removed_in_any_encoding() {
        for text in [
            "ann@example.org",
            "ANN@Example.org",
            "ann%40example.org",
            "ann%40example%2eorg",
            "ann%2540example.org",
            "%61%6e%6e%40%65xample.org",
            "ann&#64;example.org",
            "ann&#x40;example&#46;org",
            "ann\\u0040example.org",
            "ann&amp;#64;example.org",
            r#"ann\/\"\ud83d\ude00lee"#,
            r#"ann\\/\\\"\\uD83D\\uDE00lee"#,
            "Zo\u{eb} & Ann Lee",
            "Zo\u{eb} &amp; Ann&#32;Lee",
            "Zo%C3%AB+%26+Ann+Lee",
            "secret-12-long",
            "secret-12%2Dlong",
        ] {
            assert_eq!(scrubbed(&format!("a {text}.")), "a ***.", "{text}");
        }
    }

    #[test]
    fn scrubbing_long_tokens_and_texts_is_fast() {
        let (token, text) = (vec![b'a'; 65_536], "a".repeat(65_536));
        assert_eq!(scrub(&text, &[&token]), "***");
    }

    #[test]
    fn pieces_of_eight_bytes_are_removed_and_similar_text_stays() {
        for (text, expected) in [
            ("nn@example.o and @example", "*** and ***"),
            ("secret-1secret-12-lo", "***"),
            ("xsecret-12-long", "x***"),
            ("secret- and example.", "secret- and ***"),
            (
                "example% 5% &; &#; &#x; &bogus; \\u00 %zz %",
                "example% 5% &; &#; &#x; &bogus; \\u00 %zz %",
            ),
            ("&#1114112; &#xD800; é", "&#1114112; &#xD800; é"),
            ("", ""),
        ] {
            assert_eq!(scrubbed(text), expected, "{text}");
        }
    }
}
