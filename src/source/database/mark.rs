//! What tells that the database changed: its counters, and its files' facts. Together they are the change token of each of its
//! libraries.

use rusqlite::Connection;

use super::place::State;

/// How far the database had come at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which file it is: a restored backup is another one, or its counters went back.
    pub file: u64,
    /// The highest number that the server gave to a change of an item.
    pub changed: i64,
    /// The highest number of an item: none is used twice.
    pub items: i64,
    /// The highest number of a part.
    pub parts: i64,
    /// How many items, versions and parts are in the trash. Whether a change of that is counted elsewhere is not known.
    pub trash: [i64; 3],
}

/// What stands between the counters and the facts of the files.
const FACTS: char = '/';
/// Ends the facts where the next write may not show in them.
const UNSETTLED: char = '~';

impl Mark {
    /// The counters as they are now. All by an index, at any size.
    pub fn read(connection: &Connection, state: &State) -> rusqlite::Result<Self> {
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        Ok(Self {
            file: state.file,
            changed: number("SELECT coalesce(max(changed_at), 0) FROM metadata_items")?,
            items: number("SELECT coalesce(max(id), 0) FROM metadata_items")?,
            parts: number("SELECT coalesce(max(id), 0) FROM media_parts")?,
            trash: [
                number("SELECT count(*) FROM metadata_items WHERE deleted_at IS NOT NULL")?,
                number("SELECT count(*) FROM media_items WHERE deleted_at IS NOT NULL")?,
                number("SELECT count(*) FROM media_parts WHERE deleted_at IS NOT NULL")?,
            ],
        })
    }

    /// Whether what changed since `earlier` can be told: it is the same file, and nothing went back.
    pub fn follows(&self, earlier: &Self) -> bool {
        self.file == earlier.file
            && self.changed >= earlier.changed
            && self.items >= earlier.items
            && self.parts >= earlier.parts
    }

    /// The change token of this mark, read when the files were so.
    pub fn token(&self, state: &State) -> String {
        let Self {
            file,
            changed,
            items,
            parts,
            trash: [a, b, c],
        } = self;
        let mut token = format!("{file:x} {changed} {items} {parts} {a} {b} {c}{FACTS}{:x}", state.stamp);
        if !state.is_settled {
            token.push(UNSETTLED);
        }
        token
    }

    /// The mark in a token; `None` for one of another kind of source.
    pub fn of(token: &str) -> Option<Self> {
        let (counters, _) = token.split_once(FACTS)?;
        let mut words = counters.split(' ');
        let file = u64::from_str_radix(words.next()?, 16).ok()?;
        let mut number = || words.next()?.parse().ok();
        Some(Self {
            file,
            changed: number()?,
            items: number()?,
            parts: number()?,
            trash: [number()?, number()?, number()?],
        })
    }
}

/// Whether the files are, as far as their facts tell, as they were when this token was given.
pub fn still_holds(token: &str, state: &State) -> bool {
    token
        .split_once(FACTS)
        .is_some_and(|(_, facts)| !facts.ends_with(UNSETTLED) && facts == format!("{:x}", state.stamp))
}

#[cfg(test)]
mod tests {
    use super::Mark;

    #[test]
    fn a_token_holds_its_mark() {
        let mark = Mark {
            file: u64::MAX,
            changed: 7254,
            items: 202,
            parts: 235,
            trash: [1, 0, 3],
        };
        let state = super::State::for_tests(5, true);
        assert_eq!(Mark::of(&mark.token(&state)), Some(mark));
        assert!(super::still_holds(&mark.token(&state), &state));
        assert!(!super::still_holds(
            &mark.token(&state),
            &super::State::for_tests(6, true)
        ));
        let unsettled = super::State::for_tests(5, false);
        assert!(
            !super::still_holds(&mark.token(&unsettled), &unsettled),
            "the next write may not show"
        );
        for other in ["", "763 1681586700", "1 2 3/4", "x 1 2 3 4 5 6/7"] {
            assert_eq!(Mark::of(other), None, "{other}");
        }
    }
}
