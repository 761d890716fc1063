//! The token of a user, and what a JSON Web Token says of itself.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::platform::wipe::wipe;

/// A piece of a token of so many bytes is no ordinary word.
const PIECE: usize = 8;

/// A secret: it shows as `***`, reaches neither disk nor log, and is in memory once for all that have it. The last of them
/// overwrites it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<Secret>);

#[derive(PartialEq, Eq)]
struct Secret(String);

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut std::mem::take(&mut self.0).into_bytes());
    }
}

/// What a JSON Web Token claims. Nobody here can verify its signature: until a server accepted the token, this is hearsay.
#[derive(Clone, PartialEq, Eq)]
pub struct Claims {
    /// The key pair and the name of the user, as one text; `None` where the token does not say both.
    pub user: Option<String>,
    /// When it expires, Unix ms.
    pub expires_ms: i64,
}

/// The claims that are read. One that stands twice, or is of another type, makes the whole of it unreadable.
#[derive(Deserialize)]
struct Payload {
    exp: Option<f64>,
    thumbprint: Option<String>,
    username: Option<String>,
}

impl Token {
    /// Keeps `text`; an empty text is no token.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(Arc::new(Secret(text.to_owned()))))
    }

    /// The secret itself, for the one header that carries it and for hashing.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0.0
    }

    /// What it claims, if it is a JSON Web Token with an expiry.
    #[must_use]
    pub fn claims(&self) -> Option<Claims> {
        let mut json = self.payload()?;
        let payload = serde_json::from_slice::<Payload>(&json);
        wipe(&mut json);
        let Payload {
            exp,
            thumbprint,
            username,
        } = payload.ok()?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        // As JSON, so that no two pairs make the same text.
        let user = given(thumbprint)
            .zip(given(username))
            .and_then(|pair| serde_json::to_string(&pair).ok());
        #[allow(clippy::cast_possible_truncation)] // a float ends at the ends of an integer
        let expires_ms = (exp.filter(|exp| *exp > 0.0)? * 1_000.0) as i64;
        Some(Claims { user, expires_ms })
    }

    /// The text without the token, its pieces, and what it claims: a server may echo any of these, cut off or not.
    #[must_use]
    pub fn scrubbed(&self, mut text: String) -> String {
        text = without_pieces(&text, self.reveal());
        let claims = self.payload().and_then(|mut json| {
            let claims = serde_json::from_slice::<serde_json::Value>(&json).ok();
            wipe(&mut json);
            claims
        });
        for claim in claims
            .iter()
            .filter_map(|claims| claims.as_object())
            .flat_map(serde_json::Map::values)
        {
            if let Some(claim) = claim.as_str().filter(|claim| claim.len() >= PIECE) {
                text = text.replace(claim, "***");
            }
        }
        text
    }

    /// The middle of the three parts of a JSON Web Token, decoded.
    fn payload(&self) -> Option<Vec<u8>> {
        let mut parts = self.reveal().split('.');
        let [Some(head), Some(payload), Some(signature), None] = std::array::from_fn(|_| parts.next()) else {
            return None;
        };
        (!head.is_empty() && !signature.is_empty()).then(|| base64url(payload))?
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The text with `***` in the place of each piece of a secret. A secret that is shorter than a piece is part of ordinary words.
fn without_pieces(text: &str, secret: &str) -> String {
    let mut scrubbed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let mut length = PIECE;
        while rest.get(..length).is_some_and(|piece| secret.contains(piece)) {
            length += 1;
        }
        let length = if length > PIECE {
            scrubbed.push_str("***");
            length - 1
        } else {
            scrubbed.push(next);
            next.len_utf8()
        };
        rest = &rest[length..];
    }
    scrubbed
}

/// Decodes base64 of the alphabet for URLs, without padding.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xFF) as u8);
        }
    }
    Some(bytes)
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
    fn claims_are_read_and_what_is_odd_claims_nothing() {
        // {"exp":2000000000,"thumbprint":"a1","username":"ann"}
        let whole = token("eyJleHAiOjIwMDAwMDAwMDAsInRodW1icHJpbnQiOiJhMSIsInVzZXJuYW1lIjoiYW5uIn0");
        let claims = whole.claims().expect("claims");
        assert_eq!(claims.expires_ms, 2_000_000_000_000);
        assert_eq!(claims.user.as_deref(), Some(r#"["a1","ann"]"#));
        assert_eq!(format!("{whole:?} {claims:?}"), "*** ***");
        // {"exp":2000000000,"thumbprint":"a1"}: nobody is named.
        let nobody = token("eyJleHAiOjIwMDAwMDAwMDAsInRodW1icHJpbnQiOiJhMSJ9").claims();
        assert_eq!(nobody.expect("claims").user, None);
        // {"exp":1,"thumbprint":"a","username":"x","username":"y"}: which one?
        let twice = "eyJleHAiOjEsInRodW1icHJpbnQiOiJhIiwidXNlcm5hbWUiOiJ4IiwidXNlcm5hbWUiOiJ5In0";
        for odd in [twice, "", "!", "e30", "bnVsbA"] {
            assert!(token(odd).claims().is_none(), "{odd}");
        }
        assert!(Token::new("aaaaaaaaaaaaaaaaaaaa").expect("a token").claims().is_none());
    }

    #[test]
    fn a_text_loses_each_piece_of_the_token_and_each_claim() {
        // {"username":"Perpetua"}
        let token = token("eyJ1c2VybmFtZSI6IlBlcnBldHVhIn0");
        let whole = token.reveal().to_owned();
        for (text, scrubbed) in [
            (format!("a {whole} b"), "a *** b"),
            (format!("title=\"{}\"", &whole[3..20]), "title=\"***\""),
            (format!("é{}é{}é", &whole[..8], &whole[9..30]), "é***é***é"),
            ("it is Perpetua's".to_owned(), "it is ***'s"),
            ("nothing of it".to_owned(), "nothing of it"),
        ] {
            assert_eq!(token.scrubbed(text), scrubbed);
        }
        assert_eq!(
            Token::new("short")
                .expect("a token")
                .scrubbed("a short text".to_owned()),
            "a short text"
        );
    }
}
