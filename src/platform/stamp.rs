//! What tells that a file is as it was: which file it is, how long, and when it was last changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::clock::is_held;
use super::files::Inode;

/// The clocks of file systems stand still for some milliseconds at a time: what is written meanwhile leaves no trace.
const SETTLED: Duration = Duration::from_millis(50);

/// What of a file is compared, besides which file it is.
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
pub struct Stamp {
    /// Which file it is.
    pub file: Inode,
    /// Equal for the same file with the same content, if that is settled.
    pub bytes: Vec<u8>,
    /// Whether it was left alone for long enough for its times to tell the next change.
    pub is_settled: bool,
}

impl Stamp {
    /// The regular file that has this name now.
    #[must_use]
    pub fn of(path: &Path, compared: Compared) -> Option<Self> {
        let facts = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
        let written = (facts.mtime(), facts.mtime_nsec());
        let changed = (facts.ctime(), facts.ctime_nsec());
        let times = match compared {
            Compared::All => vec![written, changed],
            Compared::Content => vec![written],
            Compared::Nothing => Vec::new(),
        };
        let length = (compared != Compared::Nothing).then_some(facts.len());
        let bytes = format!("{:?} {length:?} {times:?}", Inode::new(&facts));
        Some(Self {
            file: Inode::new(&facts),
            bytes: bytes.into_bytes(),
            is_settled: times.into_iter().all(is_settled),
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

    /// Whether each later change of a name in it makes another stamp: it was left alone for long enough, and its file system
    /// counts parts of a millisecond.
    #[must_use]
    pub fn tells(&self) -> bool {
        !is_held() && self.changed.1 % 1_000_000 != 0 && is_settled(self.changed)
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
        fs::read("/proc/sys/kernel/random/boot_id")
            .ok()
            .filter(|id| id.len() >= 32)
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
