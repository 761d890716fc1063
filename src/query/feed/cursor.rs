//! A reader's position in the feed, as text that any process can use later. The text has the store's timeline, the view
//! and the library, and is valid only for these.

use crate::engine::{FeedPlace, FeedPosition};
use crate::error::{Error, Result, Status, refuse};
use crate::model::{IdentityId, LibraryId, Sequence};

/// The first part of a cursor. Other versions of plexindex may use a different text.
const VERSION: &str = "c1";
/// Marks a position in a full listing, instead of a position in the log.
const FULL: &str = "full";
/// Prefix of the change sequence at which an iteration over pages ends.
const END: &str = "to";

/// A reader's position in the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedCursor {
    /// A random number of the store's change log. A recreated store has a different number.
    pub timeline: i64,
    pub identity: IdentityId,
    /// `None`: all libraries.
    pub library: Option<LibraryId>,
    pub position: FeedPosition,
    /// The change sequence at which the iteration over pages ends: the newest sequence when the iteration began. `None`
    /// between iterations.
    pub end: Option<Sequence>,
}

impl FeedCursor {
    /// Formats the cursor for [`FeedCursor::from_text`].
    pub fn to_text(self) -> String {
        let Self {
            timeline,
            identity,
            library,
            position,
            end,
        } = self;
        let library = library.unwrap_or(LibraryId::ALL);
        let prefix = format!("{VERSION}.{timeline:x}.{identity}.{library}");
        let text = match position {
            FeedPosition::Log(FeedPlace { sequence, n, reported }) => format!("{prefix}.{sequence}.{n}.{reported}"),
            FeedPosition::Full { then, library, after } => format!("{prefix}.{FULL}.{then}.{library}.{after}"),
        };
        match end {
            Some(end) => format!("{text}.{END}.{end}"),
            None => text,
        }
    }

    /// Parses the text of a cursor.
    pub fn from_text(text: &str) -> Result<Self> {
        /// The C header promises that a cursor has at most 200 bytes.
        const MAX_LENGTH: usize = 200;
        /// Number of characters of an invalid text to quote.
        const QUOTED: usize = 40;
        let parsed = (text.len() <= MAX_LENGTH).then(|| parse(text)).flatten();
        // Rejects other spellings of the same numbers, such as leading zeros.
        let Some(cursor) = parsed.filter(|cursor| cursor.to_text() == text) else {
            let quoted: String = text.chars().take(QUOTED).collect();
            return refuse(format!(
                "'{quoted}' is not a cursor of the feed: pass a cursor exactly as it was returned, or none to begin"
            ));
        };
        Ok(cursor)
    }

    /// Returns an error if the cursor belongs to a different view or library than these.
    pub fn check(&self, identity: IdentityId, library: Option<LibraryId>) -> Result<()> {
        let list_again = |cause: &str| Err(Error::new(Status::ListAgain, format!("{cause}: list again in full")));
        if self.identity != identity {
            return list_again("the cursor belongs to another server or user, or the store was recreated");
        }
        match (self.library, library) {
            (None, _) => Ok(()),
            (Some(cursor_library), Some(library)) if cursor_library == library => Ok(()),
            (Some(_), Some(_)) => {
                list_again("the cursor belongs to another library, or the library was removed and added")
            }
            (Some(_), None) => {
                refuse("the cursor belongs to one library: name that library, or begin without a cursor")
            }
        }
    }
}

/// Parses the text of a cursor; `None` if it is malformed.
fn parse(text: &str) -> Option<FeedCursor> {
    let mut parts = text.split('.');
    if parts.next()? != VERSION {
        return None;
    }
    let timeline = i64::from_str_radix(parts.next()?, 16).ok()?;
    let identity = IdentityId(parts.next()?.parse().ok()?);
    let library = LibraryId(parts.next()?.parse().ok()?);
    let library = (library != LibraryId::ALL).then_some(library);
    let number = |part: &str| part.parse::<i64>().ok().filter(|number| *number >= 0);
    let full_or_sequence = parts.next()?;
    let mut next_number = || parts.next().and_then(number);
    let position = if full_or_sequence == FULL {
        FeedPosition::Full {
            then: Sequence(next_number()?.cast_unsigned()),
            library: LibraryId(next_number()?),
            after: next_number()?,
        }
    } else {
        FeedPosition::Log(FeedPlace {
            sequence: Sequence(number(full_or_sequence).filter(|number| *number > 0)?.cast_unsigned()),
            n: next_number()?,
            reported: next_number()?,
        })
    };
    let end = match parts.next() {
        Some(END) => Some(Sequence(number(parts.next()?)?.cast_unsigned())),
        Some(_) => return None,
        None => None,
    };
    parts.next().is_none().then_some(FeedCursor {
        timeline,
        identity,
        library,
        position,
        end,
    })
}

#[cfg(test)]
#[path = "cursor_tests.rs"]
mod tests;
