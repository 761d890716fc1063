//! What tells that nothing went, without a count of each library.
//!
//! What went leaves nothing. But no number of an item is used twice: so the rows of all libraries, the new ones left out, are
//! as many as before, or some went. To count all rows takes a third of the time that a library's does, and is done once for
//! all of them. A one-time process does neither: this begins with the first delta.

use std::collections::HashMap;

use rusqlite::Connection;

use super::mark::Mark;

/// What was counted, and for which libraries it holds.
#[derive(Debug, Default)]
pub struct Tally {
    at: Option<At>,
    same: HashMap<i64, Same>,
}

/// All rows at one moment.
#[derive(Clone, Debug)]
pub struct At {
    /// The change token of that moment.
    token: String,
    mark: Mark,
    rows: i64,
    /// How many went since the first count.
    gone: i64,
}

/// A library of which the index has what the database has.
#[derive(Debug, PartialEq, Eq)]
struct Same {
    /// When the change token was this.
    token: String,
    /// So many items the index had.
    items: u64,
    /// How many rows had gone.
    gone: i64,
}

impl At {
    /// The first count.
    pub fn first(connection: &Connection, token: &str, mark: Mark) -> rusqlite::Result<Self> {
        Ok(Self {
            token: token.to_owned(),
            mark,
            rows: rows(connection)?,
            gone: 0,
        })
    }

    /// The next one; `None` where it tells nothing, since numbers went back.
    fn next(&self, connection: &Connection, token: &str, mark: Mark) -> rusqlite::Result<Option<Self>> {
        if !mark.follows(&self.mark) {
            return Ok(None);
        }
        let new: i64 = connection.query_row(
            "SELECT count(*) FROM metadata_items WHERE id > ?1",
            [self.mark.items],
            |row| row.get(0),
        )?;
        let rows = rows(connection)?;
        let gone = self.rows + new - rows;
        Ok((gone >= 0).then(|| Self {
            token: token.to_owned(),
            mark,
            rows,
            gone: self.gone + gone,
        }))
    }
}

impl Tally {
    /// Where there is a count: that of now, for [`Tally::came`].
    pub fn count(&self, connection: &Connection, token: &str, mark: Mark) -> rusqlite::Result<Option<At>> {
        match &self.at {
            Some(at) => at.next(connection, token, mark),
            None => Ok(None),
        }
    }

    /// Takes what was counted.
    pub fn came(&mut self, at: Option<At>) {
        self.at = at;
    }

    /// Whether all rows were counted at this change token.
    pub fn is_at(&self, token: &str) -> bool {
        self.at.as_ref().is_some_and(|at| at.token == token)
    }

    /// Whether nothing went from a library between two change tokens, and the index had what the database had at the first.
    pub fn has_lost_none(&self, section: i64, since: &str, items: u64, token: &str, now: &Mark) -> bool {
        self.at.as_ref().is_some_and(|at| {
            let before = Same {
                token: since.to_owned(),
                items,
                gone: at.gone,
            };
            at.token == token && at.mark == *now && self.same.get(&section) == Some(&before)
        })
    }

    /// Notes that the index has what the database has, at a change token that all rows were counted at: with `first`, if they were
    /// not before.
    pub fn is_same(&mut self, section: i64, token: &str, items: u64, first: Option<At>) {
        let at = match &self.at {
            Some(at) if at.token == token => at,
            _ => match first {
                Some(first) => {
                    self.same.clear(); // of another row of counts
                    self.at.insert(first)
                }
                None => return,
            },
        };
        let same = Same {
            token: token.to_owned(),
            items,
            gone: at.gone,
        };
        self.same.insert(section, same);
    }
}

/// How many items there are in all libraries, shows and seasons included: by the smallest index there is.
fn rows(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM metadata_items", [], |row| row.get(0))
}
