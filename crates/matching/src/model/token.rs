//! The user's token, and the claims in a JSON Web Token.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use super::scrub::scrub;

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
}
