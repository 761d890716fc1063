//! Stamps that detect a changed file: inode, length and modification time.

use std::fs;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::clock::{file_clock, is_held};
use super::files::Inode;

/// The clocks of file systems stand still for some milliseconds at a time: what is written meanwhile leaves no trace.
const SETTLED: Duration = Duration::from_millis(50);

/// Nanoseconds: a file system that counts no parts of this is not relied upon, and one that does has noted less than this
/// too early.
const COUNTED: i64 = 1_000_000;

/// Bytes of a stamp at most.
const LENGTH: usize = 80;

/// The attributes of a file that are compared besides its inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Its content and its facts.
    All,
    /// Its content: its owner and its rights are set again now and then.
    Content,
    /// Nothing: it is mapped, and then its times say little.
    Nothing,
}

/// A file as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Which file it is.
    pub file: Inode,
    /// Equal for the same file with the same content, if that is settled.
    pub bytes: Vec<u8>,
    /// Whether it was left alone for long enough for its times to tell the next change.
    pub is_settled: bool,
}

impl FileStamp {
    /// The regular file that has this name now.
    #[must_use]
    pub fn of(path: &Path, compared: Compared) -> Option<Self> {
        let facts = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
        let written = (facts.mtime(), facts.mtime_nsec());
        let changed = (facts.ctime(), facts.ctime_nsec());
        let times: &[(i64, i64)] = match compared {
            Compared::All => &[written, changed],
            Compared::Content => &[written],
            Compared::Nothing => &[],
        };
        let file = Inode::new(&facts);
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend(file.bytes());
        if compared != Compared::Nothing {
            bytes.extend(facts.len().to_le_bytes());
        }
        for (seconds, nanoseconds) in times {
            bytes.extend(seconds.to_le_bytes());
            bytes.extend(nanoseconds.to_le_bytes());
        }
        Some(Self {
            file,
            bytes,
            is_settled: times.iter().copied().all(is_settled),
        })
    }
}

/// A folder as it was at one moment: which one it is, and when its names changed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderStamp {
    folder: Inode,
    changed: (i64, i64),
}

impl FolderStamp {
    /// The folder that has this name now.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let facts = fs::symlink_metadata(path).ok()?;
        Some(Self {
            folder: Inode::new(&facts),
            changed: (facts.ctime(), facts.ctime_nsec()),
        })
    }

    /// Whether each change of a name in it from now on makes another stamp, on a file system that has this machine's clock: that
    /// has gone on since, and parts of a millisecond are counted.
    #[must_use]
    pub fn tells(&self) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let counts = nanoseconds % COUNTED != 0;
        let later = match nanoseconds + COUNTED {
            more if more < 1_000_000_000 => (seconds, more),
            more => (seconds + 1, more - 1_000_000_000),
        };
        // In a simulation no time goes by for the host, and this clock does.
        !is_held() && counts && later < file_clock()
    }
}

fn is_settled((seconds, nanoseconds): (i64, i64)) -> bool {
    if is_held() {
        return true; // in a simulation no time goes by
    }
    let moment = u64::try_from(seconds)
        .ok()
        .zip(u32::try_from(nanoseconds).ok())
        .and_then(|(seconds, nanoseconds)| UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds) + SETTLED));
    moment.is_some_and(|moment| moment <= SystemTime::now())
}

/// What tells one run of this machine from another: after a power cut a file may be older than it was. `None` where the
/// system does not say.
#[must_use]
pub fn boot() -> Option<Vec<u8>> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // All of it comes with one read.
        let mut id = [0; 64];
        let mut file = fs::File::open("/proc/sys/kernel/random/boot_id").ok()?;
        let length = file.read(&mut id).ok().filter(|length| *length >= 32)?;
        Some(id[..length].to_vec())
    }
    #[cfg(target_vendor = "apple")]
    {
        let mut id = vec![0_u8; 64];
        let mut length = id.len();
        // SAFETY: the name ends with a NUL, and the call writes at most `length` bytes into a buffer of ours.
        let told = unsafe {
            libc::sysctlbyname(
                c"kern.bootsessionuuid".as_ptr(),
                id.as_mut_ptr().cast(),
                &raw mut length,
                std::ptr::null_mut(),
                0,
            )
        };
        id.truncate(length);
        (told == 0 && id.len() >= 32).then_some(id)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    None
}

#[cfg(test)]
#[path = "stamp_tests.rs"]
mod tests;
