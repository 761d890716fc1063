//! Files as memory: read-only maps of segments, and the one page that processes share for writing.
//!
//! What makes the maps sound is a promise of ours about the files: an image is written under another name, renamed
//! into place, and never changed or shortened afterwards; the shared page has its full size before it has its name, is
//! never shortened, and is touched through atomics only. Others who change the files *while they are open* are outside
//! the promise (`docs/design/processes.md`): a shortened map is a bus error, whatever language maps it.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use memmap2::{Mmap, MmapOptions, MmapRaw};

use super::files;

/// How a segment is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapMode {
    /// Mapped: nothing is read before it is needed, and all processes share one copy.
    #[default]
    Map,
    /// Read: for file systems where mapping is unreliable.
    Read,
}

/// The bytes of a file that does not change.
pub struct FileBytes {
    /// Points into `owner`, which neither moves nor changes what it owns. Kept so that a lookup does not branch on how the
    /// bytes came here.
    bytes: *const [u8],
    _owner: Owner,
}

enum Owner {
    Map { _map: Mmap },
    Memory { _bytes: Vec<u8> },
}

// SAFETY: the bytes are never written to while this lives, so any thread may read and drop it.
unsafe impl Send for FileBytes {}
// SAFETY: as above.
unsafe impl Sync for FileBytes {}

impl FileBytes {
    /// Maps or reads the file. One that cannot be mapped is read: on a file system without maps, or when the process has
    /// as many as it may have.
    ///
    /// # Errors
    /// Those of opening and reading.
    pub fn open(path: &Path, mode: MapMode) -> io::Result<Self> {
        let mut file = files::readable(path)?;
        match mode {
            MapMode::Map => {
                // SAFETY: a segment is neither changed nor shortened once it has its name; see the module's promise.
                let Ok(map) = (unsafe { MmapOptions::new().map(&file) }) else {
                    return Self::open(path, MapMode::Read);
                };
                Ok(Self {
                    bytes: &raw const *map,
                    _owner: Owner::Map { _map: map },
                })
            }
            MapMode::Read => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                Ok(Self::from(bytes))
            }
        }
    }
}

impl FileBytes {
    /// Asks for the cache line of a byte without waiting for it. Beyond the end: for none.
    #[inline]
    pub fn prefetch(&self, at: usize) {
        if at < self.len() {
            // SAFETY: within the bytes.
            let byte = unsafe { self.as_ptr().add(at) };
            prefetch(byte);
        }
    }
}

/// Asks for the cache line of an address without waiting for it, whatever is there.
#[inline]
pub fn prefetch(byte: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: it changes no memory and faults for no address; every x86_64 has it.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(byte.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{byte}]", byte = in(reg) byte, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = byte;
}

impl From<Vec<u8>> for FileBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes: &raw const *bytes.as_slice(),
            _owner: Owner::Memory { _bytes: bytes },
        }
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `bytes` points to what the owner holds: a map, or a vector that is never touched again. Both stay where
        // they are when the owner moves, are not written to, and live as long as `self`.
        unsafe { &*self.bytes }
    }
}

/// How many bytes a shared page has.
pub const PAGE: usize = 4096;

/// How often a word is looked at where no one can be woken by it.
const LOOKED: Duration = Duration::from_millis(50);

/// One page of a file, mapped shared and writable.
pub struct SharedPage(MmapRaw);

impl SharedPage {
    /// Maps the first page of a file that is open for reading and writing and has [`PAGE`] bytes at least.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] for a shorter file, and those of mapping.
    pub fn map(file: &File) -> io::Result<Self> {
        // Touching a page behind the file's end would be a bus error.
        if file.metadata()?.len() < PAGE as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self(MmapOptions::new().len(PAGE).map_raw(file)?))
    }

    /// The page as words that any number of processes may use at once.
    #[must_use]
    #[allow(clippy::cast_ptr_alignment)] // A page is aligned to more than a word.
    pub fn words(&self) -> &[AtomicU64; PAGE / 8] {
        // SAFETY: the map is PAGE bytes long, aligned to a page, readable and writable, and lives as long as `self`. It is
        // only ever touched through atomics, by every process.
        unsafe { &*self.0.as_ptr().cast::<[AtomicU64; PAGE / 8]>() }
    }

    /// Waits while the word at `at` has this value: until another process or thread changed it and called [`Self::wake`], a
    /// signal's handler ran in this thread, or the time is over. It may return for nothing.
    pub fn wait(&self, at: usize, value: u64, most: Duration) {
        let word = &self.words()[at];
        #[cfg(all(any(target_os = "linux", target_os = "android"), target_pointer_width = "64"))]
        {
            let seconds = i64::try_from(most.as_secs()).unwrap_or(i64::MAX);
            let left = libc::timespec {
                tv_sec: seconds,
                tv_nsec: most.subsec_nanos().into(),
            };
            // SAFETY: the kernel reads four bytes of a mapped word and a time on the stack. Without FUTEX_PRIVATE_FLAG the word
            // is known by its file, so all processes that have the page mapped mean the same one.
            let done = unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    low_half(word),
                    libc::FUTEX_WAIT,
                    changing(value),
                    &raw const left,
                )
            };
            let error = io::Error::last_os_error().raw_os_error();
            if done == 0 || matches!(error, Some(libc::EAGAIN | libc::EINTR | libc::ETIMEDOUT)) {
                return;
            }
        }
        // No such call here, or it is not allowed: who waits looks again soon.
        if word.load(Ordering::SeqCst) == value {
            std::thread::sleep(most.min(LOOKED));
        }
    }

    /// Wakes all who wait for the word at `at` to change.
    pub fn wake(&self, at: usize) {
        #[cfg(all(any(target_os = "linux", target_os = "android"), target_pointer_width = "64"))]
        // SAFETY: the kernel reads no more than the address. What fails wakes none, and they look again in time.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                low_half(&self.words()[at]),
                libc::FUTEX_WAKE,
                libc::c_int::MAX,
            );
        }
        #[cfg(not(all(any(target_os = "linux", target_os = "android"), target_pointer_width = "64")))]
        let _ = (self, at);
    }
}

/// Where the half of a word lies that a number that is counted up changes each time.
#[cfg(all(any(target_os = "linux", target_os = "android"), target_pointer_width = "64"))]
fn low_half(word: &AtomicU64) -> *const u32 {
    let half = usize::from(cfg!(target_endian = "big"));
    word.as_ptr().cast::<u32>().wrapping_add(half)
}

/// What of a value lies there.
#[cfg(all(any(target_os = "linux", target_os = "android"), target_pointer_width = "64"))]
#[allow(clippy::cast_possible_truncation)] // that is meant
fn changing(value: u64) -> u32 {
    value as u32
}
