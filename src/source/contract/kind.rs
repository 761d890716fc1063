//! Properties of a kind of source that are known without a request, even while an index is offline.

use crate::error::{Error, Result, Status, invalid_argument_error};
use crate::model::LONGEST_KEY;

use super::Notification;

/// The constants of a kind of source: its names, the form of its keys, and the parser for its notifications.
#[derive(Debug)]
pub struct SourceKind {
    /// Display name.
    pub name: &'static str,
    /// Noun for the source in a sentence, such as `the server`.
    pub noun: &'static str,
    /// Advice for users whose source has no libraries.
    pub empty_hint: &'static str,
    /// Prefix of the keys that hosts see; the item's rating key follows.
    pub key_prefix: &'static str,
    /// Returns whether a string can be a rating key. The caller has checked that the string has 1 to 255 bytes and no
    /// control characters. A comma is invalid, because it separates rating keys in a URL.
    pub is_rating_key: fn(&str) -> bool,
    /// Parses the JSON of a notification or webhook. Fails with [`Status::InvalidArgument`] if the JSON is invalid.
    pub parse_notification: fn(&[u8]) -> Result<Notification>,
    /// Advice to set the option that adds scans and events, for error messages; `None` if no option adds them.
    pub enabling_option_advice: Option<&'static str>,
}

/// A server as one user sees it. plexindex must never show the content of one view to the user of a different view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The server's location, such as its URL; constant for a server.
    pub location: String,
    /// The user whose content the view shows.
    pub viewer: Viewer,
}

/// The user whose permissions apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// A user whom the host specified by name; the user's token may change.
    Named(String),
    /// The user of the current token. If no token is set, everyone has the same view.
    TokenHolder,
    /// A user who reads the server's own files, and thus sees everything, regardless of the token.
    DatabaseReader,
}

impl SourceKind {
    /// Creates the error for an operation that this kind of source does not support. `problem` continues a sentence
    /// that starts with the kind's name. The message ends with advice to set the option that adds the operation, or
    /// with `remedy` if there is no such option.
    #[must_use]
    pub fn unsupported(&self, problem: &str, remedy: &str) -> Error {
        Error::new(
            Status::Unsupported,
            format!(
                "{} {problem}: {}",
                self.name,
                self.enabling_option_advice.unwrap_or(remedy)
            ),
        )
    }

    /// Returns the key that hosts see for an item: the prefix and the rating key.
    #[must_use]
    pub fn key(&self, rating_key: &str) -> String {
        [self.key_prefix, rating_key].concat()
    }

    /// Extracts the rating key from a key that a host passes, with or without the prefix.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if the key is invalid or longer than [`LONGEST_KEY`] bytes.
    pub fn rating_key<'k>(&self, key: &'k str) -> Result<&'k str> {
        let rating_key = key.strip_prefix(self.key_prefix).unwrap_or(key);
        let is_allowed = (1..=LONGEST_KEY).contains(&rating_key.len()) && !rating_key.contains(char::is_control);
        if is_allowed && (self.is_rating_key)(rating_key) {
            return Ok(rating_key);
        }
        // The message quotes at most 32 characters of the key, and then an ellipsis.
        let mut shown: String = key.chars().take(32).collect();
        if shown.len() < key.len() {
            shown.push('\u{2026}');
        }
        invalid_argument_error(format!(
            "'{}' is not the key of an item: specify one rating key of at most {LONGEST_KEY} bytes, with or \
                 without the prefix '{}'",
            shown.escape_debug(),
            self.key_prefix
        ))
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Status;
    use crate::model::LONGEST_KEY;
    use crate::source::plex::KIND;

    #[test]
    fn a_key_ends_in_a_rating_key() {
        let longest = "7".repeat(LONGEST_KEY);
        assert_eq!(KIND.rating_key(&longest), Ok(longest.as_str()));
        assert_eq!(KIND.rating_key(&KIND.key(&longest)), Ok(longest.as_str()));
        for longer in [format!("{longest}7"), KIND.key(&"\u{e4}".repeat(20_000))] {
            let error = KIND.rating_key(&longer).expect_err("refused");
            assert_eq!(error.status, Status::InvalidArgument);
            assert!(error.message.contains("\u{2026}' is not the key"), "{error}");
            assert!(error.message.len() < 200, "{error}");
        }
    }

    /// A key becomes a part of a URL, and of a list of keys. Only numbers are keys of a server's items.
    #[test]
    fn a_text_that_is_no_number_is_no_key() {
        for key in ["7", "007", "18446744073709551616"] {
            assert_eq!(KIND.rating_key(key), Ok(key));
            assert_eq!(KIND.rating_key(&KIND.key(key)), Ok(key));
        }
        for no_key in [
            "",
            "-1",
            "a b",
            "a b\n",
            "7\n",
            "7\0",
            "\u{85}",
            "1?x=1",
            "1#x",
            "1&x=1",
            "1%2f",
            "1,2",
            "7/",
            "/7",
            "../7",
            "banana",
            "00ff",
            "5d776830880197001ec90e3a",
            "\u{e4}",
            "\u{664}",
        ] {
            for given in [no_key.to_owned(), KIND.key(no_key)] {
                let error = KIND.rating_key(&given).expect_err(&given);
                assert_eq!(error.status, Status::InvalidArgument);
                assert!(error.message.contains("is not the key"), "{error}");
                assert!(!error.message.contains(char::is_control), "{error}");
            }
        }
    }
}
