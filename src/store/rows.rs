//! Rows as the rest of the crate sees them, and the reads that gather a whole view of the store.

use rusqlite::{Connection, Row, params};

use super::partition::{Endpoint, identity_of};
use super::{Store, Tx};
use crate::error::Result;
use crate::model::{Clocks, Hint, Library, LibraryKind};

/// A library as the store has it.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // columns of a row
pub struct LibraryRow {
    /// The store's own number of it.
    pub id: i64,
    /// As the last probe showed it.
    pub library: Library,
    /// The last probe showed it.
    pub present: bool,
    /// The change sequence of the last probe.
    pub probed_sequence: u64,
    /// The change sequence when its newest complete listing began: tells listings apart.
    pub begun_sequence: u64,
    /// The listing's number; 0: never fetched.
    pub generation: u64,
    /// The change sequence since when that generation answers.
    pub listed_sequence: u64,
    /// Items of that listing.
    pub items: u64,
    /// Clocks before that listing's first page.
    pub listed: Clocks,
    /// When that listing was completed, Unix ms.
    pub listed_ms: i64,
    /// When it was last seen to be current, Unix ms.
    pub checked_ms: i64,
    /// It was made during a scan, or did not agree with itself: it lives shortly.
    pub provisional: bool,
    /// It did not agree with itself.
    pub partial: bool,
    /// Invalidated: a full listing is due now.
    pub due: bool,
    /// A newer listing was so much smaller that a second one has to agree first.
    pub held_back: bool,
    /// The change sequence when it was invalidated last.
    pub due_sequence: u64,
    /// Image of the listing; empty: none yet.
    pub image: String,
    /// Single items that came or went up to this sequence are in it.
    pub image_sequence: u64,
    /// Confirmed matches of other epochs are dead.
    pub epoch: i64,
    /// Living confirmed matches.
    pub match_count: u64,
    /// Image of the confirmed matches; empty: none yet.
    pub matches_image: String,
    /// Changes up to this sequence are in it.
    pub matches_compacted: u64,
    /// What an event said of it, that nobody has looked into yet.
    pub hint: Hint,
}

/// What happened to one library, for those who have read an earlier state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The library's number; 0: all.
    pub library: i64,
    /// What happened.
    pub kind: ChangeKind,
    /// The path concerned; empty for none.
    pub path: Vec<u8>,
    /// The item concerned; empty for none.
    pub rating_key: String,
    /// The change sequence when it happened.
    pub sequence: u64,
}

/// Kinds of change. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub enum ChangeKind {
    /// The host confirmed a match.
    Matched = 1,
    /// A confirmed match is gone.
    Forgotten = 2,
    /// A path is not to be answered before it was confirmed.
    UnverifiedPath = 3,
    /// The same for an item.
    UnverifiedItem = 4,
    /// A request confirmed the path.
    VerifiedPath = 5,
    /// A request confirmed the item.
    VerifiedItem = 6,
    /// Rows of libraries changed: read the state again.
    Library = 7,
    /// A single item is gone from the listing.
    Removed = 8,
    /// A single item came to the listing, or changed.
    Added = 9,
    /// Clocks, counts or hints of libraries changed, and nothing that an answer's item depends on.
    Clocks = 10,
}

impl ChangeKind {
    fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Matched,
            2 => Self::Forgotten,
            3 => Self::UnverifiedPath,
            4 => Self::UnverifiedItem,
            5 => Self::VerifiedPath,
            6 => Self::VerifiedItem,
            8 => Self::Removed,
            9 => Self::Added,
            10 => Self::Clocks,
            // What a newer version wrote: reading everything again is always right.
            _ => Self::Library,
        }
    }
}

/// An invalidated path or item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unverified {
    /// The library's number.
    pub library: i64,
    /// The path; empty when an item is meant.
    pub path: Vec<u8>,
    /// The item; empty when a path is meant.
    pub rating_key: String,
}

/// Everything that a process needs in order to answer, read at one moment.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The change sequence of that moment.
    pub sequence: u64,
    /// The libraries that the last probe showed, in the server's order.
    pub libraries: Vec<LibraryRow>,
    /// Confirmed matches and single items that came or went since their images were made, oldest first.
    pub changes: Vec<Change>,
    /// What is not to be answered.
    pub unverified: Vec<Unverified>,
}

/// Counts over the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests over the store's life.
    pub requests: u64,
    /// Answers over the store's life.
    pub answers: u64,
    /// The change sequence.
    pub sequence: u64,
}

const LIBRARY: &str = "SELECT id, section, uuid, title, kind, locations, present, content_changed_at, scanned_at, \
    updated_at, refreshing, generation, listed_items, listed_ccat, listed_scanned, listed_ms, checked_ms, \
    provisional, due_seq > begun_seq, image, epoch, match_count, matches_image, matches_compacted, due_seq, image_seq, probed_seq, begun_seq, \
    shrunk >= 0, hint, generation_seq \
    FROM libraries";

fn library(row: &Row<'_>) -> rusqlite::Result<LibraryRow> {
    let unsigned = |index| row.get::<_, i64>(index).map(i64::cast_unsigned);
    Ok(LibraryRow {
        id: row.get(0)?,
        library: Library {
            section: row.get(1)?,
            uuid: row.get(2)?,
            title: row.get(3)?,
            kind: kind_from_number(row.get(4)?),
            locations: serde_json::from_str(&row.get::<_, String>(5)?).unwrap_or_default(),
            clocks: Clocks {
                content_changed_at: row.get(7)?,
                scanned_at: row.get(8)?,
                updated_at: row.get(9)?,
                refreshing: row.get(10)?,
            },
        },
        present: row.get(6)?,
        generation: unsigned(11)?,
        items: unsigned(12)?,
        listed: Clocks {
            content_changed_at: row.get(13)?,
            scanned_at: row.get(14)?,
            ..Clocks::default()
        },
        listed_ms: row.get(15)?,
        checked_ms: row.get(16)?,
        provisional: row.get::<_, i64>(17)? != 0,
        partial: row.get::<_, i64>(17)? == 2,
        due: row.get(18)?,
        image: row.get(19)?,
        epoch: row.get(20)?,
        match_count: unsigned(21)?,
        matches_image: row.get(22)?,
        matches_compacted: unsigned(23)?,
        due_sequence: unsigned(24)?,
        image_sequence: unsigned(25)?,
        probed_sequence: unsigned(26)?,
        begun_sequence: unsigned(27)?,
        held_back: row.get(28)?,
        hint: Hint::from_number(row.get(29)?),
        listed_sequence: unsigned(30)?,
    })
}

pub(super) fn kind_from_number(number: i64) -> LibraryKind {
    match number {
        1 => LibraryKind::Movie,
        2 => LibraryKind::Show,
        8 => LibraryKind::Artist,
        13 => LibraryKind::Photo,
        _ => LibraryKind::Other,
    }
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(Change {
        library: row.get(0)?,
        kind: ChangeKind::from_number(row.get(1)?),
        path: row.get(2)?,
        rating_key: row.get(3)?,
        sequence: row.get::<_, i64>(4)?.cast_unsigned(),
    })
}

const CHANGE: &str = "SELECT library, kind, path, rating_key, sequence FROM changes";

pub(super) fn libraries(connection: &Connection, identity: i64) -> rusqlite::Result<Vec<LibraryRow>> {
    connection
        .prepare_cached(&format!(
            "{LIBRARY} WHERE identity = ?1 AND present ORDER BY position, id"
        ))?
        .query_map([identity], library)?
        .collect()
}

pub(super) fn one_library(connection: &Connection, id: i64) -> rusqlite::Result<LibraryRow> {
    connection
        .prepare_cached(&format!("{LIBRARY} WHERE id = ?1"))?
        .query_row([id], library)
}

fn sequence(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT sequence FROM store")?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}

fn state(connection: &Connection, identity: Option<i64>, known: &dyn Fn(&mut LibraryRow)) -> rusqlite::Result<State> {
    let Some(identity) = identity else {
        return Ok(State {
            sequence: sequence(connection)?,
            ..State::default()
        });
    };
    let mut libraries = libraries(connection, identity)?;
    libraries.iter_mut().for_each(known);
    let mut changes = Vec::new();
    for row in &libraries {
        let mut statement = connection.prepare_cached(&format!(
            "{CHANGE} WHERE sequence > min(?1, ?3) AND library = ?2 AND (kind IN (1, 2) AND sequence > ?1 \
             OR kind IN (8, 9) AND sequence > ?3) ORDER BY sequence, n"
        ))?;
        let found = statement.query_map(
            params![
                row.matches_compacted.cast_signed(),
                row.id,
                row.image_sequence.cast_signed()
            ],
            change,
        )?;
        for one in found {
            changes.push(one?);
        }
    }
    let unverified = connection
        .prepare_cached(
            "SELECT s.library, s.path, s.rating_key FROM unverified s JOIN libraries l ON l.id = s.library \
             WHERE l.identity = ?1",
        )?
        .query_map([identity], |row| {
            Ok(Unverified {
                library: row.get(0)?,
                path: row.get(1)?,
                rating_key: row.get(2)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(State {
        sequence: sequence(connection)?,
        libraries,
        changes,
        unverified,
    })
}

impl Store {
    /// Everything that a process needs in order to answer for this identity.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn state(&self, identity: Option<i64>) -> Result<State> {
        self.read(|connection| state(connection, identity, &|_| ()))
    }

    /// The same for the identity that an endpoint leads to, which is given too. Of one moment: otherwise the sequence could
    /// say that the commit shows which made the identity known. `known` may say of a library up to which sequences its
    /// matches and single items are known already.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn state_at(
        &self,
        endpoint: Option<&Endpoint>,
        known: &dyn Fn(&mut LibraryRow),
    ) -> Result<(Option<i64>, State)> {
        let mut losses = 0;
        let read = self.read(|connection| {
            losses = self.losses_now();
            let identity = identity_of(connection, endpoint)?;
            Ok((identity, state(connection, identity, known)?))
        });
        if read.is_ok() {
            self.caught_up_with(losses);
        }
        read
    }

    /// What happened after `since`, oldest first, with the sequence up to which it is told. `None` when so much
    /// happened, or such things, that [`Store::state`] has to be read again. With `patient` unset: `None` at once
    /// when another thread is reading.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn changes(
        &self,
        identity: Option<i64>,
        since: u64,
        patient: bool,
    ) -> Option<Result<(u64, Option<Vec<Change>>)>> {
        let work = |connection: &Connection| {
            let now = sequence(connection)?;
            if now == since {
                return Ok((now, Some(Vec::new())));
            }
            let trimmed: i64 = connection
                .prepare_cached("SELECT trimmed FROM store")?
                .query_row([], |row| row.get(0))?;
            if trimmed.cast_unsigned() > since || now < since {
                return Ok((now, None));
            }
            let found: Vec<Change> = connection
                .prepare_cached(&format!(
                    "{CHANGE} WHERE sequence > ?1 AND (?2 IS NULL OR identity IN (0, ?2)) ORDER BY sequence, n LIMIT 2000"
                ))?
                .query_map(params![since.cast_signed(), identity], change)?
                .collect::<rusqlite::Result<_>>()?;
            let again = found.len() == 2000 || found.iter().any(|one| one.kind == ChangeKind::Library);
            Ok((now, (!again).then_some(found)))
        };
        let read = if patient {
            Some(self.read(work))
        } else {
            self.try_read(work)
        };
        if self.went_back() {
            return read.map(|read| read.map(|(now, _)| (now, None)));
        }
        read
    }

    /// Counts over the whole store.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn totals(&self) -> Result<Totals> {
        self.read(|connection| {
            connection.query_row("SELECT requests, answers, sequence FROM store", [], |row| {
                Ok(Totals {
                    requests: row.get::<_, i64>(0)?.cast_unsigned(),
                    answers: row.get::<_, i64>(1)?.cast_unsigned(),
                    sequence: row.get::<_, i64>(2)?.cast_unsigned(),
                })
            })
        })
    }

    /// How many libraries, items and confirmed matches an identity has now.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn counts(&self, identity: i64) -> Result<[u64; 3]> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(listed_items), 0), coalesce(sum(match_count), 0) FROM libraries \
                     WHERE identity = ?1 AND present",
                )?
                .query_row([identity], |row| {
                    Ok([row.get(0)?, row.get(1)?, row.get(2)?].map(i64::cast_unsigned))
                })
        })
    }

    /// Adds to the counters of the store's life.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn add_totals(&self, requests: u64, answers: u64) -> Result<()> {
        self.write(|tx| {
            tx.connection
                .prepare_cached("UPDATE store SET requests = requests + ?1, answers = answers + ?2")?
                .execute([requests.cast_signed(), answers.cast_signed()])?;
            Ok(())
        })
    }
}

impl Tx<'_> {
    /// Tells other processes what this transaction does.
    pub(super) fn change(&self, identity: i64, change: &Change) -> rusqlite::Result<()> {
        let n = self.changes.get();
        self.changes.set(n + 1);
        self.connection
            .prepare_cached(
                "INSERT INTO changes (sequence, n, identity, library, kind, path, rating_key) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                self.sequence.cast_signed(),
                n,
                identity,
                change.library,
                change.kind as i64,
                change.path,
                change.rating_key,
            ])?;
        Ok(())
    }

    /// Tells other processes that rows of libraries changed: they read everything anew before they answer.
    pub(super) fn libraries_changed(&self, identity: i64) -> rusqlite::Result<()> {
        self.of_libraries(identity, ChangeKind::Library)
    }

    /// Tells other processes that what they know of the libraries' freshness is out of date. Fast lookups go on.
    pub(super) fn clocks_changed(&self, identity: i64) -> rusqlite::Result<()> {
        self.of_libraries(identity, ChangeKind::Clocks)
    }

    fn of_libraries(&self, identity: i64, kind: ChangeKind) -> rusqlite::Result<()> {
        self.change(
            identity,
            &Change {
                library: 0,
                kind,
                path: Vec::new(),
                rating_key: String::new(),
                sequence: self.sequence,
            },
        )
    }
}

/// How often old changes are trimmed, in transactions.
const TRIM_EVERY: u64 = 1_024;
/// Transactions whose changes are kept for those who have read an earlier state.
const KEPT: u64 = 4 * TRIM_EVERY;

/// Keeps the table of changes from growing without bound, whatever is or is not recorded and compacted.
pub(super) fn trim_now_and_then(tx: &Tx<'_>) -> rusqlite::Result<()> {
    if tx.sequence.is_multiple_of(TRIM_EVERY) {
        trim(tx, tx.sequence.saturating_sub(KEPT))?;
    }
    Ok(())
}

/// Forgets changes up to a sequence. What a library's images lack stays: its matches, and single items that came or
/// went. All else is for those who have read an earlier state; they read all of it again.
pub(super) fn trim(tx: &Tx<'_>, upto: u64) -> rusqlite::Result<()> {
    let upto = [upto.cast_signed()];
    tx.connection
        .prepare_cached(
            "DELETE FROM changes WHERE sequence <= ?1 AND NOT EXISTS (SELECT 1 FROM libraries l \
             WHERE l.id = changes.library AND l.identity > 0 \
             AND (changes.kind IN (1, 2) AND changes.sequence > l.matches_compacted \
             OR changes.kind IN (8, 9) AND changes.sequence > l.image_seq))",
        )?
        .execute(upto)?;
    tx.connection
        .prepare_cached("UPDATE store SET trimmed = max(trimmed, ?1)")?
        .execute(upto)?;
    Ok(())
}
