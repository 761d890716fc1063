//! Starts writing a file to disk before a sync waits for the write.

use std::path::Path;

/// Starts writing a file's dirty pages to disk, without waiting, to shorten the next sync. Ignores errors, since this
/// call makes nothing durable.
pub fn write_out(path: &Path) {
    if let Ok(file) = super::files::open_for_reading(path) {
        super::system::write_out(&file);
    }
}
