//! A VFS that reports each read, write, sync and removal of SQLite before it is done, and may let it fail. It becomes the
//! default of the process, so only workers use it.

#![allow(unsafe_code)] // SQLite calls it through C

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, OnceLock};

use rusqlite::ffi::{
    SQLITE_OK, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

/// What SQLite is about to do. `file` tells open files apart.
#[derive(Debug)]
pub enum Call<'c> {
    Open { file: usize, path: &'c Path, made: bool },
    Read,
    Write { file: usize, at: u64, bytes: &'c [u8] },
    Truncate { file: usize, length: u64 },
    Sync { file: usize },
    Lock,
    Delete { path: &'c Path },
}

/// Receives each call. It returns the call's result; `SQLITE_OK` lets the call go through.
pub type Ear = fn(&Call<'_>) -> c_int;

static EAR: OnceLock<Ear> = OnceLock::new();
static REAL: OnceLock<usize> = OnceLock::new();
/// Our tables of methods, by the address of the real ones.
static TABLES: LazyLock<Mutex<HashMap<usize, usize>>> = LazyLock::new(Mutex::default);
/// The real methods of each open file, and its path.
static OPEN: LazyLock<Mutex<HashMap<usize, (usize, PathBuf)>>> = LazyLock::new(Mutex::default);

/// Reports the calls of this process's SQLite from now on. Without `shares_memory` its files have no `-shm`, as on a
/// network.
pub fn register(ear: Ear, shares_memory: bool) {
    EAR.set(ear).expect("registered once");
    SHARES.set(shares_memory).expect("registered once");
    // SAFETY: the default VFS lives for ever, and so does the copy of it that is registered.
    unsafe {
        let real = sqlite3_vfs_find(std::ptr::null());
        REAL.set(real as usize).expect("registered once");
        let mut ours: sqlite3_vfs = *real;
        ours.zName = c"told".as_ptr();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        assert_eq!(sqlite3_vfs_register(Box::into_raw(Box::new(ours)), 1), SQLITE_OK);
    }
}

static SHARES: OnceLock<bool> = OnceLock::new();

/// Reports a call, which ends here if it shall fail.
macro_rules! hear {
    ($call:expr) => {
        let told = EAR.get().expect("registered")(&$call);
        if told != SQLITE_OK {
            return told;
        }
    };
}

fn real() -> *mut sqlite3_vfs {
    *REAL.get().expect("registered") as *mut sqlite3_vfs
}

unsafe fn named<'n>(name: *const c_char) -> &'n Path {
    // SAFETY: SQLite gives names that end in NUL and live as long as the call.
    crate::index::path(unsafe { CStr::from_ptr(name) }.to_bytes())
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's arguments are passed on; an opened file has a table of methods.
    unsafe {
        (*file).pMethods = std::ptr::null();
        let path = (!name.is_null()).then(|| named(name));
        if let Some(path) = path {
            let made = path.symlink_metadata().is_err();
            hear!(Call::Open {
                file: file as usize,
                path,
                made,
            });
        }
        let done = (*real()).xOpen.expect("it opens")(real(), name, file, flags, out);
        let methods = (*file).pMethods;
        if let Some(path) = path.filter(|_| done == SQLITE_OK && !methods.is_null()) {
            let opened = (methods as usize, path.to_owned());
            OPEN.lock().expect("no panic").insert(file as usize, opened);
            let mut tables = TABLES.lock().expect("no panic");
            let table = tables.entry(methods as usize).or_insert_with(|| {
                let mut table: sqlite3_io_methods = *methods;
                table.xClose = Some(close);
                table.xRead = Some(read);
                table.xWrite = Some(write);
                table.xTruncate = Some(truncate);
                table.xSync = Some(sync);
                table.xLock = Some(lock);
                table.iVersion = if SHARES.get() == Some(&true) { 2 } else { 1 };
                Box::into_raw(Box::new(table)) as usize
            });
            (*file).pMethods = *table as *const sqlite3_io_methods;
        }
        done
    }
}

/// The path of an open file.
pub fn path_of(file: usize) -> PathBuf {
    OPEN.lock().expect("no panic")[&file].1.clone()
}

/// The real methods of the file.
fn methods(file: *mut sqlite3_file) -> &'static sqlite3_io_methods {
    let table = OPEN.lock().expect("no panic")[&(file as usize)].0;
    // SAFETY: SQLite's tables of methods live for ever.
    unsafe { &*(table as *const sqlite3_io_methods) }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let real = methods(file);
    OPEN.lock().expect("no panic").remove(&(file as usize));
    // SAFETY: as SQLite called us.
    unsafe { real.xClose.expect("a method")(file) }
}

unsafe extern "C" fn read(file: *mut sqlite3_file, bytes: *mut c_void, length: c_int, at: sqlite3_int64) -> c_int {
    hear!(Call::Read);
    // SAFETY: as SQLite called us.
    unsafe { methods(file).xRead.expect("a method")(file, bytes, length, at) }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, bytes: *const c_void, length: c_int, at: sqlite3_int64) -> c_int {
    // SAFETY: as SQLite called us, with this many bytes.
    unsafe {
        let given = std::slice::from_raw_parts(bytes.cast::<u8>(), usize::try_from(length).expect("a length"));
        hear!(Call::Write {
            file: file as usize,
            at: at.cast_unsigned(),
            bytes: given,
        });
        methods(file).xWrite.expect("a method")(file, bytes, length, at)
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    hear!(Call::Truncate {
        file: file as usize,
        length: length.cast_unsigned(),
    });
    // SAFETY: as SQLite called us.
    unsafe { methods(file).xTruncate.expect("a method")(file, length) }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    hear!(Call::Sync { file: file as usize });
    // SAFETY: as SQLite called us.
    unsafe { methods(file).xSync.expect("a method")(file, flags) }
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, kind: c_int) -> c_int {
    hear!(Call::Lock);
    // SAFETY: as SQLite called us.
    unsafe { methods(file).xLock.expect("a method")(file, kind) }
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync_names: c_int) -> c_int {
    // SAFETY: as SQLite called us.
    unsafe {
        hear!(Call::Delete { path: named(name) });
        (*real()).xDelete.expect("it removes")(real(), name, sync_names)
    }
}

/// Errors of the system: no room, no room for this user, a broken disk, one that is only read, one without locks.
#[cfg(unix)]
pub const SYSTEM_ERRORS: [c_int; 5] = [libc::ENOSPC, libc::EDQUOT, libc::EIO, libc::EROFS, libc::ENOLCK];
/// `ERROR_DISK_FULL`, `ERROR_DISK_QUOTA_EXCEEDED`, `ERROR_IO_DEVICE`, `ERROR_WRITE_PROTECT`, `ERROR_NOT_SUPPORTED`.
#[cfg(windows)]
pub const SYSTEM_ERRORS: [c_int; 5] = [112, 1_295, 1_117, 19, 50];
