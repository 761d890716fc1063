//! Confirmed matches: what hosts recorded as true.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use super::changes::{ChangeKind, trim};
use super::columns::Insert;
use super::endpoints::TOKEN;
use super::libraries::LibraryRow;
use super::listings::Listing;
use super::open::{Store, Timeline};
use super::pending::{Filling, PENDING, fold, fold_many, set_folded, size_of};
use super::places::end_in_sql;
use super::tx::{Living, Tx, sequence_of};
use super::unverified::{Invalid, unverified_in};
use crate::error::Result;
use crate::model::{Epoch, IdentityId, ImageName, LibraryId, Sequence};

/// Matches that may answer: of an identity's library, and of its epoch.
const LIVING: &str = "FROM matches m JOIN libraries l ON l.id = m.library AND l.identity > 0 AND l.epoch = m.epoch";

/// Every so many transactions the changes that wait are counted: that reads each of them.
const COUNTED: u64 = 256;
/// As many matches at once go into their table right away, and what waits is counted.
const BATCH: usize = 64;

/// What [`Store::record_matches`] did, and found in the store.
pub struct Recorded {
    /// The timeline and the change sequence of the write.
    pub at: (Timeline, Sequence),
    /// How many changes wait to be compacted; 0 where they were not counted.
    pub waiting: u64,
    /// What is invalidated of the library, as [`Store::unverified`]: some of it may be what was recorded.
    pub unverified: Vec<Invalid>,
}

impl Store {
    /// Stores confirmed matches in one transaction. `None` when the library is not in the store any more: it was cleared,
    /// and has another number by now.
    pub fn record_matches(&self, row: &LibraryRow, pairs: &[(&[u8], &str)]) -> Result<Option<Recorded>> {
        // Before it: the write may go to another database than the one that was read.
        let timeline = self.timeline();
        self.write(|tx| {
            // As it is by now: it may have got another identity and another listing since the caller read it.
            let known = tx.left.filter(|library| library.id == row.id);
            let Some(library) = known.map_or_else(|| tx.expect_library(row.id), Ok).optional()? else {
                return Ok(None);
            };
            let now = tx.sequence;
            let unverified = match known {
                Some(_) => Vec::new(),
                None => unverified_but(tx, &library, pairs)?,
            };
            tx.leaves.set(Some(library).filter(|_| unverified.is_empty()));
            let is_batch = pairs.len() >= BATCH;
            if is_batch {
                fold(tx)?;
                let each = pairs.iter().map(|(path, key)| (*path, *key, now));
                record(tx, &library, each.collect())?;
            } else {
                for (path, key) in pairs {
                    tx.change(library.identity, library.id, ChangeKind::Matched, path, key)?;
                }
            }
            let waiting = if is_batch || now.0.is_multiple_of(COUNTED) {
                waiting(tx, row.id)?
            } else {
                0
            };
            Ok(Some(Recorded {
                at: (timeline, now),
                waiting,
                unverified,
            }))
        })
    }

    /// Hands every living confirmed match of a library to `each`: path, rating key, and the change sequence at which
    /// it was recorded. Gives the change sequence of that moment.
    pub fn for_each_match(&self, library: LibraryId, each: &mut dyn FnMut(&[u8], &str, Sequence)) -> Result<Sequence> {
        self.read(|connection| {
            let mut pending: HashMap<Vec<u8>, (String, Sequence)> = HashMap::new();
            {
                let mut statement = connection.prepare_cached(&format!(
                    "SELECT c.path, c.rating_key, c.sequence {PENDING} AND c.library = ?1 ORDER BY c.id"
                ))?;
                let mut rows = statement.query([library])?;
                while let Some(row) = rows.next()? {
                    pending.insert(row.get(0)?, (row.get(1)?, row.get(2)?));
                }
            }
            let mut statement = connection.prepare_cached(
                "SELECT m.path, m.rating_key, m.sequence FROM matches m JOIN libraries l ON l.id = m.library \
                 WHERE m.library = ?1 AND m.epoch = l.epoch",
            )?;
            let mut rows = statement.query([library])?;
            while let Some(row) = rows.next()? {
                let path = row.get_ref(0)?.as_blob().unwrap_or_default();
                if pending.is_empty() || !pending.contains_key(path) {
                    let key = row.get_ref(1)?.as_str().unwrap_or_default();
                    each(path, key, row.get(2)?);
                }
            }
            for (path, (key, sequence)) in &pending {
                each(path, key, *sequence);
            }
            sequence_of(connection)
        })
    }

    /// Notes a new image of confirmed matches, of this epoch, that holds all changes up to its sequence; and forgets changes
    /// that every library has compacted.
    pub fn compacted(&self, identity: IdentityId, epoch: Epoch, image: &ImageName) -> Result<()> {
        self.write(|tx| {
            let done = tx.connection.execute(
                "UPDATE libraries SET matches_image = ?3, matches_compacted = ?4 \
                 WHERE id = ?1 AND epoch = ?2 AND matches_compacted < ?4",
                params![image.library, epoch, image, image.sequence],
            )?;
            if done == 0 {
                // Invalidated meanwhile, or another process compacted more: changes that this file lacks may be gone already.
                return Ok(());
            }
            trim(tx, image.sequence)?;
            tx.libraries_changed(identity)
        })
    }

    /// Confirmed matches that others recorded for the same library of the same server, under another token, of items
    /// that the listing under way has too: what this token's user may see as well. Those known already are left out. Only
    /// at a URL that led to both: a server at another one may say that it is this server, and list whatever it likes.
    pub fn matches_of_others(&self, identity: IdentityId, listing: &Listing) -> Result<Vec<(Vec<u8>, String)>> {
        self.write(|tx| {
            fold(tx)?;
            tx.connection
                .prepare_cached(
                    "SELECT DISTINCT m.path, m.rating_key FROM libraries own \
                     JOIN identities me ON me.id = ?1 JOIN identities other ON other.server = me.server AND other.id <> me.id \
                     AND NOT me.cleared AND length(me.who) = ?4 AND length(other.who) = ?4 \
                     AND EXISTS (SELECT 1 FROM endpoints mine JOIN endpoints same ON same.url = mine.url \
                     WHERE mine.identity = me.id AND same.identity = other.id) \
                     JOIN libraries theirs ON theirs.identity = other.id AND theirs.uuid = own.uuid \
                     JOIN matches m ON m.library = theirs.id AND m.epoch = theirs.epoch \
                     WHERE own.id = ?2 \
                     AND EXISTS (SELECT 1 FROM items i WHERE i.library = own.id AND i.rating_key = m.rating_key \
                     AND i.born <= ?3 AND (i.died IS NULL OR i.died > ?3)) \
                     AND NOT EXISTS (SELECT 1 FROM matches k WHERE k.library = own.id AND k.path = m.path) \
                     ORDER BY m.sequence",
                )?
                .query_map(
                    params![identity, listing.library, listing.generation, TOKEN],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?
                .collect()
        })
    }

    /// Libraries whose matches were compacted so long ago that `most` changes or more are kept for them, with their
    /// identities.
    pub fn lagging(&self, most: u64) -> Result<Vec<(IdentityId, LibraryId)>> {
        self.read(|connection| {
            connection
                .prepare_cached(concat!(
                    "SELECT identity, id FROM libraries l WHERE identity > 0 AND (match_count > 0 OR EXISTS (SELECT 1 \
                     FROM changes c WHERE c.id > (SELECT ",
                    end_in_sql!("folded"),
                    " FROM store) AND c.kind = 1 AND c.library = l.id)) AND (SELECT count(*) FROM changes WHERE id > ",
                    end_in_sql!("matches_compacted"),
                    ") >= ?1",
                ))?
                .query_map([most.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// Removes the oldest confirmed matches while they take more than `limit` bytes: living ones, for the dead are swept
    /// anyway. Gives how many went.
    pub fn evict_matches(&self, limit: u64) -> Result<u64> {
        self.write(|tx| {
            fold_many(tx, limit)?;
            let taken: i64 = tx.connection.query_row(
                "SELECT coalesce(sum(match_bytes), 0) FROM libraries WHERE identity > 0",
                [],
                |row| row.get(0),
            )?;
            let surplus = taken.cast_unsigned().saturating_sub(limit);
            if surplus == 0 {
                return Ok(0);
            }
            // A tenth more than needed, so that the next write does not evict again.
            let surplus = surplus + limit / 10;
            let oldest: Vec<(LibraryId, Vec<u8>, IdentityId)> = {
                let mut freed = 0;
                let mut oldest = Vec::new();
                let mut statement = tx.connection.prepare_cached(&format!(
                    "SELECT m.library, m.path, m.rating_key, l.identity {LIVING} ORDER BY m.sequence"
                ))?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    if freed >= surplus {
                        break;
                    }
                    let path = row.get_ref(1)?.as_blob().unwrap_or_default();
                    freed += size_of(path, row.get_ref(2)?.as_str().unwrap_or_default()).cast_unsigned();
                    oldest.push((row.get(0)?, path.to_vec(), row.get(3)?));
                }
                oldest
            };
            for (library, path, identity) in &oldest {
                forget(tx, *identity, *library, path)?;
            }
            Ok(oldest.len() as u64)
        })
    }
}

/// What is invalidated of a library, without the paths that are recorded now.
fn unverified_but(tx: &Tx<'_>, library: &Living, pairs: &[(&[u8], &str)]) -> rusqlite::Result<Vec<Invalid>> {
    let unverified = unverified_in(tx.connection, library.id)?;
    if unverified.is_empty() {
        return Ok(unverified);
    }
    for (path, _) in pairs {
        verify(tx, library.id, path, tx.sequence)?;
    }
    unverified_in(tx.connection, library.id)
}

/// What a host recorded at this change sequence ends an invalidation before it.
fn verify(tx: &Tx<'_>, library: LibraryId, path: &[u8], given: Sequence) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached(
            "DELETE FROM unverified WHERE library = ?1 AND path = ?2 AND rating_key = '' AND sequence < ?3",
        )?
        .execute(params![library, path, given])?;
    Ok(())
}

/// Puts confirmed matches into their table, each with the change sequence at which the host gave it, and tells of each. None
/// waits: the caller has folded those that did.
fn record(tx: &Tx<'_>, library: &Living, mut matches: Vec<(&[u8], &str, Sequence)>) -> rusqlite::Result<()> {
    // In the order of the table's tree. Of two of a path the later one stays.
    matches.sort_by_key(|(path, _, _)| *path);
    let mut filling = Filling::new(tx, library.id, library.epoch, matches.len())?;
    let mut told = Insert::new(tx.connection, "INSERT INTO changes");
    for (path, rating_key, given) in matches {
        filling.put(path, rating_key, given)?;
        tx.matched(&mut told, library, path, rating_key)?;
    }
    filling.end()?;
    set_folded(tx, tx.sequence)
}

/// Gives a library what hosts told another one that it stands for from now on: the living matches, unless it has newer
/// ones itself, and what was invalidated.
pub fn hand_over(tx: &Tx<'_>, from: LibraryId, to: LibraryId) -> rusqlite::Result<()> {
    fold(tx)?;
    let given: Vec<(Vec<u8>, String, Sequence)> = tx
        .connection
        .prepare_cached(
            "SELECT m.path, m.rating_key, m.sequence FROM matches m \
             JOIN libraries a ON a.id = m.library AND a.epoch = m.epoch JOIN libraries b ON b.id = ?2 \
             WHERE m.library = ?1 AND NOT EXISTS (SELECT 1 FROM matches k WHERE k.library = b.id AND k.path = m.path \
             AND k.epoch = b.epoch AND k.sequence >= m.sequence)",
        )?
        .query_map([from, to], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let library = tx.expect_library(to)?;
    for (path, _, given) in &given {
        verify(tx, to, path, *given)?;
    }
    let each = given.iter().map(|(path, key, given)| (&path[..], &key[..], *given));
    record(tx, &library, each.collect())?;
    tx.connection.execute(
        "INSERT INTO unverified (library, path, rating_key, sequence) \
         SELECT ?2, path, rating_key, sequence FROM unverified WHERE library = ?1 \
         ON CONFLICT (library, path, rating_key) DO UPDATE SET sequence = max(sequence, excluded.sequence)",
        [from, to],
    )?;
    Ok(())
}

/// Changes of a library that wait to be compacted into its image.
fn waiting(tx: &Tx<'_>, library: LibraryId) -> rusqlite::Result<u64> {
    tx.connection
        .prepare_cached(concat!(
            "SELECT count(*) FROM changes WHERE id > (SELECT ",
            end_in_sql!("matches_compacted"),
            " FROM libraries WHERE id = ?1)",
        ))?
        .query_row([library], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}

/// Removes a match, and tells of it if it was living.
pub fn forget(tx: &Tx<'_>, identity: IdentityId, library: LibraryId, path: &[u8]) -> rusqlite::Result<()> {
    fold(tx)?;
    let c = tx.connection;
    let living: Option<i64> = c
        .prepare_cached(
            "SELECT rating_key FROM matches WHERE library = ?1 AND path = ?2 \
             AND epoch = (SELECT epoch FROM libraries WHERE id = ?1)",
        )?
        .query_row(params![library, path], |row| {
            Ok(size_of(path, row.get_ref(0)?.as_str().unwrap_or_default()))
        })
        .optional()?;
    c.prepare_cached("DELETE FROM matches WHERE library = ?1 AND path = ?2")?
        .execute(params![library, path])?;
    let Some(bytes) = living else {
        return Ok(());
    };
    c.prepare_cached(
        "UPDATE libraries SET match_count = max(match_count - 1, 0), match_bytes = max(match_bytes - ?2, 0) WHERE id = ?1",
    )?
    .execute(params![library, bytes])?;
    tx.change(identity, library, ChangeKind::Forgotten, path, "")
}
