//! Facts about files and file systems.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    File,
    Folder,
    /// A symbolic link; on Windows, a reparse point that leads to another path.
    Link,
    Pipe,
    Other,
}

/// Facts about a file. A time consists of seconds since 1970 and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    pub inode: Inode,
    pub kind: FileType,
    pub length: u64,
    /// Time of the last change to the content.
    pub written: (i64, i64),
    /// Time of the last change to the content or metadata; for a folder, also to its entries.
    pub changed: (i64, i64),
}

/// The identity of a file: device, number, and creation time if known. The creation time distinguishes a file from a
/// removed file whose number the system has reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    pub(super) device: u64,
    pub(super) number: u128,
    pub(super) made: Option<SystemTime>,
}

impl Inode {
    /// Encodes the identity in bytes that are different for different files: device, number and creation time. The last
    /// byte is 0 if the creation time is missing, 2 if it is before 1970, and otherwise 1.
    pub(super) fn bytes(&self) -> [u8; 37] {
        let Self { device, number, made } = self;
        let since = made.map(|made| made.duration_since(UNIX_EPOCH));
        let (has_time, since) = match since {
            None => (0, Duration::ZERO),
            Some(Ok(since)) => (1, since),
            Some(Err(before)) => (2, before.duration()),
        };
        let mut bytes = [has_time; 37];
        bytes[..8].copy_from_slice(&device.to_le_bytes());
        bytes[8..24].copy_from_slice(&number.to_le_bytes());
        bytes[24..32].copy_from_slice(&since.as_secs().to_le_bytes());
        bytes[32..36].copy_from_slice(&since.subsec_nanos().to_le_bytes());
        bytes
    }
}

/// Properties of a file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSystem {
    /// Name of the file system's type, such as `ext4`, or the number of an unnamed type; `None` if unknown.
    pub kind: Option<String>,
    /// Whether processes can share memory through a file, as WAL requires. Network file systems and FUSE do not allow
    /// this.
    pub shares_memory: bool,
    /// Bytes available to this user.
    pub free: Option<u64>,
}
