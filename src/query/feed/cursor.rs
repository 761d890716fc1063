//! The string encoding of a reader's position in the feed. Any process can use a cursor later. A cursor contains the
//! timeline, the view and the library for which the cursor is valid.

use crate::engine::{FeedCursor, FeedLogPosition, FeedPosition};
use crate::error::{Error, Result, Status, invalid_argument_error};
use crate::model::{LibraryId, Sequence, ViewId};

/// The first part of a cursor: the version of the encoding.
const VERSION: &str = "c1";
/// Marks a position in a full listing; other positions are in the change log.
const FULL: &str = "full";
/// Marks the change sequence at which the current series of pages ends.
const END: &str = "to";

impl FeedCursor {
    /// Encodes the cursor as a string that the host keeps between pages: the version, timeline, view, library (0 for
    /// all), position and, within a series of pages, the change sequence at which it ends, separated by dots.
    pub fn to_text(self) -> String {
        let Self {
            timeline,
            view_id,
            library,
            position,
            end,
        } = self;
        let library = library.unwrap_or(LibraryId::ALL);
        let prefix = format!("{VERSION}.{timeline:x}.{view_id}.{library}");
        let text = match position {
            FeedPosition::Log(FeedLogPosition {
                sequence,
                change_number,
                next_library,
            }) => format!("{prefix}.{sequence}.{change_number}.{next_library}"),
            FeedPosition::Full {
                log_start,
                library,
                after,
            } => format!("{prefix}.{FULL}.{log_start}.{library}.{after}"),
        };
        match end {
            Some(end) => format!("{text}.{END}.{end}"),
            None => text,
        }
    }

    /// Parses a cursor that the host passed; fails unless [`FeedCursor::to_text`] returned exactly this string.
    pub fn from_text(text: &str) -> Result<Self> {
        /// Maximum length of a cursor in bytes, as documented in the C header.
        const MAX_LENGTH: usize = 200;
        /// Maximum number of characters quoted from an invalid cursor.
        const QUOTED: usize = 40;
        let parsed = (text.len() <= MAX_LENGTH).then(|| parse(text)).flatten();
        // This comparison rejects other spellings of the same numbers, such as leading zeros.
        let Some(cursor) = parsed.filter(|cursor| cursor.to_text() == text) else {
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
    let mut parts = text.split('.');
    if parts.next()? != VERSION {
        return None;
    }
    let timeline = i64::from_str_radix(parts.next()?, 16).ok()?;
    let view_id = ViewId(parts.next()?.parse().ok()?);
    let library = LibraryId(parts.next()?.parse().ok()?);
    let library = (library != LibraryId::ALL).then_some(library);
    let number = |part: &str| part.parse::<i64>().ok().filter(|number| *number >= 0);
    let full_or_sequence = parts.next()?;
    let mut next_number = || parts.next().and_then(number);
    let position = if full_or_sequence == FULL {
        FeedPosition::Full {
            log_start: Sequence(next_number()?.cast_unsigned()),
            library: LibraryId(next_number()?),
            after: next_number()?,
        }
    } else {
        FeedPosition::Log(FeedLogPosition {
            sequence: Sequence(number(full_or_sequence).filter(|number| *number > 0)?.cast_unsigned()),
            change_number: next_number()?,
            next_library: next_number()?,
        })
    };
    let end = match parts.next() {
        Some(END) => Some(Sequence(number(parts.next()?)?.cast_unsigned())),
        Some(_) => return None,
        None => None,
    };
    parts.next().is_none().then_some(FeedCursor {
        timeline,
        view_id,
        library,
        position,
        end,
    })
}

#[cfg(test)]
#[path = "cursor_tests.rs"]
mod tests;
