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

/// Facts about a file. Times are seconds since 1970 and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    pub inode: Inode,
    pub kind: FileType,
    pub length: u64,
    /// Time of the last change of the content.
    pub written: (i64, i64),
    /// Time of the last change of content or metadata; for a folder also of its names.
    pub changed: (i64, i64),
}

/// The identity of a file: device, number, and creation time if known. The time distinguishes a file from a removed one
/// whose number the system reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    pub(super) device: u64,
    pub(super) number: u128,
    pub(super) made: Option<SystemTime>,
}

impl Inode {
    /// Encodes the identity, so that different files have different bytes. The last byte says whether the time is
    /// missing (0), after 1970 (1) or before (2).
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
pub struct Disk {
    /// The name of its type, such as `ext4`, or the number of an unnamed type; `None` if unknown.
    pub kind: Option<String>,
    /// Whether shared memory works between processes, which WAL needs. Network file systems and FUSE do not support it.
    pub shares_memory: bool,
    /// Bytes available to this user.
    pub free: Option<u64>,
}
