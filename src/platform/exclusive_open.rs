//! Detects files that other code in this process has open.
//!
//! POSIX locks belong to a process, and closing any descriptor of a file releases all of the process's locks on the
//! file. Two copies of this library contain two copies of SQLite, which would not see each other's locks, and would
//! release them. The detection works only on Linux. Windows needs no detection, since its locks belong to handles.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::files::Inode;
use super::mutex::lock;
use super::system;

/// A file that no other code in this process had open when it was registered. Drop this value after closing the file.
#[derive(Debug)]
pub struct ExclusiveOpen(Inode);

/// The files that this copy of the library has open, each with its name and its number of users.
static OPEN: Mutex<Vec<(Inode, PathBuf, u32)>> = Mutex::new(Vec::new());

impl ExclusiveOpen {
    /// Registers a file that this copy of the library is about to open; `None` if other code in this process has the
    /// file open. Does not detect code that opens the file later. `file`: the identity of the file at `path`.
    ///
    /// Some file systems, such as bindfs, change a file's identity while it is open. So if this copy has opened a file
    /// with this name, an open file with the name counts as this copy's own.
    pub fn register(path: &Path, file: Inode) -> Option<Self> {
        let mut open = lock(&OPEN);
        let has_name = open.iter().any(|(_, open_path, _)| open_path == path);
        match open.iter_mut().find(|(open_file, ..)| *open_file == file) {
            Some((.., count)) => *count += 1,
            None if !has_name && system::is_open(path, file) => return None,
            None => open.push((file, path.to_owned(), 1)),
        }
        Some(Self(file))
    }
}

impl Drop for ExclusiveOpen {
    /// Removes one user of the file.
    fn drop(&mut self) {
        let mut open = lock(&OPEN);
        for (.., count) in open.iter_mut().filter(|(open_file, ..)| *open_file == self.0) {
            *count -= 1;
        }
        open.retain(|(.., count)| *count > 0);
        if open.is_empty() {
            *open = Vec::new(); // an unloaded library must leave no memory behind
        }
    }
}
