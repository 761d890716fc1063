//! Stamps that detect changes to a file by its inode, length and times.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::files::{FileFacts, FileType, Inode};
pub use super::system::boot as boot_id;

/// Resolution of file times, plus a margin. A second write within this time may leave the stamp unchanged.
const SETTLING_TIME: Duration = Duration::from_millis(50);

/// Initial capacity for a stamp in bytes. No stamp is longer.
const LENGTH: usize = 88;

/// The attributes that a file's stamp contains, besides the inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampContent {
    /// Content and metadata.
    All,
    /// Only the content, for a file whose owner and permissions another program may set again.
    Content,
    /// Nothing, for a mapped file, whose times do not show changes.
    Nothing,
}

/// The state of a file at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Identity of the file.
    pub file: Inode,
    /// The encoded attributes.
    pub bytes: Vec<u8>,
    /// Whether the last change is old enough that the next change is certain to alter the stamp. File times have a
    /// limited resolution.
    pub is_settled: bool,
}

impl FileStamp {
    /// Returns a regular file's stamp, which changes when the file changes; `None` if there is no regular file at the
    /// path. `compared`: the attributes that the stamp contains.
    #[must_use]
    pub fn of(path: &Path, compared: StampContent) -> Option<Self> {
        let facts = FileFacts::of(path).ok().filter(|facts| facts.kind == FileType::File)?;
        let times: &[(i64, i64)] = match compared {
            StampContent::All => &[facts.written, facts.changed],
            StampContent::Content => &[facts.written],
            StampContent::Nothing => &[],
        };
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend(facts.inode.bytes());
        if compared != StampContent::Nothing {
            bytes.extend(facts.length.to_le_bytes());
        }
        for (seconds, nanoseconds) in times {
            bytes.extend(seconds.to_le_bytes());
            bytes.extend(nanoseconds.to_le_bytes());
        }
        Some(Self {
            file: facts.inode,
            bytes,
            is_settled: times.iter().copied().all(is_settled),
        })
    }
}

/// Returns whether a file time, in seconds and nanoseconds since 1970, is old enough that a later change is certain to
/// have a different time.
fn is_settled((seconds, nanoseconds): (i64, i64)) -> bool {
    #[cfg(feature = "testing")]
    if super::failpoints::frozen_ms().is_some() {
        return true; // in a simulation, time stands still
    }
    let moment = u64::try_from(seconds)
        .ok()
        .zip(u32::try_from(nanoseconds).ok())
        .and_then(|(seconds, nanoseconds)| UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds) + SETTLING_TIME));
    moment.is_some_and(|moment| moment <= SystemTime::now())
}
