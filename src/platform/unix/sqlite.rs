//! Replaces a system call that SQLite makes.

use std::ffi::c_int;

use rusqlite::ffi::sqlite3_vfs_find;

/// Prevents this copy of SQLite from changing the owner of files while `keeps` returns `true`. Such a change would
/// also change file times, and take files away from other users. Only the first call has an effect.
pub fn keep_owner_if(keeps: fn() -> bool) {
    /// The condition: the function below has the signature of the system call.
    static KEEPS: std::sync::OnceLock<fn() -> bool> = std::sync::OnceLock::new();
    /// Replaces `fchown`: succeeds without effect while the condition is true.
    unsafe extern "C" fn chown(file: c_int, user: libc::uid_t, group: libc::gid_t) -> c_int {
        if KEEPS.get().is_some_and(|keeps| keeps()) {
            return 0;
        }
        // SAFETY: numbers.
        unsafe { libc::fchown(file, user, group) }
    }
    if KEEPS.set(keeps).is_err() {
        return;
    }
    // SAFETY: the default VFS takes a function for each system call that it names. This function has the same
    // signature, and is loaded as long as SQLite's code, which is in the same file.
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
