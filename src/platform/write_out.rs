//! Starts writing a file to the disk before a sync waits for it.

use std::path::Path;

/// Starts to write the dirty pages of a file to the disk, without waiting, to shorten the next sync. Makes nothing
/// durable, so errors do not matter.
pub fn write_out(path: &Path) {
    if let Ok(file) = super::files::readable(path) {
        super::system::write_out(&file);
    }
}
