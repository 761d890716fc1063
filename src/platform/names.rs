//! The names in folders, and what they are, without a call of the system for each.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use super::files::{bytes_of, named};

/// Type of a directory entry, as `readdir` returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    Folder,
    Link,
    Other,
    /// The file system does not say.
    Unknown,
}

/// A folder by its device and inode, whatever its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderId(u64, u64);

impl FolderId {
    pub fn of(facts: &fs::Metadata) -> Self {
        Self(facts.dev(), facts.ino())
    }
}

/// Reads folders one after the other.
#[derive(Default)]
pub struct FolderReader {
    /// What the last folder had: all names, and where each ends and what it is.
    names: Vec<u8>,
    ends: Vec<(usize, EntryKind)>,
}

impl FolderReader {
    /// Which folder it is, and the names in it, but for itself and the one above, in no order.
    ///
    /// # Errors
    /// The operating system's: then nothing is known of the folder.
    pub fn read(&mut self, path: &[u8]) -> io::Result<(FolderId, impl ExactSizeIterator<Item = (&[u8], EntryKind)>)> {
        self.names.clear();
        self.ends.clear();
        let path = named(path);
        let id = FolderId::of(&fs::metadata(&path)?);
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_dir() => EntryKind::Folder,
                Ok(kind) if kind.is_symlink() => EntryKind::Link,
                Ok(_) => EntryKind::Other,
                Err(_) => EntryKind::Unknown,
            };
            self.names.extend_from_slice(bytes_of(entry.file_name().as_ref()));
            self.ends.push((self.names.len(), kind));
        }
        let (names, mut start) = (self.names.as_slice(), 0);
        let names = self.ends.iter().map(move |(end, kind)| {
            let name = &names[start..*end];
            start = *end;
            (name, *kind)
        });
        Ok((id, names))
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
