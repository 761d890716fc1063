//! Reads the names in folders with their types, without a system call for each name.

use std::fs;
use std::io;
use std::path::Path;

use super::files::{FileFacts, bytes_of, path_from_bytes};

/// Type of a directory entry, as `readdir` returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    Folder,
    Link,
    Other,
    /// The file system does not return the type.
    Unknown,
}

/// The identity of a folder: device and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderId(u64, u128);

impl FolderId {
    /// Returns a folder's identity, following links. Two paths with the same identity lead to the same folder.
    ///
    /// # Errors
    /// Operating system errors.
    pub fn of(path: &Path) -> io::Result<Self> {
        FileFacts::of_target(path).map(|facts| Self(facts.inode.device, facts.inode.number))
    }
}

/// Reads folders one after another, and reuses its buffers.
#[derive(Default)]
pub struct FolderReader {
    /// The names in the folder that was read last, without separators.
    names: Vec<u8>,
    /// The end of each name in `names`, and its type.
    ends: Vec<(usize, FileType)>,
}

impl FolderReader {
    /// Returns a folder's identity, and the names and types of its entries except `.` and `..`, in no fixed order.
    ///
    /// # Errors
    /// Operating system errors, even if they concern only a part of the names.
    pub fn read(&mut self, path: &[u8]) -> io::Result<(FolderId, impl ExactSizeIterator<Item = (&[u8], FileType)>)> {
        self.names.clear();
        self.ends.clear();
        let path = path_from_bytes(path);
        let id = FolderId::of(&path)?;
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_dir() => FileType::Folder,
                Ok(kind) if kind.is_symlink() => FileType::Link,
                Ok(_) => FileType::Other,
                Err(_) => FileType::Unknown,
            };
            self.names.extend_from_slice(bytes_of(&entry.file_name()));
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
#[path = "folder_reader_tests.rs"]
mod tests;
