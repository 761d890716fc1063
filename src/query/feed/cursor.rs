//! Where a reader of the feed is, as a text that outlives processes. It names the line of the store, the identity and the library that
//! it is of, and is refused elsewhere.

use crate::engine::{FeedPlace, FeedPosition};
use crate::error::{Error, Result, Status, refuse};
use crate::model::{Generation, IdentityId, LibraryId, Sequence};

/// The first part of a cursor: another version is of another plexindex.
const VERSION: &str = "c1";
/// What a cursor of a full listing has in the place of the log's.
const FULL: &str = "full";
/// What stands before the end of an iteration.
const END: &str = "to";

/// A reader of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedCursor {
    pub line: i64,
    pub identity: IdentityId,
    /// `None`: all libraries.
    pub library: Option<LibraryId>,
    pub position: FeedPosition,
    /// Within an iteration: what was committed when that began, and where it ends.
    pub end: Option<Sequence>,
}

impl FeedCursor {
    pub fn to_text(self) -> String {
        let Self {
            line,
            identity,
            library,
            position,
            end,
        } = self;
        let library = library.unwrap_or(LibraryId::ALL);
        let head = format!("{VERSION}.{line:x}.{identity}.{library}");
        let text = match position {
            FeedPosition::Log(FeedPlace { sequence, n, told }) => format!("{head}.{sequence}.{n}.{told}"),
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
        // A number has several spellings, a cursor only one.
        let Some(cursor) = parse(text).filter(|cursor| cursor.to_text() == text) else {
            let shown: String = text.chars().take(40).collect();
            return refuse(format!(
                "'{shown}' is no cursor of the feed: give one as it was given, or none to begin"
            ));
        };
        Ok(cursor)
    }

    /// Refuses a cursor of another identity, of this store or of another, and of another library.
    pub fn check(&self, identity: IdentityId, library: Option<LibraryId>) -> Result<()> {
        let again = |what: &str| {
            Err(Error::new(
                Status::ListAgain,
                format!("the cursor is of another {what}: list again, in full"),
            ))
        };
        if self.identity != identity {
            return again("store, server or user, or the store was made anew");
        }
        match (self.library, library) {
            (None, _) => Ok(()),
            (Some(of), Some(library)) if of == library => Ok(()),
            (Some(_), Some(_)) => again("library, or this one was forgotten and came back"),
            (Some(_), None) => refuse("the cursor is of one library: name that library, or begin without a cursor"),
        }
    }
}

fn parse(text: &str) -> Option<FeedCursor> {
    let mut parts = text.split('.');
    if parts.next()? != VERSION {
        return None;
    }
    let line = i64::from_str_radix(parts.next()?, 16).ok()?;
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
            told: next()?,
        })
    };
    let end = match parts.next() {
        Some(END) => Some(Sequence(number(parts.next()?)?.cast_unsigned())),
        Some(_) => return None,
        None => None,
    };
    parts.next().is_none().then_some(FeedCursor {
        line,
        identity,
        library,
        position,
        end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(position: FeedPosition) -> FeedCursor {
        FeedCursor {
            line: 0x7edc_ba98_7654_3210,
            identity: IdentityId(7),
            library: None,
            position,
            end: None,
        }
    }

    #[test]
    fn is_read_as_it_was_written() {
        let log = FeedPosition::Log(FeedPlace {
            sequence: Sequence(1 << 40),
            n: 3,
            told: 99,
        });
        let full = FeedPosition::Full {
            then: Sequence(5),
            library: LibraryId(1 << 50),
            generation: Generation(2),
            after: 1000,
        };
        for position in [log, full] {
            for library in [None, Some(LibraryId(9))] {
                for end in [None, Some(Sequence(1 << 41))] {
                    let cursor = FeedCursor {
                        library,
                        end,
                        ..cursor(position)
                    };
                    assert_eq!(FeedCursor::from_text(&cursor.to_text()), Ok(cursor));
                }
            }
        }
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let given = cursor(FeedPosition::Log(FeedPlace {
            sequence: Sequence(5),
            n: 0,
            told: 0,
        }))
        .to_text();
        let longer = format!("{given}.1");
        let endless = format!("{given}.to");
        let other = given.replace("c1.", "c2.");
        let [signed, padded] = ["+5", "05"].map(|number| given.replace(".5.", &format!(".{number}.")));
        for text in [
            "",
            "x",
            &given[..given.len() - 2],
            &longer,
            &endless,
            &other,
            &signed,
            &padded,
            &given.to_uppercase().replace('C', "c"),
            "c1.0.0.0.-5.0.0",
            "c1.0.0.0.full.1.1",
        ] {
            let error = FeedCursor::from_text(text).expect_err(text);
            assert_eq!(error.status, Status::InvalidArgument, "{text}");
            assert!(error.message.contains("no cursor of the feed"), "{}", error.message);
        }
    }
}
