//! Replaces a system call that SQLite makes, and knows its limit for paths.

use std::ffi::c_int;

use rusqlite::ffi::sqlite3_vfs_find;

/// Length in bytes of the longest path of a database that SQLite opens.
pub const MAX_DATABASE_PATH: usize = 504;

/// Prevents this copy of SQLite from changing the owner of files while `keeps` returns `true`. A change of owner
/// would also change file times, and take files away from other users. Only the first call has an effect.
pub fn suppress_chown_while(keeps: fn() -> bool) {
    /// The condition, for which `chown` has no parameter, since it has the system call's signature.
    static KEEPS: std::sync::OnceLock<fn() -> bool> = std::sync::OnceLock::new();
    /// Replaces `fchown`: succeeds without effect while the condition is true.
    unsafe extern "C" fn chown(file: c_int, user: libc::uid_t, group: libc::gid_t) -> c_int {
        if KEEPS.get().is_some_and(|keeps| keeps()) {
            return 0;
        }
        // SAFETY: the arguments are plain numbers.
        unsafe { libc::fchown(file, user, group) }
    }
    if KEEPS.set(keeps).is_err() {
        return;
    }
    // SAFETY: the default VFS accepts a replacement for each system call in its table. The replacement has the same
    // signature, and stays loaded as long as SQLite's code, which is in the same library.
    unsafe {
        let vfs = sqlite3_vfs_find(std::ptr::null());
        if let Some(set) = vfs.as_ref().and_then(|vfs| vfs.xSetSystemCall) {
            type Chown = unsafe extern "C" fn(c_int, libc::uid_t, libc::gid_t) -> c_int;
            set(
                vfs,
                c"fchown".as_ptr(),
                Some(std::mem::transmute::<Chown, unsafe extern "C" fn()>(chown)),
            );
        }
    }
}
