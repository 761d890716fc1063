//! What a file system tells of files and of itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the name of a file leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    File,
    Folder,
    /// A symbolic link, or what is one on Windows: a reparse point that names another place.
    Link,
    Pipe,
    Other,
}

/// What a file system tells of a file. Times are seconds since 1970 and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    pub inode: Inode,
    pub kind: FileType,
    pub length: u64,
    /// When its content last changed.
    pub written: (i64, i64),
    /// When anything of it last changed; for a folder also its names.
    pub changed: (i64, i64),
}

/// The identity of a file: device, number and creation time if known and needed. The number of a removed and closed
/// file may be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    pub(super) device: u64,
    pub(super) number: u128,
    pub(super) made: Option<SystemTime>,
}

impl Inode {
    /// Encodes the identity; different files have different bytes.
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
    /// Its kind, such as `ext4`; a number for other kinds, `None` if unknown.
    pub kind: Option<String>,
    /// Whether shared memory works between processes, and so WAL does. It does not on network file systems and FUSE
    /// unions.
    pub shares_memory: bool,
    /// Bytes available to this user.
    pub free: Option<u64>,
}
