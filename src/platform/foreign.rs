//! Reading a database of another program's with `SQLite`, without leaving a file beside it.
//!
//! A connection that may only read still makes an empty `-wal` where it finds none: between a look at the folder and the
//! opening of the log, the program may have closed the database and removed it. So the log is opened by a VFS that opens what
//! is there, and makes nothing.
//!
//! And it takes the lock of writers for a moment, where it meets one that is about to end a commit. A transaction of the
//! program that becomes a writing one just then fails: it waits for no lock. So the VFS refuses it that lock.
//!
//! As root it sets the owner of `-shm` to that of the database, even where another user made it. So it is kept from that while the VFS opens one.
//!
//! A damaged file must not hold up its reader: a [`Limit`] ends statements, and the pauses in which `SQLite` retries.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::Once;
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

/// Which of the locks in `-shm` is that of writers.
const WRITERS: c_int = 0;
/// Retries while a writer commits: for some 15 ms in all.
const LOOKS: u32 = 20;
/// For how long `SQLite` may pause between retries, in all. Other programs hold its locks for microseconds.
const LONGEST_PAUSES: Duration = Duration::from_secs(1);
/// A pause is cut into such pieces.
const PAUSE_PIECE: Duration = Duration::from_millis(2);
/// After how many of its instructions a statement looks at its limit: some 20 µs.
const INSTRUCTIONS: c_int = 1_000;

/// What ends statements of this thread on foreign databases: its own condition, and pauses of `SQLite`'s that last too long.
pub struct Limit<'l> {
    is_over: &'l dyn Fn() -> bool,
    paused: Cell<Duration>,
    was_hit: Cell<bool>,
}

thread_local! {
    /// The limit of what this thread does with foreign databases now.
    static LIMIT: Cell<Option<NonNull<Limit<'static>>>> = const { Cell::new(None) };
}

impl<'l> Limit<'l> {
    /// A limit that is reached once `is_over` is true. It is asked often.
    #[must_use]
    pub fn new(is_over: &'l dyn Fn() -> bool) -> Self {
        Self {
            is_over,
            paused: Cell::default(),
            was_hit: Cell::default(),
        }
    }

    /// Runs `work`, whose statements on foreign databases are interrupted once the limit is reached.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Restored(Option<NonNull<Limit<'static>>>);
        impl Drop for Restored {
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

    /// Returns whether `SQLite` paused for too long.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.paused.get() >= LONGEST_PAUSES
    }

    fn is_reached(&self) -> bool {
        let is_reached = self.was_hit() || self.is_stuck() || (self.is_over)();
        self.was_hit.set(is_reached);
        is_reached
    }
}

/// Asks this thread's limit; `None` without one.
fn limit<T>(ask: impl FnOnce(&Limit<'static>) -> T) -> Option<T> {
    // SAFETY: `Limit::run` keeps the limit alive while it is set here, on this thread.
    LIMIT.get().map(|limit| ask(unsafe { limit.as_ref() }))
}

fn is_over() -> bool {
    limit(Limit::is_reached).unwrap_or(false)
}

/// The VFS, registered for as long as this lives: each has a name of its own, and nothing of it is left when the library is
/// unloaded.
pub struct ReadOnlyWalVfs {
    name: CString,
    vfs: Box<Vfs>,
}

/// `SQLite`'s part first: that is what it hands to our method.
#[repr(C)]
struct Vfs {
    ours: sqlite3_vfs,
    real: *mut sqlite3_vfs,
    /// Those of databases, and those of logs.
    methods: [OnceBox<Methods>; 2],
    /// How often the writers' lock was refused since a database was opened last: there is one at a time.
    refused: AtomicU32,
}

/// What is called for an open database. `SQLite`'s part first, as above.
#[repr(C)]
struct Methods {
    ours: sqlite3_io_methods,
    real: *const sqlite3_io_methods,
    vfs: *const Vfs,
}

// SAFETY: it is only read; what it points to lives as long as the VFS, or the process.
unsafe impl Send for Methods {}
// SAFETY: as above.
unsafe impl Sync for Methods {}

// SAFETY: once registered it is only read, by SQLite, which may do so in any thread.
unsafe impl Send for ReadOnlyWalVfs {}
// SAFETY: as above.
unsafe impl Sync for ReadOnlyWalVfs {}

impl ReadOnlyWalVfs {
    /// Registers it; `None` where `SQLite` has no VFS of its own, or no memory.
    #[must_use]
    pub fn new() -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        leave_owners();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("plexindex-makes-no-log-{number}")).ok()?;
        // SAFETY: the default VFS lives as long as the process. A copy of it works on the same files: its methods use nothing
        // of the struct but `pAppData`, which is the same.
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
        // SAFETY: it was just made, and stays where it is until `drop`, which takes it out of SQLite's list first.
        unsafe {
            let registered = sqlite3_vfs_register(&raw mut (*vfs).ours, 0) == SQLITE_OK;
            let vfs = Box::from_raw(vfs);
            registered.then_some(Self { name, vfs })
        }
    }

    /// Opens a database that has this URI, for one thread, to read it. Connections must not outlive this VFS.
    ///
    /// # Errors
    /// `SQLite`'s.
    pub fn open(&self, uri: &str) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags_and_vfs(uri, flags, self.name())?;
        // SAFETY: the connection is open, and the function stays where it is for as long as SQLite's code does.
        unsafe { sqlite3_progress_handler(connection.handle(), INSTRUCTIONS, Some(progress), std::ptr::null_mut()) };
        Ok(connection)
    }

    fn name(&self) -> &CStr {
        &self.name
    }
}

impl Drop for ReadOnlyWalVfs {
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

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let is_log = flags & SQLITE_OPEN_WAL != 0;
    // Told that it opens a log, SQLite as root would set the owner of the server's: its times move with that.
    let left_out = if is_log {
        SQLITE_OPEN_CREATE | SQLITE_OPEN_WAL
    } else {
        0
    };
    // SAFETY: SQLite hands over the VFS that was registered, which begins a `Vfs`; the rest is handed on to the VFS that it is a
    // copy of. A file that was opened has that one's methods, and the copy of these lives as long as ours, so longer than the
    // file.
    unsafe {
        let ours = vfs.cast::<Vfs>();
        let real = (*ours).real;
        let Some(open) = (*real).xOpen else {
            return SQLITE_CANTOPEN;
        };
        let done = open(real, name, file, flags & !left_out, out);
        let is_database = flags & SQLITE_OPEN_MAIN_DB != 0;
        if done != SQLITE_OK || !(is_database || is_log) {
            return done;
        }
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
        // A file of another kind has other methods: it keeps them.
        if std::ptr::eq(methods.real, real) {
            (*file).pMethods = &raw const methods.ours;
        }
    }
    SQLITE_OK
}

/// A statement that runs asks whether it goes on; other than 0 interrupts it.
unsafe extern "C" fn progress(_: *mut c_void) -> c_int {
    c_int::from(is_over())
}

/// Pauses for so many microseconds, or until the limit is reached: the next lock is refused then.
unsafe extern "C" fn pause(_: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    let wanted = Duration::from_micros(u64::try_from(microseconds).unwrap_or(0));
    let begun = Instant::now();
    while begun.elapsed() < wanted && !is_over() {
        std::thread::sleep(PAUSE_PIECE.min(wanted.saturating_sub(begun.elapsed())));
    }
    limit(|limit| limit.paused.set(limit.paused.get() + begun.elapsed()));
    microseconds
}

/// The methods of a file that [`open`] opened.
///
/// # Safety
/// The file has our methods: only such files are handed to the functions below.
unsafe fn methods_of<'f>(file: *mut sqlite3_file) -> &'f Methods {
    // SAFETY: theirs begin a `Methods`, which lives longer than the file.
    unsafe { &*(*file).pMethods.cast::<Methods>() }
}

/// Reads, unless the limit is reached: a log may be long, and is read as a whole where its server was killed.
unsafe extern "C" fn read_log(file: *mut sqlite3_file, to: *mut c_void, length: c_int, from: sqlite3_int64) -> c_int {
    if is_over() {
        return SQLITE_INTERRUPT;
    }
    // SAFETY: see `methods_of`; the call is handed on.
    unsafe {
        let real = methods_of(file).real;
        (*real)
            .xRead
            .map_or(SQLITE_IOERR_READ, |read| read(file, to, length, from))
    }
}

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

unsafe extern "C" fn lock_shared(file: *mut sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    let is_lock = flags & SQLITE_SHM_LOCK != 0;
    // Only a lock is refused: what is held is always let go.
    if is_lock && is_over() {
        return SQLITE_INTERRUPT;
    }
    // SAFETY: as above.
    unsafe {
        let methods = methods_of(file);
        if first == WRITERS && is_lock {
            let before = (*methods.vfs).refused.fetch_add(1, Ordering::Relaxed);
            // What SQLite says itself where the writer died within its commit: only another writer mends that.
            return if before < LOOKS {
                SQLITE_BUSY
            } else {
                SQLITE_READONLY_RECOVERY
            };
        }
        let lock = (*methods.real).xShmLock;
        lock.map_or(SQLITE_IOERR_SHMLOCK, |lock| lock(file, first, count, flags))
    }
}

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
        OPENS.set(true);
        let done = map(file, page, size, extend, to.cast());
        OPENS.set(false);
        done
    }
}

thread_local! {
    /// Whether this thread opens another program's `-shm`.
    static OPENS: Cell<bool> = const { Cell::new(false) };
}

/// Has this copy of `SQLite` set no owner of what is another program's: its times would move with that, and one of another
/// user's would be taken from that user.
fn leave_owners() {
    static ONCE: Once = Once::new();
    // SAFETY: the default VFS takes a function for each system call that it names. This one is called as that one was, and
    // stays where it is for as long as SQLite's code does, which is in the same file.
    ONCE.call_once(|| unsafe {
        let vfs = sqlite3_vfs_find(std::ptr::null());
        if let Some(set) = vfs.as_ref().and_then(|vfs| vfs.xSetSystemCall) {
            type Chown = unsafe extern "C" fn(c_int, libc::uid_t, libc::gid_t) -> c_int;
            set(
                vfs,
                c"fchown".as_ptr(),
                Some(std::mem::transmute::<Chown, unsafe extern "C" fn()>(chown)),
            );
        }
    });
}

unsafe extern "C" fn chown(file: c_int, user: libc::uid_t, group: libc::gid_t) -> c_int {
    if OPENS.get() {
        return 0;
    }
    // SAFETY: numbers.
    unsafe { libc::fchown(file, user, group) }
}

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
