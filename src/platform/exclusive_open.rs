//! Detects files that other code in this process has open.
//!
//! POSIX locks belong to a process, and closing any descriptor of a file releases them. Two copies of this library
//! contain two copies of SQLite, which would not see each other's locks, and would release them. The detection works
//! only on Linux. On Windows, locks belong to handles, so there is nothing to detect.

use std::path::Path;
use std::sync::Mutex;

use super::files::Inode;
use super::mutex::lock;
use super::system;

/// A file that no other code of this process had open when this copy of the library opened it. Drop it after closing
/// the file.
#[derive(Debug)]
pub struct ExclusiveOpen(Inode);

/// The files that this copy of the library has open, each with the number of its users.
static OPEN: Mutex<Vec<(Inode, u32)>> = Mutex::new(Vec::new());

impl ExclusiveOpen {
    /// Notes that this copy of the library opens the file. Returns `None` if other code has it open. Call this before
    /// opening the file. It does not detect code that opens the file later.
    pub fn take(path: &Path, file: Inode) -> Option<Self> {
        let mut open = lock(&OPEN);
        match open.iter_mut().find(|(open_file, _)| *open_file == file) {
            Some((_, count)) => *count += 1,
            None if system::is_open(path, file) => return None,
            None => open.push((file, 1)),
        }
        Some(Self(file))
    }
}

impl Drop for ExclusiveOpen {
    /// Notes that one user of the file has closed it.
    fn drop(&mut self) {
        let mut open = lock(&OPEN);
        for (_, count) in open.iter_mut().filter(|(open_file, _)| *open_file == self.0) {
            *count -= 1;
        }
        open.retain(|(_, count)| *count > 0);
        if open.is_empty() {
            *open = Vec::new(); // an unloaded library must leave no memory behind
        }
    }
}
