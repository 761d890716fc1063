//! Reads the database of another program with SQLite without side effects.
//!
//! A VFS prevents three default behaviours of a read-only connection. (1) It creates an empty `-wal` if the file is
//! missing, as when the program has just closed the database and removed the log. The VFS opens only existing files.
//! (2) It takes the writers' lock for a moment if a commit is about to end. A transaction of the program that upgrades
//! to writing just then would fail. The VFS refuses that lock. (3) As root, it sets the owner of `-shm` to that of the
//! database. The VFS suppresses that.
//!
//! A damaged file must not block its reader, so a [`StatementLimit`] interrupts statements, and the pauses between
//! retries of SQLite.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use once_cell::race::OnceBox;
use rusqlite::ffi::{
    SQLITE_BUSY, SQLITE_CANTOPEN, SQLITE_INTERRUPT, SQLITE_IOERR_LOCK, SQLITE_IOERR_READ, SQLITE_IOERR_SHMLOCK,
    SQLITE_IOERR_SHMMAP, SQLITE_OK, SQLITE_OPEN_CREATE, SQLITE_OPEN_MAIN_DB, SQLITE_OPEN_WAL, SQLITE_READONLY_RECOVERY,
    SQLITE_SHM_LOCK, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_progress_handler, sqlite3_vfs,
    sqlite3_vfs_find, sqlite3_vfs_register, sqlite3_vfs_unregister,
};
use rusqlite::{Connection, OpenFlags};

use super::deadline::Deadline;
use super::system;

/// Index of SQLite's write lock in `-shm`.
const WRITE_LOCK: c_int = 0;
/// Number of refusals of the writers' lock after which a statement fails: some 15 ms.
const MAX_REFUSALS: u32 = 20;
/// Total time that SQLite may pause between retries. Other programs hold its locks for microseconds.
const LONGEST_PAUSES: Duration = Duration::from_secs(1);
/// Length of the slices of a pause.
const PAUSE_PIECE: Duration = Duration::from_millis(2);
/// Number of SQLite instructions between checks of the limit: some 20 µs.
const INSTRUCTIONS: c_int = 1_000;

/// Interrupts this thread's statements on foreign databases at a deadline, on a condition of the caller, or if SQLite
/// pauses for too long.
pub struct StatementLimit<'l> {
    deadline: Deadline,
    is_over: &'l dyn Fn() -> bool,
    paused: Cell<Duration>,
    was_hit: Cell<bool>,
}

thread_local! {
    /// The limit of this thread.
    static LIMIT: Cell<Option<NonNull<StatementLimit<'static>>>> = const { Cell::new(None) };
}

impl<'l> StatementLimit<'l> {
    /// Creates a limit that is reached at the deadline, or when `is_pause_over` returns `true`. `is_pause_over` is
    /// called about every 20 µs, so it must be cheap.
    #[must_use]
    pub fn new(deadline: Deadline, is_over: &'l dyn Fn() -> bool) -> Self {
        Self {
            deadline,
            is_over,
            paused: Cell::default(),
            was_hit: Cell::default(),
        }
    }

    /// Runs `work`; its statements on foreign databases are interrupted when the limit is reached.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Restored(Option<NonNull<StatementLimit<'static>>>);
        impl Drop for Restored {
            /// Restores the limit that the thread had before, also after a panic.
            fn drop(&mut self) {
                LIMIT.set(self.0);
            }
        }
        let _restored = Restored(LIMIT.replace(Some(NonNull::from(self).cast())));
        work()
    }

    /// Returns whether anything was interrupted.
    #[must_use]
    pub fn was_hit(&self) -> bool {
        self.was_hit.get()
    }

    /// Returns whether SQLite paused for too long.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.paused.get() >= LONGEST_PAUSES
    }

    /// Returns whether statements have to stop. A limit that was reached once stays reached.
    fn is_reached(&self) -> bool {
        let is_reached = self.was_hit() || self.is_stuck() || self.deadline.has_passed() || (self.is_over)();
        self.was_hit.set(is_reached);
        is_reached
    }
}

/// Returns the result of `ask` for this thread's limit; `None` without a limit.
fn with_limit<T>(ask: impl FnOnce(&StatementLimit<'static>) -> T) -> Option<T> {
    // SAFETY: `StatementLimit::run_with_retries` keeps the limit alive while it is set here, on this thread.
    LIMIT.get().map(|limit| ask(unsafe { limit.as_ref() }))
}

/// Returns whether this thread has a limit that is reached.
fn is_over() -> bool {
    with_limit(StatementLimit::is_reached).unwrap_or(false)
}

/// The VFS. It is registered under a unique name, and unregistered when dropped, so that the library can be unloaded.
pub struct ReadOnlyWalVfs {
    name: CString,
    vfs: Box<Vfs>,
}

/// SQLite's part comes first, since SQLite passes a pointer to it.
#[repr(C)]
struct Vfs {
    ours: sqlite3_vfs,
    real: *mut sqlite3_vfs,
    /// Methods for databases and for logs.
    methods: [OnceBox<Methods>; 2],
    /// Number of refusals of the writers' lock since the last database was opened. One database is open at a time.
    refused: AtomicU32,
}

/// The methods of an open file. SQLite's part comes first, as in [`Vfs`].
#[repr(C)]
struct Methods {
    ours: sqlite3_io_methods,
    real: *const sqlite3_io_methods,
    vfs: *const Vfs,
}

// SAFETY: it is only read, and its pointers are valid as long as the VFS or the process.
unsafe impl Send for Methods {}
// SAFETY: as above.
unsafe impl Sync for Methods {}

// SAFETY: once registered it is only read, by SQLite, which may do so in any thread.
unsafe impl Send for ReadOnlyWalVfs {}
// SAFETY: as above.
unsafe impl Sync for ReadOnlyWalVfs {}

impl ReadOnlyWalVfs {
    /// Registers the VFS; `None` if SQLite has no default VFS, or no memory.
    #[must_use]
    pub fn new() -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        system::sqlite::keep_owner_if(|| OPENING_SHM.get());
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("plexindex-makes-no-log-{number}")).ok()?;
        // SAFETY: the default VFS lives as long as the process. A copy of it works on the same files, since its methods
        // use only `pAppData` of the struct, which is the same.
        let vfs = unsafe {
            let real = sqlite3_vfs_find(std::ptr::null());
            let mut ours = *real.as_ref()?;
            ours.zName = name.as_ptr();
            ours.pNext = std::ptr::null_mut();
            ours.xOpen = Some(open);
            ours.xSleep = Some(pause);
            Box::into_raw(Box::new(Vfs {
                ours,
                real,
                methods: Default::default(),
                refused: AtomicU32::new(0),
            }))
        };
        // SAFETY: it was just created, and is not moved before `drop`, which first removes it from SQLite's list.
        unsafe {
            let registered = sqlite3_vfs_register(&raw mut (*vfs).ours, 0) == SQLITE_OK;
            let vfs = Box::from_raw(vfs);
            registered.then_some(Self { name, vfs })
        }
    }

    /// Opens a database for reading by one thread. Connections must not outlive this VFS.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn open(&self, uri: &str) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags_and_vfs(uri, flags, self.name())?;
        // SAFETY: the connection is open, and the function is loaded as long as SQLite's code.
        unsafe { sqlite3_progress_handler(connection.handle(), INSTRUCTIONS, Some(progress), std::ptr::null_mut()) };
        Ok(connection)
    }

    /// Returns the name under which SQLite knows the VFS.
    fn name(&self) -> &CStr {
        &self.name
    }
}

impl Drop for ReadOnlyWalVfs {
    /// Unregisters the VFS, so that the library can be unloaded.
    fn drop(&mut self) {
        // SAFETY: it was registered, and no connection uses it any more.
        unsafe {
            sqlite3_vfs_unregister(&raw mut self.vfs.ours);
        }
    }
}

impl std::fmt::Debug for ReadOnlyWalVfs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.name.fmt(f)
    }
}

/// Opens a file, but creates no log. Replaces the methods of databases and logs by ours, which refuse the writers'
/// lock.
unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let is_log = flags & SQLITE_OPEN_WAL != 0;
    // Without CREATE, SQLite creates no log. With WAL, SQLite as root would change the owner of the log, and so its
    // times.
    let removed_flags = if is_log {
        SQLITE_OPEN_CREATE | SQLITE_OPEN_WAL
    } else {
        0
    };
    // SAFETY: SQLite passes the VFS that was registered, which is the first field of a `Vfs`. The call is passed on to
    // the real VFS. An opened file has the methods of the real VFS. Our copy of these methods lives as long as our VFS,
    // and so longer than the file.
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
        // The refusals of an earlier connection do not count.
        if is_database {
            (*ours).refused.store(0, Ordering::Relaxed);
        }
        let real = (*file).pMethods;
        let methods = (*ours).methods[usize::from(is_log)].get_or_init(|| {
            Box::new(Methods {
                ours: sqlite3_io_methods {
                    xRead: if is_log { Some(read_log) } else { (*real).xRead },
                    xLock: Some(lock_file),
                    xShmLock: Some(lock_shared),
                    xShmMap: Some(map_shared),
                    ..*real
                },
                real,
                vfs: ours,
            })
        });
        // Our methods call those of the first opened file. A file with other real methods keeps its own, since ours
        // would call the wrong ones.
        if std::ptr::eq(methods.real, real) {
            (*file).pMethods = &raw const methods.ours;
        }
    }
    SQLITE_OK
}

/// Tells SQLite whether to interrupt the running statement, by a value other than 0.
unsafe extern "C" fn progress(_: *mut c_void) -> c_int {
    c_int::from(is_over())
}

/// Sleeps for these microseconds between two attempts to lock, or until the limit is reached. Then the next lock fails.
unsafe extern "C" fn pause(_: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    let wanted = Duration::from_micros(u64::try_from(microseconds).unwrap_or(0));
    let begun = Instant::now();
    while begun.elapsed() < wanted && !is_over() {
        std::thread::sleep(PAUSE_PIECE.min(wanted.saturating_sub(begun.elapsed())));
    }
    with_limit(|limit| limit.paused.set(limit.paused.get() + begun.elapsed()));
    microseconds
}

/// Returns the methods of a file that [`open`] opened.
///
/// # Safety
/// The file must have our methods, as all files passed to the functions below.
unsafe fn methods_of<'f>(file: *mut sqlite3_file) -> &'f Methods {
    // SAFETY: theirs begin a `Methods`, which lives longer than the file.
    unsafe { &*(*file).pMethods.cast::<Methods>() }
}

/// Reads unless the limit is reached. A log can be long, and SQLite reads it as a whole if its server was killed.
unsafe extern "C" fn read_log(file: *mut sqlite3_file, to: *mut c_void, length: c_int, from: sqlite3_int64) -> c_int {
    if is_over() {
        return SQLITE_INTERRUPT;
    }
    // SAFETY: see `methods_of`. The call is passed on.
    unsafe {
        let real = methods_of(file).real;
        (*real)
            .xRead
            .map_or(SQLITE_IOERR_READ, |read| read(file, to, length, from))
    }
}

/// Locks the database unless the limit is reached.
unsafe extern "C" fn lock_file(file: *mut sqlite3_file, level: c_int) -> c_int {
    if is_over() {
        return SQLITE_INTERRUPT;
    }
    // SAFETY: as above.
    unsafe {
        let real = methods_of(file).real;
        (*real).xLock.map_or(SQLITE_IOERR_LOCK, |lock| lock(file, level))
    }
}

/// Locks a part of `-shm`, but refuses the writers' lock. SQLite requests that lock to repair the log if the index of
/// the log looks damaged, which also happens while a commit is about to end. It retries while the lock is busy. After
/// [`MAX_REFUSALS`] refusals, the statement fails.
unsafe extern "C" fn lock_shared(file: *mut sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    let is_lock = flags & SQLITE_SHM_LOCK != 0;
    // Unlocking is never refused.
    if is_lock && is_over() {
        return SQLITE_INTERRUPT;
    }
    // SAFETY: as above.
    unsafe {
        let methods = methods_of(file);
        if first == WRITE_LOCK && is_lock {
            let before = (*methods.vfs).refused.fetch_add(1, Ordering::Relaxed);
            // SQLite itself returns READONLY_RECOVERY if a writer died within its commit, which only another writer can
            // repair.
            return if before < MAX_REFUSALS {
                SQLITE_BUSY
            } else {
                SQLITE_READONLY_RECOVERY
            };
        }
        let lock = (*methods.real).xShmLock;
        lock.map_or(SQLITE_IOERR_SHMLOCK, |lock| lock(file, first, count, flags))
    }
}

/// Maps `-shm`, and keeps SQLite from changing its owner meanwhile.
unsafe extern "C" fn map_shared(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    to: *mut *mut c_void,
) -> c_int {
    if is_over() {
        return SQLITE_INTERRUPT;
    }
    // SAFETY: as above.
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

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
