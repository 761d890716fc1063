//! Memory-mapped files: read-only maps of segments, and the one writable page that processes share.
//!
//! The maps are sound because the files follow rules. A segment is written under a temporary name, renamed into place,
//! and never changed or truncated afterwards. The file with the shared page is extended to its full size before it is
//! renamed into place, is never truncated, and is accessed only through atomics. Changes by other programs *while the
//! files are open* are out of scope (`docs/design/processes.md`): in any language, accessing a truncated map causes a
//! bus error.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use memmap2::{Mmap, MmapOptions, MmapRaw};

use super::files;

/// The method for loading a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapMode {
    /// Map the file: pages are read on demand, and all processes share one copy.
    #[default]
    Map,
    /// Read the file into memory, for file systems on which mapping is unreliable.
    Read,
}

/// The content of a file that does not change.
pub struct FileBytes {
    /// Points into `_owner`, whose content neither moves nor changes, so that lookups need not check the kind of owner.
    bytes: *const [u8],
    _owner: Owner,
}

enum Owner {
    Map { _map: Mmap },
    Memory { _bytes: Vec<u8> },
}

// SAFETY: the bytes are never written to while the value lives, so any thread can read and drop it.
unsafe impl Send for FileBytes {}
// SAFETY: as above.
unsafe impl Sync for FileBytes {}

impl FileBytes {
    /// Maps or reads the file, depending on `mode`. Also reads the file if the system cannot map it, for example
    /// because the file system does not support maps, or the process has too many maps.
    ///
    /// # Errors
    /// Errors from opening or reading the file.
    pub fn open(path: &Path, mode: MapMode) -> io::Result<Self> {
        Self::from_file(files::open_for_reading(path)?, mode)
    }

    /// Maps or reads an open file, depending on `mode`. Also reads the file if the system cannot map it. Another
    /// process may have removed the file's name.
    ///
    /// # Errors
    /// Errors from reading the file.
    pub fn from_file(mut file: File, mode: MapMode) -> io::Result<Self> {
        if matches!(mode, MapMode::Map) {
            // SAFETY: a segment is neither changed nor truncated once it has its name; see the module's comment.
            if let Ok(map) = unsafe { MmapOptions::new().map(&file) } {
                return Ok(Self {
                    bytes: &raw const *map,
                    _owner: Owner::Map { _map: map },
                });
            }
        }
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(Self::from(bytes))
    }
}

impl FileBytes {
    /// Prefetches the cache line at an offset. Has no effect if the offset is beyond the end.
    #[inline]
    pub fn prefetch(&self, offset: usize) {
        if offset < self.len() {
            // SAFETY: the offset is within the bytes.
            let byte = unsafe { self.as_ptr().add(offset) };
            prefetch(byte);
        }
    }
}

/// Prefetches the cache line at an address. Any address is allowed.
#[inline]
pub fn prefetch(byte: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch changes no memory and never faults, and every x86_64 processor supports it.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(byte.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a prefetch changes no memory and never faults.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{byte}]", byte = in(reg) byte, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = byte;
}

impl From<Vec<u8>> for FileBytes {
    /// Wraps bytes that were read into memory.
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes: &raw const *bytes.as_slice(),
            _owner: Owner::Memory { _bytes: bytes },
        }
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    /// Returns the map's or the vector's bytes.
    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `bytes` points to the content of the owner, a map or a vector. The content does not move with the
        // owner, is not written to, and lives as long as `self`.
        unsafe { &*self.bytes }
    }
}

/// Size of a shared page in bytes.
pub const PAGE: usize = 4096;

// 32-bit and 64-bit processes can share a page, and a word that spans two cache lines would not be atomic.
const _: () = assert!(size_of::<[AtomicU64; PAGE / 8]>() == PAGE && align_of::<AtomicU64>() == 8);

/// One page of a file, mapped as shared and writable.
pub struct SharedPage(MmapRaw);

impl SharedPage {
    /// Maps the first page of a file that is open for reading and writing and has at least [`PAGE`] bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] for a shorter file; also errors from mapping the file.
    pub fn map(file: &File) -> io::Result<Self> {
        // Accessing a page beyond the end of the file would cause a bus error.
        if file.metadata()?.len() < PAGE as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self(MmapOptions::new().len(PAGE).map_raw(file)?))
    }

    /// Returns the page as atomic words, which any number of processes can use concurrently.
    #[must_use]
    #[allow(clippy::cast_ptr_alignment)] // A page is aligned to more than a word.
    pub fn words(&self) -> &[AtomicU64; PAGE / 8] {
        // SAFETY: the map is PAGE bytes long, aligned to a page, readable and writable, and lives as long as `self`.
        // Every process accesses the page only through atomics.
        unsafe { &*self.0.as_ptr().cast::<[AtomicU64; PAGE / 8]>() }
    }
}
