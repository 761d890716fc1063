//! Creates databases, migrates them and connects to them. Also what all statements share: the transaction, the cache of
//! statements, columns, positions of rows, and the limit of waits for the lock.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::FromSql;
use rusqlite::{CachedStatement, Connection, OpenFlags, OptionalExtension, Params, Row};

use crate::engine::common_clock::CommonClock;
use crate::engine::record_rows::RecordTime;
use crate::matching::normal::form_tag;
use crate::model::{Generation, LibraryId, Sequence, TableId, ViewId};
use crate::platform::files::{self, for_sqlite};
use crate::platform::sqlite::file_uri;

/// The format of databases created from this `schema.sql`, which begins by setting it.
pub const SCHEMA_VERSION: i64 = {
    let (_, format) = include_str!("schema.sql").split_at("PRAGMA user_version = ".len());
    match i64::from_str_radix(format.split_at(2).0, 10) {
        Ok(version) => version,
        Err(_) => panic!("schema.sql does not begin with its format"),
    }
};

/// Returns SQLite's journal mode for a store. `wal`: whether the file system supports shared memory, which WAL mode
/// requires.
pub fn journal(wal: bool) -> &'static str {
    if wal { "WAL" } else { "TRUNCATE" }
}

/// Opens a connection to an existing database.
pub fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Use NO_MUTEX, because plexindex guards each connection with its own mutex. Use NOFOLLOW, because the folder may
    // belong to another user.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    configure(Connection::open_with_flags(for_sqlite(path), flags)?)
}

/// Opens a connection to a database that no process changes, without writing a file.
pub fn connect_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    configure(Connection::open_with_flags(
        file_uri(path, "mode=ro&immutable=1"),
        flags,
    )?)
}

fn configure(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(BUSY)?;
    // Query plans must not depend on bound values; otherwise, SQLite would plan some statements again for each run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Tests keep all statements cached until their plans are checked.
    connection.set_prepared_statement_cache_capacity(if cfg!(test) { 10_000 } else { 64 });
    Ok(connection)
}

/// Returns the SQLite error with this code, for a failure that callers must handle as if SQLite had reported it.
pub fn failure(code: std::ffi::c_int) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
}

/// Logs a warning about a file system without shared memory, such as a network file system. Called only when a store is
/// created there or moved there.
pub fn warn_of_network() {
    log::warn!(
        "this file system does not share memory between processes; the store works without a WAL, which is slower"
    );
}

/// Creates a complete database in an empty file that no other process knows, and closes the database. `wal`: whether to
/// use a WAL. Does not sync the file: the caller syncs it once, whereas SQLite would sync it a dozen times.
pub fn create_database(path: &Path, wal: bool) -> rusqlite::Result<()> {
    let to_sqlite_error = |_| failure(rusqlite::ffi::SQLITE_IOERR);
    let store_id = i64::from_le_bytes(files::random_bytes().map_err(to_sqlite_error)?);
    let secret: [u8; 32] = files::random_bytes().map_err(to_sqlite_error)?;
    // Change sequences and library ids start at a random multiple of 2^36, so that data from a database that was
    // renamed to `.broken` matches nothing in the new database. 16 random bits keep ids below 2^53, so that they fit
    // into JSON.
    let first_sequence = i64::from(u32::from_le_bytes(files::random_bytes().map_err(to_sqlite_error)?) >> 16) + 1;
    let first_sequence = first_sequence << 36;

    let connection = connect(path)?;
    connection
        .execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; PRAGMA auto_vacuum = INCREMENTAL;")?;
    let tx = connection.unchecked_transaction()?;
    tx.execute_batch(&schema())?;
    tx.execute(
        "INSERT INTO meta (one, store_id, secret, sequence, form_tag) VALUES (1, ?1, ?2, ?3, ?4)",
        rusqlite::params![store_id, secret, first_sequence, form_tag()],
    )?;
    tx.execute(
        "INSERT INTO sqlite_sequence (name, seq) VALUES ('views', ?1), ('libraries', ?1)",
        [first_sequence],
    )?;
    tx.execute_batch(FIRST_ROWS)?;
    tx.commit()?;
    // Set the mode last, so that the WAL is empty when the database closes. On a full disk, SQLite does not report
    // that it failed to copy the WAL, and the file would get its final name without that data.
    let journal_mode = journal(wal);
    let mode: String = connection.query_row(&format!("PRAGMA journal_mode = {journal_mode}"), [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        warn_of_network();
    }
    connection.close().map_err(|(_, error)| error)
}

/// Adds a row to the tables that always have one.
pub const FIRST_ROWS: &str = "
    INSERT INTO feed (mark, library, rating_key) SELECT random(), 0, '' WHERE NOT EXISTS (SELECT 1 FROM feed);
    INSERT INTO removed (id, number, in_table, name) SELECT 0, 0, 0, x'' WHERE NOT EXISTS (SELECT 1 FROM removed);
";

/// Fails if the database no longer has the current format, because a newer version of plexindex has migrated it since
/// this connection opened it.
pub fn check_version(connection: &Connection) -> rusqlite::Result<()> {
    match connection.value("PRAGMA user_version", [])? {
        SCHEMA_VERSION => Ok(()),
        other => Err(version_error(other)),
    }
}

/// Returns the format of a database.
pub fn version_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Returns the error for a database whose format this version of plexindex does not use.
pub fn version_error(version: i64) -> rusqlite::Error {
    let text = format!(
        "the store has format {version}, and plexindex {} uses format {SCHEMA_VERSION}",
        env!("CARGO_PKG_VERSION")
    );
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_SCHEMA), Some(text))
}

/// Returns the statements of `schema.sql` without comments, because the database stores their text, and SQLite parses
/// the text each time it opens the database.
pub fn schema() -> String {
    let without_comment = |line: &str| line.split("--").next().unwrap_or_default().trim_end().to_owned();
    include_str!("schema.sql")
        .lines()
        .map(|line| without_comment(line) + "\n")
        .collect()
}

/// A day, in ms.
pub const DAY_MS: i64 = 86_400_000;

/// Maximum time that a write waits for another process to finish a write.
pub const BUSY: Duration = Duration::from_secs(10);

/// Methods that run a cached statement in one call.
pub trait CachedStatements {
    /// Returns the cached statement for an SQL text.
    fn cached(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>>;

    /// Runs a statement that returns no rows. Ignores how many rows the statement changes.
    fn run(&self, sql: &str, params: impl Params) -> rusqlite::Result<()> {
        self.cached(sql)?.execute(params).map(|_| ())
    }

    /// Runs a query. Returns whether the query has a result row.
    fn has(&self, sql: &str, params: impl Params) -> rusqlite::Result<bool> {
        self.cached(sql)?.exists(params)
    }

    /// Runs a query. Returns what `read` returns for the first result row. Fails if there are no rows.
    fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.cached(sql)?.query_row(params, read)
    }

    /// Runs a query. Returns what `read` returns for each result row, in order.
    fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.cached(sql)?.query_map(params, read)?.collect()
    }

    /// Runs a query. Returns what `read` returns for the first result row; `None` if there are no rows.
    fn find<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.row(sql, params, read).optional()
    }

    /// Runs a query. Returns the first column of the first result row. Fails if there are no rows.
    fn value<T: FromSql>(&self, sql: &str, params: impl Params) -> rusqlite::Result<T> {
        self.row(sql, params, |row| row.get(0))
    }

    /// Runs a query. Returns the first column of the first result row; `None` if there are no rows.
    fn find_value<T: FromSql>(&self, sql: &str, params: impl Params) -> rusqlite::Result<Option<T>> {
        self.value(sql, params).optional()
    }

    /// Runs a query. Returns the first column of each result row, in order.
    fn values<T: FromSql>(&self, sql: &str, params: impl Params) -> rusqlite::Result<Vec<T>> {
        self.rows(sql, params, |row| row.get(0))
    }
}

impl CachedStatements for Connection {
    fn cached(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.prepare_cached(sql)
    }
}

/// The state of a library, as read in a write transaction.
#[derive(Clone, Copy)]
pub struct LibraryState {
    pub id: LibraryId,
    pub view_id: ViewId,
    pub generation: Generation,
    /// The table of the library's confirmed matches; `None` if no match was recorded.
    pub matches: Option<TableId>,
    /// Whether the view is shared with other hosts.
    pub is_shared: bool,
    /// When all of the library's matches were last taken back.
    pub all_taken_back: RecordTime,
    /// Whether any path's match was taken back by itself.
    pub has_paths_taken_back: bool,
}

/// Data that the next write need not read again, unless another connection has written since.
#[derive(Default)]
pub struct LastWrite {
    /// SQLite's data version, which each commit of any connection changes.
    pub data_version: i32,
    pub sequence: Sequence,
    pub known: WriteState,
}

/// What a write knows.
#[derive(Default)]
pub struct WriteState {
    /// The library for which the write recorded matches; `None` if some of its paths or items may be invalidated.
    pub library: Cell<Option<LibraryState>>,
    /// The total sizes of entries and of matches; `None` if they are not known.
    pub totals: [Cell<Option<i64>>; 2],
    /// What to add to the clock, and a number of this host; `None` if they are not known.
    pub clock: Cell<Option<(i64, i64)>>,
}

/// Number of bits in a position that contain the low bits of the change sequence. All change sequences in a store have
/// the same upper bits. At 100 transactions per second, 36 bits are enough for 21 years.
pub const SEQUENCE_BITS: u32 = 36;
/// Number of bits in a position that contain the row's number within its transaction.
const NUMBER_BITS: u32 = 27;
/// Mask for the row's number within its transaction.
pub const NUMBER_MASK: i64 = (1 << NUMBER_BITS) - 1;

/// Returns a row's position: the low bits of the change sequence, followed by the row's number within the transaction.
///
/// Positions are rowids that only grow, so SQLite appends each row and fills pages completely. With other keys,
/// SQLite would rebalance three pages for every eighth row.
pub fn position_of(sequence: Sequence, number: i64) -> i64 {
    let low_bits = sequence.0 & ((1 << SEQUENCE_BITS) - 1);
    (low_bits << NUMBER_BITS).cast_signed() | number
}

/// Returns the change sequence of a position. `now`: the current change sequence, whose upper bits all have.
pub fn sequence_at(position: i64, now: Sequence) -> Sequence {
    let upper_bits = now.0 >> SEQUENCE_BITS << SEQUENCE_BITS;
    Sequence(upper_bits | position.cast_unsigned() >> NUMBER_BITS)
}

/// Returns the largest possible position for a change sequence. Rows of later transactions have larger positions.
pub fn last_position_of(sequence: Sequence) -> i64 {
    position_of(sequence, NUMBER_MASK) // all bits of the number are set
}

/// A running write transaction.
pub struct Tx<'c> {
    pub connection: &'c Connection,
    pub sequence: Sequence,
    /// Number of rows with a position that this transaction has written.
    pub written: Cell<i64>,
    /// The library that the previous write knew.
    pub last_library: Option<LibraryState>,
    /// What this write knows, and the previous one knew, but for its library.
    pub known: WriteState,
    /// The store's clock, from which the hosts' common time follows.
    pub common_clock: &'c CommonClock,
    /// Whether this transaction has written what other hosts must get.
    pub is_shared: Cell<bool>,
    /// Whether rows were deleted since the last row of this kind was written, which has the total.
    pub is_outdated: [Cell<bool>; 2],
    /// By how much tables have grown since `tables` was last updated.
    pub grown: RefCell<Vec<(TableId, i64)>>,
    /// Number of removals that are not trimmed yet.
    pub removed_now: Cell<i64>,
}

impl Deref for Tx<'_> {
    type Target = Connection;

    /// Returns the connection, so that callers can run statements on the transaction.
    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl<'c> Tx<'c> {
    /// Wraps the transaction that is running on this connection, with its change sequence.
    pub fn new(
        connection: &'c Connection,
        common_clock: &'c CommonClock,
        sequence: Sequence,
        known: WriteState,
    ) -> Self {
        Self {
            connection,
            sequence,
            written: Cell::new(0),
            last_library: known.library.take(),
            known,
            common_clock,
            is_shared: Cell::default(),
            is_outdated: Default::default(),
            grown: RefCell::default(),
            removed_now: Cell::default(),
        }
    }
}

/// Rolls back a transaction that is still running when the guard is dropped, for example after a panic.
pub struct RollbackGuard<'c>(pub &'c Connection);

impl Drop for RollbackGuard<'_> {
    /// Rolls back the transaction. In autocommit mode, no transaction is running.
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

/// Changes a connection's busy timeout until the guard is dropped.
pub struct WaitGuard<'c>(&'c Connection);

impl<'c> WaitGuard<'c> {
    /// Sets a connection's busy timeout, the maximum wait for other processes' locks, to `patience`.
    pub fn new(connection: &'c Connection, patience: Duration) -> rusqlite::Result<Self> {
        connection.busy_timeout(patience)?;
        Ok(Self(connection))
    }
}

impl Drop for WaitGuard<'_> {
    /// Restores the busy timeout to [`BUSY`].
    fn drop(&mut self) {
        let _ = self.0.busy_timeout(BUSY);
    }
}

/// Returns the current change sequence: the highest sequence in the table `meta` and of the rows with a position. A
/// transaction that adds such a row therefore need not update `meta`.
///
/// A position contains only the low 36 bits of its change sequence. The table `meta` supplies the upper bits, which are
/// the same for all sequences in a database.
pub fn sequence_of(connection: &Connection) -> rusqlite::Result<Sequence> {
    connection.value(
        "SELECT max(sequence, (sequence & ~0xFFFFFFFFF) | (max(coalesce((SELECT max(id) FROM matches), 0), \
         coalesce((SELECT max(id) FROM entries), 0), coalesce((SELECT max(id) FROM removed), 0)) >> 27)) FROM meta",
        [],
    )
}
