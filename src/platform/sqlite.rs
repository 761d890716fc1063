//! What plexindex needs of SQLite's C interface: it syncs the write-ahead log, and reads another program's database
//! without side effects.
//!
//! A VFS prevents three default behaviours of a read-only connection. (1) SQLite creates an empty `-wal` file if it
//! is missing, for example because the other program has just closed the database and removed the log. The VFS opens
//! only existing logs. (2) SQLite briefly acquires the write lock if a commit is about to finish. If the other
//! program then started to write in a read transaction, its statement would fail. The VFS refuses the write lock. (3)
//! As root, SQLite changes the owner of `-shm` to the database's owner. The VFS suppresses this change.
//!
//! A damaged file must not block its reader, so a [`StatementLimit`] interrupts statements, and SQLite's pauses
//! between retries.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::{NonNull, null, null_mut};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use once_cell::race::OnceBox;
use rusqlite::ffi::{
    Error, SQLITE_BUSY, SQLITE_CANTOPEN, SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_INTERRUPT, SQLITE_IOERR_LOCK,
    SQLITE_IOERR_READ, SQLITE_IOERR_SHMLOCK, SQLITE_IOERR_SHMMAP, SQLITE_OK, SQLITE_OPEN_CREATE, SQLITE_OPEN_MAIN_DB,
    SQLITE_OPEN_WAL, SQLITE_READONLY_RECOVERY, SQLITE_SHM_LOCK, SQLITE_SYNC_FULL, sqlite3_file, sqlite3_file_control,
    sqlite3_int64, sqlite3_io_methods, sqlite3_progress_handler, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
    sqlite3_vfs_unregister,
};
use rusqlite::{Connection, OpenFlags};

use super::clock::Deadline;
use super::{files, system};

/// Index of SQLite's write lock in `-shm`.
const WRITE_LOCK: c_int = 0;
/// Number of refusals of the write lock (about 15 ms in total) after which a statement fails.
const MAX_REFUSALS: u32 = 20;
/// Maximum total time for which SQLite pauses between retries. Other programs hold the locks only for microseconds, so
/// a longer pause means that a lock is stuck.
const LONGEST_PAUSES: Duration = Duration::from_secs(1);
/// Length of the intervals into which a pause is divided.
const PAUSE_STEP: Duration = Duration::from_millis(2);
/// Number of SQLite virtual machine instructions (about 20 µs) between checks of the limit.
const INSTRUCTIONS: c_int = 1_000;

/// Interrupts this thread's statements on foreign databases when a deadline passes, when the caller's condition is
/// true, or when SQLite has paused for too long.
pub struct StatementLimit<'l> {
    deadline: Deadline,
    is_over: &'l dyn Fn() -> bool,
    paused: Cell<Duration>,
    was_hit: Cell<bool>,
}

thread_local! {
    /// The limit for this thread's statements.
    static LIMIT: Cell<Option<NonNull<StatementLimit<'static>>>> = const { Cell::new(None) };
}

impl<'l> StatementLimit<'l> {
    /// Creates a limit that is reached at the deadline, or when `is_over` returns `true`. SQLite calls
    /// `is_over` about every 20 µs, so it must be cheap.
    #[must_use]
    pub fn new(deadline: Deadline, is_over: &'l dyn Fn() -> bool) -> Self {
        Self {
            deadline,
            is_over,
            paused: Cell::default(),
            was_hit: Cell::default(),
        }
    }

    /// Runs `work`, and interrupts its statements on foreign databases when the limit is reached.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Restored(Option<NonNull<StatementLimit<'static>>>);
        impl Drop for Restored {
            /// Restores the thread's previous limit, even after a panic.
            fn drop(&mut self) {
                LIMIT.set(self.0);
            }
        }
        let _restored = Restored(LIMIT.replace(Some(NonNull::from(self).cast())));
        work()
    }

    /// Returns whether the limit was reached.
    #[must_use]
    pub fn was_reached(&self) -> bool {
        self.was_hit.get()
    }

    /// Returns whether SQLite paused for too long.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.paused.get() >= LONGEST_PAUSES
    }

    /// Returns whether statements must stop. A limit that has been reached stays reached.
    fn is_reached(&self) -> bool {
        let is_reached = self.was_reached() || self.is_stuck() || self.deadline.has_passed() || (self.is_over)();
        self.was_hit.set(is_reached);
        is_reached
    }
}

/// Calls `ask` with this thread's limit, and returns the result; `None` if the thread has no limit.
fn with_limit<T>(ask: impl FnOnce(&StatementLimit<'static>) -> T) -> Option<T> {
    // SAFETY: `StatementLimit::run` keeps the limit alive while this thread's `LIMIT` points to it.
    LIMIT.get().map(|limit| ask(unsafe { limit.as_ref() }))
}

/// Returns whether this thread has a limit that has been reached.
fn is_over() -> bool {
    with_limit(StatementLimit::is_reached).unwrap_or(false)
}

/// A VFS for reading foreign databases. The VFS is registered under a unique name, and unregistered when dropped, so
/// that the library can be unloaded.
pub struct ReadOnlyWalVfs {
    name: CString,
    vfs: Box<Vfs>,
}

/// SQLite's struct for the VFS, followed by our data. The struct comes first, since SQLite passes a pointer to it.
#[repr(C)]
struct Vfs {
    ours: sqlite3_vfs,
    real: *mut sqlite3_vfs,
    /// The methods for databases, and the methods for logs.
    methods: [OnceBox<Methods>; 2],
    /// Number of refusals of the write lock since the last database was opened. Only one database is open at a time.
    refused: AtomicU32,
}

/// An open file's methods. SQLite's struct comes first, since SQLite passes a pointer to it.
#[repr(C)]
struct Methods {
    ours: sqlite3_io_methods,
    real: *const sqlite3_io_methods,
    vfs: *const Vfs,
}

// SAFETY: the methods are only read, and their pointers are valid as long as the VFS or the process exists.
unsafe impl Send for Methods {}
// SAFETY: as above.
unsafe impl Sync for Methods {}

// SAFETY: once registered, the VFS is only read, by SQLite on any thread.
unsafe impl Send for ReadOnlyWalVfs {}
// SAFETY: as above.
unsafe impl Sync for ReadOnlyWalVfs {}

impl ReadOnlyWalVfs {
    /// Registers a VFS for reading foreign databases; `None` if SQLite has no default VFS or cannot allocate memory.
    #[must_use]
    pub fn new() -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // As root, SQLite would change the owner of a foreign `-shm`.
        system::suppress_chown_while(|| OPENING_SHM.get());
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("plexindex-makes-no-log-{number}")).ok()?;
        // SAFETY: the default VFS lives as long as the process. A copy works on the same files, since the methods use
        // only the struct's `pAppData`, which is the same in the copy.
        let vfs = unsafe {
            let real = sqlite3_vfs_find(std::ptr::null());
            let mut ours = *real.as_ref()?;
            ours.zName = name.as_ptr();
            ours.pNext = std::ptr::null_mut();
            ours.xOpen = Some(open_file);
            ours.xSleep = Some(pause);
            Box::into_raw(Box::new(Vfs {
                ours,
                real,
                methods: Default::default(),
                refused: AtomicU32::new(0),
            }))
        };
        // SAFETY: the VFS was just created, and is not moved before `drop`, which first removes it from SQLite's list.
        unsafe {
            let registered = sqlite3_vfs_register(&raw mut (*vfs).ours, 0) == SQLITE_OK;
            let vfs = Box::from_raw(vfs);
            registered.then_some(Self { name, vfs })
        }
    }

    /// Opens a database for reading by one thread. Connections must not outlive this VFS.
    ///
    /// # Errors
    /// SQLite errors.
    pub fn open(&self, uri: &str) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags_and_vfs(uri, flags, self.name())?;
        // SAFETY: the connection is open, and the function stays loaded as long as SQLite's code.
        unsafe { sqlite3_progress_handler(connection.handle(), INSTRUCTIONS, Some(progress), std::ptr::null_mut()) };
        Ok(connection)
    }

    /// Returns the name under which the VFS is registered.
    fn name(&self) -> &CStr {
        &self.name
    }
}

impl Drop for ReadOnlyWalVfs {
    /// Unregisters the VFS, so that a host can unload the library.
    fn drop(&mut self) {
        // SAFETY: the VFS is registered, and no connection uses it any longer.
        unsafe {
            sqlite3_vfs_unregister(&raw mut self.vfs.ours);
        }
    }
}

impl std::fmt::Debug for ReadOnlyWalVfs {
    /// Shows the VFS's name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.name.fmt(f)
    }
}

/// Returns the path as a URI for SQLite, with `parameters` as the URI's query string.
#[must_use]
pub fn file_uri(file: &Path, parameters: &str) -> String {
    use std::fmt::Write as _;
    let mut uri = String::from("file:");
    for byte in files::bytes_of(file) {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(*byte)),
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri + "?" + parameters
}

/// Opens a file, but never creates a log. Databases and logs get our methods, which refuse the write lock.
unsafe extern "C" fn open_file(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let is_log = flags & SQLITE_OPEN_WAL != 0;
    // Without the CREATE flag, SQLite creates no log. With the WAL flag, SQLite as root would change the log's owner,
    // and therefore its times.
    let removed_flags = if is_log {
        SQLITE_OPEN_CREATE | SQLITE_OPEN_WAL
    } else {
        0
    };
    // SAFETY: SQLite passes the registered VFS, which is the first field of a `Vfs`. The call is forwarded to the real
    // VFS, so an opened file has the real VFS's methods. Our copy of these methods lives as long as our VFS, and
    // therefore longer than the file.
    unsafe {
        let ours = vfs.cast::<Vfs>();
        let real = (*ours).real;
        let Some(open) = (*real).xOpen else {
            return SQLITE_CANTOPEN;
        };
        let done = open(real, name, file, flags & !removed_flags, out);
        let is_database = flags & SQLITE_OPEN_MAIN_DB != 0;
        if done != SQLITE_OK || !(is_database || is_log) {
            return done;
        }
        if is_database {
            (*ours).refused.store(0, Ordering::Relaxed); // refusals for an earlier connection must not count
        }
        let real = (*file).pMethods;
        // Index 0 has the methods for databases, index 1 those for logs.
        let methods = (*ours).methods[usize::from(is_log)].get_or_init(|| {
            Box::new(Methods {
                ours: sqlite3_io_methods {
                    xRead: if is_log { Some(read_log) } else { (*real).xRead },
                    xLock: Some(lock_file),
                    xShmLock: Some(lock_shm),
                    xShmMap: Some(map_shm),
                    ..*real
                },
                real,
                vfs: ours,
            })
        });
        // Our methods call the real methods of the first opened file. A file with other real methods keeps them, since
        // our methods would call the wrong methods for this file.
        if std::ptr::eq(methods.real, real) {
            (*file).pMethods = &raw const methods.ours;
        }
    }
    SQLITE_OK
}

/// SQLite's progress handler: returns a value other than 0 if SQLite must interrupt the running statement, because the
/// thread's limit is reached.
unsafe extern "C" fn progress(_: *mut c_void) -> c_int {
    c_int::from(is_over())
}

/// Sleeps for `microseconds` between two attempts to acquire a lock. Stops when the limit is reached, after which the
/// next attempt fails. Returns `microseconds`.
unsafe extern "C" fn pause(_: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    let wanted = Duration::from_micros(u64::try_from(microseconds).unwrap_or(0));
    let begun = Instant::now();
    while begun.elapsed() < wanted && !is_over() {
        std::thread::sleep(PAUSE_STEP.min(wanted.saturating_sub(begun.elapsed())));
    }
    with_limit(|limit| limit.paused.set(limit.paused.get() + begun.elapsed()));
    microseconds
}

/// Returns the methods of a file that [`open_file`] opened.
///
/// # Safety
/// The file must have our methods, like all files that SQLite passes to the functions below.
unsafe fn methods_of<'f>(file: *mut sqlite3_file) -> &'f Methods {
    // SAFETY: the file's methods are the first field of a `Methods`, which lives longer than the file.
    unsafe { &*(*file).pMethods.cast::<Methods>() }
}

/// Reads from a log, but fails if the limit is reached: if the server was killed, SQLite reads the whole log, which can
/// be long.
unsafe extern "C" fn read_log(file: *mut sqlite3_file, to: *mut c_void, length: c_int, from: sqlite3_int64) -> c_int {
    if is_over() {
        return SQLITE_INTERRUPT;
    }
    // SAFETY: see `methods_of`. The call is forwarded unchanged.
    unsafe {
        let real = methods_of(file).real;
        (*real)
            .xRead
            .map_or(SQLITE_IOERR_READ, |read| read(file, to, length, from))
    }
}

/// Locks the database. Fails if the limit is reached, so that SQLite does not retry.
unsafe extern "C" fn lock_file(file: *mut sqlite3_file, level: c_int) -> c_int {
    if is_over() {
        return SQLITE_INTERRUPT;
    }
    // SAFETY: SQLite passes a file that has our methods. The call is forwarded unchanged.
    unsafe {
        let real = methods_of(file).real;
        (*real).xLock.map_or(SQLITE_IOERR_LOCK, |lock| lock(file, level))
    }
}

/// Locks or unlocks parts of `-shm`, but refuses the write lock. SQLite requests the write lock to repair the log's
/// index if the index looks damaged, which also happens while a commit is about to finish. SQLite retries while the
/// lock is busy. After [`MAX_REFUSALS`] refusals, the statement fails.
unsafe extern "C" fn lock_shm(file: *mut sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    let is_lock = flags & SQLITE_SHM_LOCK != 0;
    // Unlocking is never refused.
    if is_lock && is_over() {
        return SQLITE_INTERRUPT;
    }
    // SAFETY: SQLite passes a file that has our methods. The call is forwarded unchanged.
    unsafe {
        let methods = methods_of(file);
        if first == WRITE_LOCK && is_lock {
            let earlier_refusals = (*methods.vfs).refused.fetch_add(1, Ordering::Relaxed);
            // SQLite itself returns READONLY_RECOVERY if only another writer can repair the index.
            return if earlier_refusals < MAX_REFUSALS {
                SQLITE_BUSY
            } else {
                SQLITE_READONLY_RECOVERY
            };
        }
        let lock = (*methods.real).xShmLock;
        lock.map_or(SQLITE_IOERR_SHMLOCK, |lock| lock(file, first, count, flags))
    }
}

/// Maps `-shm`, and prevents SQLite from changing the owner of the file. Fails if the limit is reached.
unsafe extern "C" fn map_shm(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    to: *mut *mut c_void,
) -> c_int {
    if is_over() {
        return SQLITE_INTERRUPT;
    }
    // SAFETY: SQLite passes a file that has our methods. The call is forwarded unchanged.
    unsafe {
        let real = methods_of(file).real;
        let Some(map) = (*real).xShmMap else {
            return SQLITE_IOERR_SHMMAP;
        };
        OPENING_SHM.set(true);
        let done = map(file, page, size, extend, to.cast());
        OPENING_SHM.set(false);
        done
    }
}

thread_local! {
    /// Whether this thread is opening a foreign `-shm`.
    static OPENING_SHM: Cell<bool> = const { Cell::new(false) };
}

/// Syncs the write-ahead log to disk, so that a power cut loses no commit: a commit with `synchronous = NORMAL` does
/// not sync. Also syncs the log's directory entry if this connection created the log. Uses SQLite's own file
/// descriptor, since closing another descriptor would release the process's locks.
///
/// # Errors
/// SQLite errors. After an error, commits may be missing on disk.
pub fn sync_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mut file: *mut sqlite3_file = null_mut();
    // SAFETY: the connection is open, and only this thread uses it. The file is open as long as the connection, and an
    // open file has methods.
    let code = unsafe {
        let file_pointer = (&raw mut file).cast();
        let code = sqlite3_file_control(connection.handle(), null(), SQLITE_FCNTL_JOURNAL_POINTER, file_pointer);
        match file.as_ref().and_then(|file| file.pMethods.as_ref()) {
            Some(methods) if code == SQLITE_OK => methods.xSync.map_or(SQLITE_OK, |sync| sync(file, SQLITE_SYNC_FULL)),
            _ => code,
        }
    };
    if code == SQLITE_OK {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(Error::new(code), None))
}

/// Sets or reads a number of a connection's main database: `operation` is a `SQLITE_FCNTL_*` code that takes an `int`.
///
/// rusqlite has a safe function for this only since version 0.41.
///
/// # Errors
/// SQLite errors.
pub fn file_control(connection: &Connection, operation: c_int, value: &mut c_int) -> rusqlite::Result<()> {
    // SAFETY: the connection is open, and only this thread uses it. The operation reads or writes one `int`.
    let code = unsafe { sqlite3_file_control(connection.handle(), null(), operation, (&raw mut *value).cast()) };
    if code == SQLITE_OK {
        Ok(())
    } else {
        Err(rusqlite::Error::SqliteFailure(Error::new(code), None))
    }
}

/// Returns the SQL of each of a connection's prepared statements, so that tests can check their query plans.
#[cfg(test)]
pub fn prepared(connection: &Connection) -> std::collections::BTreeSet<String> {
    use rusqlite::ffi::{sqlite3_next_stmt, sqlite3_sql};

    let mut texts = std::collections::BTreeSet::new();
    // SAFETY: the connection is open, and no other thread prepares or finalizes one of its statements during this call.
    // Each string ends with a NUL, and lives as long as its statement.
    unsafe {
        let database = connection.handle();
        let mut statement = sqlite3_next_stmt(database, std::ptr::null_mut());
        while !statement.is_null() {
            let text = sqlite3_sql(statement);
            if !text.is_null() {
                texts.insert(CStr::from_ptr(text).to_string_lossy().into_owned());
            }
            statement = sqlite3_next_stmt(database, statement);
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use rusqlite::ErrorCode;
    use rusqlite::ffi::{SQLITE_FCNTL_FILE_POINTER, SQLITE_SHM_SHARED, SQLITE_SHM_UNLOCK, sqlite3_file_control};

    use super::*;

    #[test]
    fn a_reader_never_holds_the_lock_of_writers() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("database");
        let writer = Connection::open(&file).expect("opened");
        writer
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
            .expect("written");
        let vfs = ReadOnlyWalVfs::new().expect("a VFS");
        for _ in 0..2 {
            let reader = vfs.open(file.to_str().expect("a name")).expect("opened");
            let row: i64 = reader.query_row("SELECT x FROM t", [], |row| row.get(0)).expect("read");
            assert_eq!(row, 1);
            let shared = |first: c_int, flag: c_int| {
                let mut opened: *mut sqlite3_file = std::ptr::null_mut();
                // SAFETY: the connection is open, and its file is locked as SQLite locks it.
                unsafe {
                    let asked = sqlite3_file_control(
                        reader.handle(),
                        c"main".as_ptr(),
                        SQLITE_FCNTL_FILE_POINTER,
                        (&raw mut opened).cast(),
                    );
                    assert_eq!(asked, SQLITE_OK);
                    ((*(*opened).pMethods).xShmLock.expect("a method"))(opened, first, 1, flag | SQLITE_SHM_SHARED)
                }
            };
            for _ in 0..MAX_REFUSALS {
                assert_eq!(shared(WRITE_LOCK, SQLITE_SHM_LOCK), SQLITE_BUSY);
            }
            assert_eq!(shared(WRITE_LOCK, SQLITE_SHM_LOCK), SQLITE_READONLY_RECOVERY);
            // Other locks are granted.
            assert_eq!(shared(7, SQLITE_SHM_LOCK), SQLITE_OK);
            assert_eq!(shared(7, SQLITE_SHM_UNLOCK), SQLITE_OK);
        }
    }

    #[test]
    fn a_statement_ends_with_its_limit_and_the_next_one_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("database");
        Connection::open(&file)
            .and_then(|writer| {
                writer.execute_batch(
                    "CREATE TABLE t (x); INSERT INTO t VALUES (1); CREATE VIEW endless AS WITH RECURSIVE n (x) AS \
                 (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n",
                )
            })
            .expect("written");
        let vfs = ReadOnlyWalVfs::new().expect("a VFS");
        let reader = vfs.open(file.to_str().expect("a name")).expect("opened");
        let count =
            |table: &str| reader.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
        let asked = Cell::new(0);
        let third = || {
            asked.set(asked.get() + 1);
            asked.get() > 2
        };
        let limit = StatementLimit::new(Deadline::NONE, &third);
        let error = limit.run(|| count("endless")).expect_err("interrupted");
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::OperationInterrupted));
        assert!(limit.was_reached() && !limit.is_stuck());
        assert_eq!(count("t"), Ok(1), "without a limit");
        let never = StatementLimit::new(Deadline::NONE, &|| false);
        assert_eq!(never.run(|| count("t")), Ok(1));
        assert!(!never.was_reached());
    }

    #[test]
    fn pauses_end_with_the_limit_and_are_counted() {
        // SAFETY: the function reads neither pointer.
        let pause_for = |microseconds: c_int| unsafe { pause(std::ptr::null_mut(), microseconds) };
        let asked = Cell::new(0);
        let is_over = || asked.replace(asked.get() + 1) > 0;
        let limit = StatementLimit::new(Deadline::NONE, &is_over);
        assert_eq!(limit.run(|| pause_for(1_000_000_000)), 1_000_000_000);
        assert!(limit.was_reached() && limit.paused.get() > Duration::ZERO);
        let limit = StatementLimit::new(Deadline::NONE, &|| false);
        limit.paused.set(LONGEST_PAUSES);
        limit.run(|| pause_for(1_000_000_000));
        assert!(limit.was_reached() && limit.is_stuck());
    }
}
