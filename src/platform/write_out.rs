//! Starts writing a file to the disk before a sync waits for it.

use std::path::Path;

/// Starts to write what was written to a file and is only in memory, and waits for none of it. A hint that makes the next sync
/// shorter: it makes nothing durable, and errors do not matter.
pub fn write_out(path: &Path) {
    #[cfg(target_os = "linux")]
    if let Ok(file) = super::files::readable(path) {
        use std::os::fd::AsRawFd;

        // SAFETY: an open descriptor and numbers; length 0 is the whole file.
        unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = path;
}
