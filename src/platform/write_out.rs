//! Starts writing a file to the disk before a sync waits for it.

use std::path::Path;

/// Starts to write the dirty pages of a file to the disk, without waiting. This makes the next sync shorter, but makes
/// nothing durable, so errors do not matter.
pub fn write_out(path: &Path) {
    #[cfg(target_os = "linux")]
    if let Ok(file) = super::files::readable(path) {
        use std::os::fd::AsRawFd;

        // SAFETY: a plain call with an open descriptor and numbers. Length 0 means the whole file.
        unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = path;
}
