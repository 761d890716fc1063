//! Reading a database of another program's with `SQLite`, without leaving a file beside it.
//!
//! A connection that may only read still makes an empty `-wal` where it finds none: between a look at the folder and the
//! opening of the log, the program may have closed the database and removed it. So the log is opened by a VFS that opens what
//! is there, and makes nothing.

use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::ffi::{
    SQLITE_CANTOPEN, SQLITE_OK, SQLITE_OPEN_CREATE, SQLITE_OPEN_WAL, sqlite3_file, sqlite3_vfs, sqlite3_vfs_find,
    sqlite3_vfs_register, sqlite3_vfs_unregister,
};

/// The VFS, registered for as long as this lives: each has a name of its own, and nothing of it is left when the library is
/// unloaded.
pub struct MakesNoLog {
    name: CString,
    vfs: Box<Vfs>,
}

/// `SQLite`'s part first: that is what it hands to our method.
#[repr(C)]
struct Vfs {
    ours: sqlite3_vfs,
    real: *mut sqlite3_vfs,
}

// SAFETY: once registered it is only read, by SQLite, which may do so in any thread.
unsafe impl Send for MakesNoLog {}
// SAFETY: as above.
unsafe impl Sync for MakesNoLog {}

impl MakesNoLog {
    /// Registers it; `None` where `SQLite` has no VFS of its own, or no memory.
    #[must_use]
    pub fn new() -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
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
            Box::into_raw(Box::new(Vfs { ours, real }))
        };
        // SAFETY: it was just made, and stays where it is until `drop`, which takes it out of SQLite's list first.
        unsafe {
            let registered = sqlite3_vfs_register(&raw mut (*vfs).ours, 0) == SQLITE_OK;
            let vfs = Box::from_raw(vfs);
            registered.then_some(Self { name, vfs })
        }
    }

    /// What a connection names it by. None that does may outlive this.
    #[must_use]
    pub fn name(&self) -> &CStr {
        &self.name
    }
}

impl Drop for MakesNoLog {
    fn drop(&mut self) {
        // SAFETY: it was registered, and no connection uses it any more.
        unsafe {
            sqlite3_vfs_unregister(&raw mut self.vfs.ours);
        }
    }
}

impl std::fmt::Debug for MakesNoLog {
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
    let flags = if flags & SQLITE_OPEN_WAL == 0 {
        flags
    } else {
        flags & !SQLITE_OPEN_CREATE
    };
    // SAFETY: SQLite hands over the VFS that was registered, which begins a `Vfs`; the rest is handed on to the VFS that it is a
    // copy of.
    unsafe {
        let real = (*vfs.cast::<Vfs>()).real;
        match (*real).xOpen {
            Some(open) => open(real, name, file, flags, out),
            None => SQLITE_CANTOPEN,
        }
    }
}
