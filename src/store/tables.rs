//! What a host keeps itself: tables of values by name.
//!
//! The rows are their own change log: each carries the change sequence at which it was put or removed. Rows that go for good
//! (a table that was cleared, removals that an image holds) show in `tables`, and then all is read anew.

use rusqlite::{Connection, OptionalExtension, params};

use super::ids::table_image;
use super::open::Store;
use super::tx::{Tx, sequence_of};
use crate::error::Result;
use crate::image::Kept;
use crate::model::{Sequence, TableId, TableImage};

/// Bytes that an entry takes beside its name and value, for the limit.
const ROW: i64 = 64;
/// Entries of other writes that one write removes because they have expired.
const EXPIRED: i64 = 10;
/// Entries of cleared tables that one write removes, beside two for each change that it makes.
const SWEPT: i64 = 200;
/// Writes of which one write removes the entries, because all take more than the limit.
const EVICTED: usize = 10_000;
/// Longer values stay in the database: images and memory hold the shorter ones.
const LONG: i64 = 1000;

/// One change of a table.
#[derive(Clone, Copy, Debug)]
pub enum TableOp<'o> {
    /// Stores a value, in the place of the one of the same name.
    Put {
        /// The table's name.
        table: &'o [u8],
        /// The entry's.
        name: &'o [u8],
        /// What is stored.
        value: &'o [u8],
    },
    /// Removes an entry.
    Remove {
        /// The table's name.
        table: &'o [u8],
        /// The entry's.
        name: &'o [u8],
    },
    /// Removes all entries of a table, in the same time whatever their number.
    Clear {
        /// The table's name.
        table: &'o [u8],
    },
}

/// On which terms values are stored.
#[derive(Clone, Copy, Debug)]
pub struct Put {
    /// From then on they are not given any more, Unix ms; `None`: never.
    pub expires_ms: Option<i64>,
    /// Now, Unix ms.
    pub now_ms: i64,
    /// Bytes that all tables may take.
    pub limit: u64,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRow {
    /// The store's own number of it.
    pub id: TableId,
    /// Its name.
    pub name: Vec<u8>,
    /// Its image; `None`: none yet.
    pub image: Option<TableImage>,
    /// Entries that are stored.
    pub entries: u64,
    /// Writes since the image was made.
    pub loose: u64,
}

/// What was put or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The table's number.
    pub table: TableId,
    /// The entry's name.
    pub name: Vec<u8>,
    /// Its value, unless that is a long one, and its expiry; `None`: it was removed.
    pub state: Option<(Option<Vec<u8>>, Option<i64>)>,
}

/// What is new.
#[derive(Clone, Debug)]
pub struct TableState {
    /// The change sequence of that moment.
    pub sequence: Sequence,
    /// All tables; `None`: they are those that were known, with the same images.
    pub tables: Option<Vec<TableRow>>,
    /// What was written since then, or since the images were made, oldest first.
    pub written: Vec<Written>,
}

impl Store {
    /// Changes tables in one transaction, and removes other entries: some that have expired, and, while all take more than
    /// the limit, those written longest ago. What one call wrote goes together. Gives the tables that wait to be compacted.
    pub fn write_tables(&self, ops: &[TableOp<'_>], terms: &Put) -> Result<Vec<TableRow>> {
        self.write(|tx| {
            let mut known: Option<(&[u8], TableId)> = None;
            for op in ops {
                match *op {
                    TableOp::Put { table, name, value } => {
                        let id = match known {
                            Some((last, id)) if last == table => id,
                            _ => made(tx, table)?,
                        };
                        known = Some((table, id));
                        put(tx, id, name, value, terms.expires_ms)?;
                    }
                    TableOp::Remove { table, name } => {
                        if let Some(id) = number(tx.connection, table)? {
                            remove(tx, id, name)?;
                        }
                    }
                    TableOp::Clear { table } => {
                        known = None;
                        clear(tx, Some(table))?;
                    }
                }
            }
            cull(tx, terms)?;
            sweep(tx, SWEPT + 2 * i64::try_from(ops.len()).unwrap_or(0))?;
            let due = "name IS NOT NULL AND loose >= min(max(1024, entries / 16), 4096)";
            rows(tx.connection, due)
        })
    }

    /// Removes all entries of all tables.
    pub fn clear_tables(&self) -> Result<()> {
        self.write(|tx| clear(tx, None))?;
        while self.write(|tx| sweep(tx, 10 * SWEPT))? {}
        Ok(())
    }

    /// What was written since that change sequence, for a reader that knows so many tables; `None`: everything. The result is
    /// `None` when not `patient` and the call would have to wait.
    pub fn tables_since(&self, since: Option<(Sequence, usize)>, patient: bool) -> Option<Result<TableState>> {
        let work = |connection: &Connection| {
            let sequence = sequence_of(connection)?;
            let since = since.filter(|(since, _)| *since <= sequence);
            if let Some((since, _)) = since
                && since == sequence
            {
                let (tables, written) = (None, Vec::new());
                return Ok(TableState {
                    sequence,
                    tables,
                    written,
                });
            }
            let known = match since {
                None => None,
                Some((since, count)) => connection
                    .prepare_cached("SELECT count(*), coalesce(max(changed), 0) FROM tables WHERE name IS NOT NULL")?
                    .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Sequence>(1)?)))
                    .map(|(now, changed)| (now.cast_unsigned() == count as u64 && changed <= since).then_some(since))?,
            };
            Ok(TableState {
                sequence,
                tables: if known.is_none() {
                    Some(rows(connection, "name IS NOT NULL")?)
                } else {
                    None
                },
                written: match known {
                    Some(since) => written(connection, "?1", since)?,
                    None => written(connection, "max(t.compacted, ?1)", Sequence(0))?,
                },
            })
        };
        if patient {
            Some(self.read(work))
        } else {
            self.read_shortly(work)
        }
    }

    /// Hands a value to `then` when it has at most `room` bytes: a larger one is not read. Gives its length, `None` when
    /// there is none that has not expired by `now_ms`.
    pub fn entry(
        &self,
        table: &[u8],
        name: &[u8],
        now_ms: i64,
        room: usize,
        then: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<usize>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT length(e.value), CASE WHEN length(e.value) <= ?4 THEN e.value END FROM tables t \
                 JOIN entries e ON e.in_table = t.id AND e.name = ?2 \
                 WHERE t.name = ?1 AND e.value IS NOT NULL AND (e.expires_ms IS NULL OR e.expires_ms > ?3)",
            )?;
            let most = i64::try_from(room).unwrap_or(i64::MAX);
            let mut rows = statement.query(params![table, name, now_ms, most])?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            if let Ok(value) = row.get_ref(1)?.as_blob() {
                then(value);
            }
            Ok(Some(usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0)))
        })
    }

    /// The first name behind `after` in the order of their bytes (`None`: the first of all) of an entry that has not expired
    /// by `now_ms`.
    pub fn next_entry(&self, table: &[u8], after: Option<&[u8]>, now_ms: i64) -> Result<Option<Vec<u8>>> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT e.name FROM tables t JOIN entries e ON e.in_table = t.id \
                     WHERE t.name = ?1 AND (?4 OR e.name > ?2) AND e.name >= ?2 AND e.value IS NOT NULL \
                     AND (e.expires_ms IS NULL OR e.expires_ms > ?3) ORDER BY e.name LIMIT 1",
                )?
                .query_row(
                    params![table, after.unwrap_or_default(), now_ms, after.is_none()],
                    |row| row.get(0),
                )
                .optional()
        })
    }

    /// How many entries a table has, or all (`None`), expired ones that are still stored included.
    pub fn count_entries(&self, table: Option<&[u8]>) -> Result<u64> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT coalesce(sum(entries), 0) FROM tables WHERE name IS NOT NULL AND (?1 IS NULL OR name = ?1)",
                )?
                .query_row([table], |row| row.get::<_, i64>(0))
                .map(i64::cast_unsigned)
        })
    }

    /// Gives all entries of a table to `each`, without long values, and then the change sequence at which they are that.
    pub fn for_each_entry(&self, table: TableId, each: &mut dyn FnMut(&[u8], Kept<'_>)) -> Result<Sequence> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name, CASE WHEN length(value) <= ?2 THEN value END, expires_ms FROM entries \
                 WHERE in_table = ?1 AND value IS NOT NULL",
            )?;
            let mut rows = statement.query(params![table, LONG])?;
            while let Some(row) = rows.next()? {
                let (value, expires_ms) = (row.get_ref(1)?.as_blob_or_null()?, row.get(2)?);
                each(row.get_ref(0)?.as_blob()?, Kept { value, expires_ms });
            }
            sequence_of(connection)
        })
    }

    /// Notes a new image of a table. It holds all that was written up to its sequence.
    pub fn table_compacted(&self, image: &TableImage) -> Result<()> {
        self.write(|tx| {
            let c = tx.connection;
            let (table, upto) = (image.table, image.sequence);
            let done = c
                .prepare_cached(
                    "UPDATE tables SET image = ?2, compacted = ?3, changed = ?4, loose = \
                     (SELECT count(*) FROM entries WHERE sequence > ?3 AND in_table = ?1) \
                     WHERE id = ?1 AND compacted <= ?3 AND name IS NOT NULL",
                )?
                .execute(params![table, image, upto, tx.sequence])?;
            if done > 0 {
                c.prepare_cached("DELETE FROM entries WHERE in_table = ?1 AND sequence <= ?2 AND value IS NULL")?
                    .execute(params![table, upto])?;
            }
            Ok(())
        })
    }
}

fn rows(connection: &Connection, which: &str) -> rusqlite::Result<Vec<TableRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT id, name, image, entries, loose FROM tables WHERE {which}"
        ))?
        .query_map([], |row| {
            Ok(TableRow {
                id: row.get(0)?,
                name: row.get(1)?,
                image: table_image(row.get_ref(2)?.as_str()?),
                entries: row.get::<_, i64>(3)?.cast_unsigned(),
                loose: row.get::<_, i64>(4)?.cast_unsigned(),
            })
        })?
        .collect()
}

fn written(connection: &Connection, after: &str, since: Sequence) -> rusqlite::Result<Vec<Written>> {
    connection
        .prepare_cached(&format!(
            "SELECT e.in_table, e.name, e.value IS NULL, CASE WHEN length(e.value) <= ?2 THEN e.value END, e.expires_ms \
             FROM tables t CROSS JOIN entries e ON e.in_table = t.id AND e.sequence > {after} \
             WHERE t.name IS NOT NULL ORDER BY e.sequence"
        ))?
        .query_map(params![since, LONG], |row| {
            Ok(Written {
                table: row.get(0)?,
                name: row.get(1)?,
                state: if row.get(2)? { None } else { Some((row.get(3)?, row.get(4)?)) },
            })
        })?
        .collect()
}

fn number(connection: &Connection, table: &[u8]) -> rusqlite::Result<Option<TableId>> {
    connection
        .prepare_cached("SELECT id FROM tables WHERE name = ?1")?
        .query_row([table], |row| row.get(0))
        .optional()
}

/// The table's number; it is made when it is not there.
fn made(tx: &Tx<'_>, table: &[u8]) -> rusqlite::Result<TableId> {
    if let Some(id) = number(tx.connection, table)? {
        return Ok(id);
    }
    tx.connection
        .prepare_cached("INSERT INTO tables (name, changed, compacted) VALUES (?1, ?2, ?3)")?
        .execute(params![table, tx.sequence, Sequence(tx.sequence.0 - 1)])?;
    Ok(TableId(tx.connection.last_insert_rowid()))
}

/// What an entry takes; `None`: there is none.
fn taken(tx: &Tx<'_>, table: TableId, name: &[u8]) -> rusqlite::Result<Option<i64>> {
    tx.connection
        .prepare_cached(
            "SELECT length(name) + length(value) + ?3 FROM entries WHERE in_table = ?1 AND name = ?2 AND value IS NOT NULL",
        )?
        .query_row(params![table, name, ROW], |row| row.get(0))
        .optional()
}

fn count(tx: &Tx<'_>, table: TableId, entries: i64, bytes: i64) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached(
            "UPDATE tables SET entries = entries + ?2, bytes = bytes + ?3, loose = loose + 1 WHERE id = ?1",
        )?
        .execute(params![table, entries, bytes])
        .map(|_| ())
}

fn put(tx: &Tx<'_>, table: TableId, name: &[u8], value: &[u8], expires_ms: Option<i64>) -> rusqlite::Result<()> {
    let before = taken(tx, table, name)?;
    tx.connection
        .prepare_cached(
            "INSERT INTO entries (in_table, name, expires_ms, sequence, value) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (in_table, name) DO UPDATE SET expires_ms = excluded.expires_ms, sequence = excluded.sequence, \
             value = excluded.value",
        )?
        .execute(params![table, name, expires_ms, tx.sequence, value])?;
    let bytes = i64::try_from(name.len() + value.len()).unwrap_or(i64::MAX - ROW) + ROW;
    count(tx, table, i64::from(before.is_none()), bytes - before.unwrap_or(0))
}

/// Leaves a row without a value, for others to read.
fn remove(tx: &Tx<'_>, table: TableId, name: &[u8]) -> rusqlite::Result<()> {
    let Some(bytes) = taken(tx, table, name)? else {
        return Ok(());
    };
    tx.connection
        .prepare_cached(
            "UPDATE entries SET value = NULL, expires_ms = NULL, sequence = ?3 WHERE in_table = ?1 AND name = ?2",
        )?
        .execute(params![table, name, tx.sequence])?;
    count(tx, table, -1, -bytes)
}

fn clear(tx: &Tx<'_>, table: Option<&[u8]>) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached(
            "UPDATE tables SET name = NULL, image = '' WHERE name IS NOT NULL AND (?1 IS NULL OR name = ?1)",
        )?
        .execute([table])
        .map(|_| ())
}

/// Removes entries of cleared tables, at most so many of each; gives whether there were any.
fn sweep(tx: &Tx<'_>, most: i64) -> rusqlite::Result<bool> {
    let c = tx.connection;
    let cleared: Vec<TableId> = c
        .prepare_cached("SELECT id FROM tables WHERE name IS NULL LIMIT 10")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for id in &cleared {
        let gone = c
            .prepare_cached(
                "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries WHERE in_table = ?1 LIMIT ?2)",
            )?
            .execute(params![id, most])?;
        if gone == 0 {
            c.prepare_cached("DELETE FROM tables WHERE id = ?1")?.execute([id])?;
        }
    }
    Ok(!cleared.is_empty())
}

/// Removes entries that have expired, a few at a time, and the oldest while all take more than the limit. What was written
/// just now stays, however large: it goes when more comes.
fn cull(tx: &Tx<'_>, terms: &Put) -> rusqlite::Result<()> {
    let c = tx.connection;
    let now = tx.sequence;
    let expired: Vec<(TableId, Vec<u8>)> = c
        .prepare_cached(
            "SELECT e.in_table, e.name FROM entries e JOIN tables t ON t.id = e.in_table AND t.name IS NOT NULL \
             WHERE e.expires_ms <= ?1 AND e.sequence <> ?2 ORDER BY e.expires_ms LIMIT ?3",
        )?
        .query_map(params![terms.now_ms, now, EXPIRED], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (table, name) in expired {
        remove(tx, table, &name)?;
    }
    let all: i64 = c
        .prepare_cached("SELECT coalesce(sum(bytes), 0) FROM tables WHERE name IS NOT NULL")?
        .query_row([], |row| row.get(0))?;
    let mut surplus = all.saturating_sub(i64::try_from(terms.limit).unwrap_or(i64::MAX));
    for _ in 0..EVICTED {
        if surplus <= 0 {
            break;
        }
        let oldest: Option<Sequence> = c
            .prepare_cached(
                "SELECT min((SELECT e.sequence FROM entries e WHERE e.in_table = t.id AND e.value IS NOT NULL \
                 ORDER BY e.sequence LIMIT 1)) FROM tables t WHERE t.name IS NOT NULL",
            )?
            .query_row([], |row| row.get(0))?;
        let Some(oldest) = oldest.filter(|sequence| *sequence < now) else {
            break;
        };
        let together: Vec<(TableId, Vec<u8>, i64)> = c
            .prepare_cached(
                "SELECT e.in_table, e.name, length(e.name) + length(e.value) + ?2 FROM tables t \
                 CROSS JOIN entries e ON e.in_table = t.id AND e.sequence = ?1 \
                 WHERE t.name IS NOT NULL AND e.value IS NOT NULL",
            )?
            .query_map(params![oldest, ROW], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (table, name, bytes) in together {
            remove(tx, table, &name)?;
            surplus -= bytes;
        }
    }
    Ok(())
}
