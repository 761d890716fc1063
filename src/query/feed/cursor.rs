//! The string encoding of a reader's position in the feed. Any process can use a cursor later. A cursor contains the view
//! and the library for which the cursor is valid.

use crate::engine::FeedCursor;
use crate::error::{Error, Result, Status, invalid_argument_error};
use crate::model::{LibraryId, ViewId};

/// The first part of a cursor: the version of the encoding.
const VERSION: &str = "c2";
/// The first part of a cursor of a store before format 8.
const OLDER_VERSION: &str = "c1";

impl FeedCursor {
    /// Encodes the cursor as a string that the host keeps between pages: the version, view, library (0 for all), position,
    /// end, newest row with its mark and, in a full listing, the library and its cursor, separated by dots.
    pub fn to_text(self) -> String {
        let Self {
            view_id,
            library,
            position,
            end,
            newest: (id, mark),
            listing,
        } = self;
        let library = library.unwrap_or(LibraryId::ALL);
        let text = format!("{VERSION}.{view_id}.{library}.{position}.{end}.{id}.{mark:x}");
        match listing {
            Some((library, after)) => format!("{text}.{library}.{after}"),
            None => text,
        }
    }

    /// Parses a cursor that the host passed; fails unless [`FeedCursor::to_text`] returned exactly this string, now or
    /// before format 8.
    pub fn from_text(text: &str) -> Result<Self> {
        /// Maximum length of a cursor in bytes, as documented in the C header.
        const MAX_LENGTH: usize = 200;
        /// Maximum number of characters quoted from an invalid cursor.
        const QUOTED: usize = 40;
        // This comparison rejects other spellings of the same numbers, such as leading zeros.
        let exact = |text: &str| parse(text).filter(|cursor| cursor.to_text() == text);
        let is_short = text.len() <= MAX_LENGTH;
        let parsed = is_short.then(|| exact(text).or_else(|| parse_older(text))).flatten();
        let Some(cursor) = parsed else {
            let quoted: String = text.chars().take(QUOTED).collect();
            return invalid_argument_error(format!(
                "'{quoted}' is not a valid cursor: pass a cursor exactly as returned, or omit the cursor to start over"
            ));
        };
        Ok(cursor)
    }

    /// Returns an error if the cursor is from a different view or library. A cursor for all libraries is also valid for
    /// one library. `library` is `None` for all libraries.
    pub fn check(&self, view_id: ViewId, library: Option<LibraryId>) -> Result<()> {
        let list_again = |cause: &str| Err(Error::new(Status::ListAgain, format!("{cause}: list again in full")));
        if self.view_id != view_id {
            return list_again("the cursor belongs to a different server or user, or the store was recreated");
        }
        match (self.library, library) {
            (None, _) => Ok(()),
            (Some(cursor_library), Some(library)) if cursor_library == library => Ok(()),
            (Some(_), Some(_)) => {
                list_again("the cursor belongs to a different library, or the library was removed and added again")
            }
            (Some(_), None) => invalid_argument_error(
                "the cursor belongs to one library: select that library, or omit the cursor to start over",
            ),
        }
    }
}

/// Parses a cursor, but may accept other strings for the same numbers; `None` if the cursor is malformed.
fn parse(text: &str) -> Option<FeedCursor> {
    let mut parts = text.strip_prefix(VERSION)?.strip_prefix('.')?.split('.');
    let mut number = || number(parts.next()?);
    let (view_id, library) = (ViewId(number()?), library(number()?));
    let (position, end, id) = (number()?, number()?, number()?);
    let mark = u64::from_str_radix(parts.next()?, 16).ok()?.cast_signed();
    let listing = match parts.next() {
        Some(library) => Some((LibraryId(self::number(library)?), self::number(parts.next()?)?)),
        None => None,
    };
    parts.next().is_none().then_some(FeedCursor {
        view_id,
        library,
        position,
        end,
        newest: (id, mark),
        listing,
    })
}

/// Parses a cursor of a store before format 8: the version, timeline, view, library, and a position that starts with a
/// change sequence or, in a full listing, with a word. `schema.rs` explains which of these cursors remain valid.
fn parse_older(text: &str) -> Option<FeedCursor> {
    let mut parts = text.strip_prefix(OLDER_VERSION)?.strip_prefix('.')?.split('.');
    let mark = i64::from_str_radix(parts.next()?, 16).ok()?;
    let (view_id, library) = (ViewId(number(parts.next()?)?), library(number(parts.next()?)?));
    let id = number(parts.next()?).unwrap_or(0); // no row has this id, so the reader must list again
    Some(FeedCursor {
        view_id,
        library,
        position: id,
        end: id,
        newest: (id, mark),
        listing: None,
    })
}

/// Parses a number that is not negative.
fn number(part: &str) -> Option<i64> {
    part.parse().ok().filter(|number| *number >= 0)
}

/// Returns the library with this number; `None` for all libraries.
fn library(number: i64) -> Option<LibraryId> {
    Some(LibraryId(number)).filter(|library| *library != LibraryId::ALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(mark: i64) -> FeedCursor {
        FeedCursor {
            view_id: ViewId(7),
            library: None,
            position: 5,
            end: 1 << 40,
            newest: (1 << 41, mark),
            listing: None,
        }
    }

    #[test]
    fn a_cursor_round_trips() {
        for listing in [None, Some((LibraryId(1 << 50), i64::MAX))] {
            for library in [None, Some(LibraryId(9))] {
                for mark in [i64::MIN, -1, 0, i64::MAX] {
                    let cursor = FeedCursor {
                        library,
                        listing,
                        ..cursor(mark)
                    };
                    assert_eq!(FeedCursor::from_text(&cursor.to_text()), Ok(cursor));
                }
            }
        }
    }

    #[test]
    fn other_texts_are_refused_with_their_name() {
        let given = cursor(0x7edc_ba98).to_text();
        let longer = format!("{given}.1");
        let endless = format!("{given}.1.1.1");
        let other = given.replace("c2.", "c3.");
        let [signed, padded] = ["+5", "05"].map(|number| given.replace(".5.", &format!(".{number}.")));
        for text in [
            "",
            "x",
            &given[..given.len() - 9],
            &longer,
            &endless,
            &other,
            &signed,
            &padded,
            &given.to_uppercase().replace('C', "c"),
            "c2.7.0.5.5.5.-1",
            "c1.0.0",
            "c1.0.0.x.5.0.0",
        ] {
            let error = FeedCursor::from_text(text).expect_err(text);
            assert_eq!(error.status, Status::InvalidArgument, "{text}");
            assert!(error.message.contains("not a valid cursor"), "{}", error.message);
        }
    }
}
