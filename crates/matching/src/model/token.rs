//! The user's token, and the claims in a JSON Web Token. Removes secrets from a string, including parts of secrets and
//! encoded secrets.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

/// A user's secret token. `Debug` prints `***`, and plexindex never writes the token to disk or to a log. All clones
/// share one copy in memory, which plexindex overwrites when the last clone is dropped.
///
/// ```
/// # use plexindex_matching::model as plexindex;
/// use plexindex::Token;
///
/// let token = Token::new("YOUR-TOKEN");
/// assert_eq!(format!("{token:?}"), "Some(***)");
/// assert_eq!(Token::new(""), None);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<Zeroizing<String>>);

/// Claims of a JSON Web Token. plexindex cannot verify the signature, so callers may rely on claims only after a server
/// has accepted the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Claims {
    /// The key pair's thumbprint and the user's name, as a JSON array; `None` if either is missing.
    pub user: Option<String>,
    /// Expiry time, in Unix milliseconds.
    pub expires_ms: i64,
}

/// The claims that plexindex reads. If a claim is repeated or has the wrong type, plexindex ignores all claims.
#[derive(Deserialize)]
struct Payload {
    exp: Option<f64>,
    thumbprint: Option<String>,
    username: Option<String>,
}

impl Token {
    /// Creates a token; `None` for an empty string. If [`Options::token`](struct.Options.html#structfield.token) is
    /// `None`, plexindex sends no token, and a server that requires a token rejects each request
    /// ([`ErrorKind::Unauthorized`](crate::error::ErrorKind::Unauthorized)).
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(Arc::new(Zeroizing::new(text.to_owned()))))
    }

    /// Returns the secret, for the request header and for hashing.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the claims; `None` unless the token is a JSON Web Token with an expiry.
    #[doc(hidden)]
    pub fn claims(&self) -> Option<Claims> {
        let mut json = self.payload()?;
        let payload = serde_json::from_slice::<Payload>(&json);
        json.zeroize();
        let Payload {
            exp,
            thumbprint,
            username,
        } = payload.ok()?;
        let non_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
        // JSON ensures that different pairs have different strings.
        let user = non_empty(thumbprint)
            .zip(non_empty(username))
            .and_then(|pair| serde_json::to_string(&pair).ok());
        // The minimum is 1, because callers use 0 for a token that never expires.
        #[allow(clippy::cast_possible_truncation)] // `as` saturates
        let expires_ms = ((exp? * 1_000.0) as i64).max(1);
        Some(Claims { user, expires_ms })
    }

    /// Removes the tokens and their claims from `text`. A server's reply may quote tokens in part or encoded.
    #[doc(hidden)]
    pub fn scrub(tokens: &[&Self], text: &str) -> String {
        let mut claims = Vec::new();
        for token in tokens {
            for mut json in token.parts().into_iter().flatten().filter_map(base64url) {
                // Claim names are ordinary words, so only the values are secrets.
                if let Ok(Value::Object(fields)) = serde_json::from_slice(&json) {
                    fields
                        .into_iter()
                        .for_each(|(_, value)| add_strings(value, &mut claims));
                }
                json.zeroize();
            }
        }
        let token_texts = tokens.iter().map(|token| token.reveal().as_bytes());
        let secrets: Vec<&[u8]> = token_texts.chain(claims.iter().map(Vec::as_slice)).collect();
        let scrubbed = scrub(text, &secrets);
        for claim in &mut claims {
            claim.zeroize();
        }
        scrubbed
    }

    /// Returns the encoded header and the encoded claims of a JSON Web Token; `None` for other kinds of tokens.
    fn parts(&self) -> Option<[&str; 2]> {
        let mut parts = self.reveal().split('.');
        let [Some(head), Some(payload), Some(signature), None] = std::array::from_fn(|_| parts.next()) else {
            return None;
        };
        (!head.is_empty() && !signature.is_empty()).then_some([head, payload])
    }

    /// Returns the claims of a JSON Web Token as decoded JSON; `None` for other kinds of tokens.
    fn payload(&self) -> Option<Vec<u8>> {
        let [_, payload] = self.parts()?;
        base64url(payload)
    }
}

/// Appends all strings, numbers and field names within a claim's value to `texts`, the list of secrets.
fn add_strings(value: Value, texts: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(text) => texts.push(text.into_bytes()),
        Value::Number(number) => texts.push(number.to_string().into_bytes()),
        Value::Array(values) => values.into_iter().for_each(|value| add_strings(value, texts)),
        Value::Object(fields) => fields.into_iter().for_each(|(name, value)| {
            texts.push(name.into_bytes());
            add_strings(value, texts);
        }),
        Value::Null | Value::Bool(_) => {}
    }
}

impl fmt::Debug for Token {
    /// Hides the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Claims {
    /// Hides the user's name, which comes from the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Decodes URL-safe Base64 without padding, and ignores trailing bits; `None` for invalid Base64.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    GeneralPurpose::new(&URL_SAFE, lenient).decode(text).ok()
}

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
    use super::*;

    /// A token with this payload, encoded.
    fn token(payload: &str) -> Token {
        Token::new(&format!("eyJhbGciOiJFZERTQSJ9.{payload}.c2lnbmF0dXJl")).expect("a token")
    }

    #[test]
    fn base64_of_each_length_is_decoded() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg", b"f"),
            ("Zm8", b"fo"),
            ("Zm9v", b"foo"),
            ("-_8", &[0xFB, 0xFF]),
        ] {
            assert_eq!(base64url(text).as_deref(), Some(bytes), "{text}");
        }
        assert_eq!(base64url("Zg=="), None);
    }

    #[test]
    fn claims_are_read_and_malformed_tokens_have_none() {
        // {"exp":2000000000,"thumbprint":"a1","username":"ann"}
        let whole = token("eyJleHAiOjIwMDAwMDAwMDAsInRodW1icHJpbnQiOiJhMSIsInVzZXJuYW1lIjoiYW5uIn0");
        let claims = whole.claims().expect("claims");
        assert_eq!(claims.expires_ms, 2_000_000_000_000);
        assert_eq!(claims.user.as_deref(), Some(r#"["a1","ann"]"#));
        assert_eq!(format!("{whole:?} {claims:?}"), "*** ***");
        // {"exp":2000000000,"thumbprint":"a1"}: nobody is named.
        let nobody = token("eyJleHAiOjIwMDAwMDAwMDAsInRodW1icHJpbnQiOiJhMSJ9").claims();
        assert_eq!(nobody.expect("claims").user, None);
        // {"exp":0.0005}, {"exp":0} and {"exp":-5}: long ago, and not never.
        for payload in ["eyJleHAiOjAuMDAwNX0", "eyJleHAiOjB9", "eyJleHAiOi01fQ"] {
            assert_eq!(token(payload).claims().expect("claims").expires_ms, 1, "{payload}");
        }
        // {"exp":1,"thumbprint":"a","username":"x","username":"y"}: which one?
        let twice = "eyJleHAiOjEsInRodW1icHJpbnQiOiJhIiwidXNlcm5hbWUiOiJ4IiwidXNlcm5hbWUiOiJ5In0";
        for odd in [twice, "", "!", "e30", "bnVsbA"] {
            assert!(token(odd).claims().is_none(), "{odd}");
        }
        assert!(Token::new("aaaaaaaaaaaaaaaaaaaa").expect("a token").claims().is_none());
    }

    #[test]
    fn scrubbing_removes_pieces_of_the_token_and_its_claims() {
        // {"username":"Perpetua","of":[{"ann@example.org":["a-server-of-hers"]}],"exp":4102444800}
        let token = token(
            "eyJ1c2VybmFtZSI6IlBlcnBldHVhIiwib2YiOlt7ImFubkBleGFtcGxlLm9yZyI6WyJhLXNlcnZlci1vZi1oZXJzIl19XSwiZXhwIjo0MTAyNDQ0\
         ODAwfQ",
        );
        let whole = token.reveal().to_owned();
        for (text, scrubbed) in [
            (format!("a {whole} b"), "a *** b"),
            (format!("title=\"{}\"", &whole[3..20]), "title=\"***\""),
            (format!("é{}é{}é", &whole[..8], &whole[9..30]), "é***é***é"),
            (whole.replace('.', "%2E"), "***"),
            ("it is Perpetua's".to_owned(), "it is ***'s"),
            (
                "of ann%40example.org: a-server-of-hers, until 4102444800".to_owned(),
                "of ***: ***, until ***",
            ),
            ("nothing of it".to_owned(), "nothing of it"),
        ] {
            assert_eq!(Token::scrub(&[&token], &text), scrubbed);
        }
        let short = Token::new("short").expect("a token");
        assert_eq!(Token::scrub(&[&short], "a short text"), "a short text");
    }

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
