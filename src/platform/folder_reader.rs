//! Reads the names in folders with their types, without a system call for each name.

use std::io;
use std::path::Path;

use super::files::{FileFacts, path_from_bytes};
use super::system::files::read_folder;

/// The identity of a folder: device and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderId(u64, u128);

impl FolderId {
    /// Returns a folder's identity, following links. Two paths with the same identity lead to the same folder.
    ///
    /// # Errors
    /// Operating system errors.
    pub fn of(path: &Path) -> io::Result<Self> {
        FileFacts::of_target(path).map(|facts| Self::from(&facts))
    }
}

impl From<&FileFacts> for FolderId {
    fn from(facts: &FileFacts) -> Self {
        Self(facts.inode.device, facts.inode.number)
    }
}

/// A name in a folder, and whether it is a folder; `None` for a link, or if the file system does not return the type.
type Entry<'n> = (&'n [u8], Option<bool>);

/// Reads folders one after another, and reuses its buffers.
#[derive(Default)]
pub struct FolderReader {
    /// The names in the folder that was read last, without separators.
    names: Vec<u8>,
    /// The end of each name in `names`, and whether it is a folder.
    ends: Vec<(usize, Option<bool>)>,
}

impl FolderReader {
    /// Returns a folder's identity, and its entries except `.` and `..`, in no fixed order.
    ///
    /// # Errors
    /// Operating system errors, even if they concern only a part of the names.
    pub fn read(&mut self, path: &[u8]) -> io::Result<(FolderId, impl ExactSizeIterator<Item = Entry<'_>>)> {
        self.names.clear();
        self.ends.clear();
        let facts = read_folder(&path_from_bytes(path), |name, is_folder| {
            self.names.extend_from_slice(name);
            self.ends.push((self.names.len(), is_folder));
        })?;
        let (names, mut start) = (self.names.as_slice(), 0);
        let names = self.ends.iter().map(move |(end, is_folder)| {
            let name = &names[start..*end];
            start = *end;
            (name, *is_folder)
        });
        Ok(((&facts).into(), names))
    }
}

#[cfg(test)]
#[path = "folder_reader_tests.rs"]
mod tests;
