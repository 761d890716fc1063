//! A reader's position in the feed, as text that any process can use later. It names its timeline, view and library,
//! and is refused for any other.

use crate::engine::{FeedPlace, FeedPosition};
use crate::error::{Error, Result, Status, refuse};
use crate::model::{Generation, IdentityId, LibraryId, Sequence};

/// The first part of a cursor. Other versions of plexindex may use another one.
const VERSION: &str = "c1";
/// Marks a position in a full listing, instead of one in the log.
const FULL: &str = "full";
/// Prefix of the change sequence at which an iteration over pages ends.
const END: &str = "to";

/// A reader of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedCursor {
    pub timeline: i64,
    pub identity: IdentityId,
    /// `None`: all libraries.
    pub library: Option<LibraryId>,
    pub position: FeedPosition,
    /// The change sequence at which the iteration over pages ends: the newest one when it began. `None` between
    /// iterations.
    pub end: Option<Sequence>,
}

impl FeedCursor {
    pub fn to_text(self) -> String {
        let Self {
            timeline,
            identity,
            library,
            position,
            end,
        } = self;
        let library = library.unwrap_or(LibraryId::ALL);
        let head = format!("{VERSION}.{timeline:x}.{identity}.{library}");
        let text = match position {
            FeedPosition::Log(FeedPlace { sequence, n, reported }) => format!("{head}.{sequence}.{n}.{reported}"),
            FeedPosition::Full {
                then,
                library,
                generation,
                after,
            } => format!("{head}.{FULL}.{then}.{library}.{generation}.{after}"),
        };
        match end {
            Some(end) => format!("{text}.{END}.{end}"),
            None => text,
        }
    }

    pub fn from_text(text: &str) -> Result<Self> {
        // The same number can be written in several ways, but a cursor in one only.
        /// The header promises callers at most 200 bytes.
        const LONGEST: usize = 200;
        let parsed = (text.len() <= LONGEST).then(|| parse(text)).flatten();
        let Some(cursor) = parsed.filter(|cursor| cursor.to_text() == text) else {
            let shown: String = text.chars().take(40).collect();
            return refuse(format!(
                "'{shown}' is not a cursor of the feed: give one exactly as it was returned, or none to begin"
            ));
        };
        Ok(cursor)
    }

    /// Returns an error for a cursor of another identity, store or library.
    pub fn check(&self, identity: IdentityId, library: Option<LibraryId>) -> Result<()> {
        let list_again = |what: &str| {
            Err(Error::new(
                Status::ListAgain,
                format!("the cursor is of another {what}: list again in full"),
            ))
        };
        if self.identity != identity {
            return list_again("store, server or user, or the store was recreated");
        }
        match (self.library, library) {
            (None, _) => Ok(()),
            (Some(own), Some(library)) if own == library => Ok(()),
            (Some(_), Some(_)) => list_again("library, or this one was forgotten and came back"),
            (Some(_), None) => refuse("the cursor is of one library: name that library, or begin without a cursor"),
        }
    }
}

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
    let first = parts.next()?;
    let mut next = || parts.next().and_then(number);
    let position = if first == FULL {
        FeedPosition::Full {
            then: Sequence(next()?.cast_unsigned()),
            library: LibraryId(next()?),
            generation: Generation(next()?),
            after: next()?,
        }
    } else {
        FeedPosition::Log(FeedPlace {
            sequence: Sequence(first.parse::<i64>().ok().filter(|number| *number > 0)?.cast_unsigned()),
            n: next()?,
            reported: next()?,
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
