//! Whether a file is open in this process behind this library's back.
//!
//! POSIX locks belong to a process, and go when it closes any descriptor of the file. So two copies of `SQLite` in one process
//! do not see each other's locks, and take each other's away. Two copies of this library are two of `SQLite`.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use super::files::Inode;
use super::mutex::lock;

/// A file that no other code of this process had open when this copy of the library opened it. Dropped once it is closed.
#[derive(Debug)]
pub struct ExclusiveOpen(Inode);

/// Those files, and how often this copy has each open.
static OPEN: Mutex<Vec<(Inode, u32)>> = Mutex::new(Vec::new());

impl ExclusiveOpen {
    /// To be taken before the file is opened; `None` when other code has it open. What is opened later is not noticed.
    pub fn take(path: &Path, file: Inode) -> Option<Self> {
        let mut open = lock(&OPEN);
        match open.iter_mut().find(|(known, _)| *known == file) {
            Some((_, count)) => *count += 1,
            None if is_open(path, file) => return None,
            None => open.push((file, 1)),
        }
        Some(Self(file))
    }
}

impl Drop for ExclusiveOpen {
    fn drop(&mut self) {
        let mut open = lock(&OPEN);
        for (_, count) in open.iter_mut().filter(|(known, _)| *known == self.0) {
            *count -= 1;
        }
        open.retain(|(_, count)| *count > 0);
        if open.is_empty() {
            *open = Vec::new(); // nothing is left behind when the library is unloaded
        }
    }
}

/// Whether this process has it open, as far as the system tells: Linux does.
fn is_open(path: &Path, file: Inode) -> bool {
    let Ok(descriptors) = fs::read_dir("/proc/self/fd") else {
        return false;
    };
    descriptors.flatten().map(|one| one.path()).any(|one| {
        // Reads the facts of the named file only: a disk that hangs is not touched.
        fs::read_link(&one).is_ok_and(|target| target.file_name() == path.file_name())
            && fs::metadata(&one).is_ok_and(|facts| Inode::new(&facts) == file)
    })
}
