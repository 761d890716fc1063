//! Spools: temporary byte sequences. A short spool stays in memory; a longer spool uses an unlinked file.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::platform::files;

/// Size of a spool's write buffer, and maximum size of a read buffer, in bytes.
const BUFFER_SIZE: usize = if cfg!(test) { 8 << 10 } else { 256 << 10 };
/// Maximum total size of all read buffers for a spool, in bytes.
const MAX_READ_BUFFERS: usize = 4 << 20;

/// Returns a unique path for a temporary file beside `path`. If the process is killed, plexindex later removes the
/// file, which it recognizes by the suffix.
pub fn temporary(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{number}.new", std::process::id()));
    path.with_file_name(name)
}

/// Reserves memory for this number of further elements. Fails if there is too little memory, whereas a plain allocation
/// would abort the host.
pub fn reserve<T>(list: &mut Vec<T>, further_elements: usize) -> io::Result<()> {
    list.try_reserve(further_elements)
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))
}

/// A temporary sequence of bytes. All writes must come before the first read.
pub struct Spool {
    /// The path beside which the spool creates its file.
    sibling_path: PathBuf,
    file: Option<File>,
    /// Number of bytes in the file.
    written: u64,
    /// The bytes that are not in the file yet.
    tail: Vec<u8>,
}

impl Spool {
    /// Creates an empty spool. Once its buffer is full, the spool creates a file beside `place`.
    pub fn new(place: &Path) -> Self {
        Self {
            sibling_path: place.to_path_buf(),
            file: None,
            written: 0,
            tail: Vec::new(),
        }
    }

    pub fn len(&self) -> u64 {
        self.written + self.tail.len() as u64
    }

    /// Appends bytes to the buffer. Writes the buffer to the file once it is full.
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        reserve(&mut self.tail, bytes.len())?;
        self.tail.extend_from_slice(bytes);
        if self.tail.len() >= BUFFER_SIZE {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(files::create_temporary(&temporary(&self.sibling_path))?),
            };
            file.write_all(&self.tail)?;
            self.written += self.tail.len() as u64;
            self.tail.clear();
        }
        Ok(())
    }

    /// Fills `buffer` with the bytes at `offset`. Fails if the spool contains too few bytes.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        // The first bytes may be in the file, and the rest in the buffer.
        let in_file = usize::try_from(self.written.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (from_file, from_tail) = buffer.split_at_mut(in_file.min(buffer.len()));
        if let Some(file) = self.file.as_ref().filter(|_| !from_file.is_empty()) {
            files::read_at(file, from_file, offset)?;
        }
        let tail_offset = usize::try_from(offset.saturating_sub(self.written)).unwrap_or(usize::MAX);
        let tail = self
            .tail
            .get(tail_offset..)
            .and_then(|tail| tail.get(..from_tail.len()));
        from_tail.copy_from_slice(tail.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    /// Passes all bytes to `each`, in order and in chunks of any length.
    pub fn for_each_chunk(&self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut chunk = Vec::new();
        let mut offset = 0;
        while offset < self.written {
            let unread = usize::try_from(self.written - offset).unwrap_or(usize::MAX);
            let length = unread.min(BUFFER_SIZE);
            chunk.clear();
            reserve(&mut chunk, length)?;
            chunk.resize(length, 0);
            self.read(offset, &mut chunk)?;
            each(&chunk)?;
            offset += length as u64;
        }
        each(&self.tail)
    }
}

/// Reads a range of a spool.
pub struct SpoolReader<'s> {
    spool: &'s Spool,
    /// Offset of the first byte after the buffered bytes.
    offset: u64,
    end: u64,
    /// Number of bytes to read from the spool at once.
    read_size: usize,
    buffer: Vec<u8>,
    /// Number of buffered bytes that have already been returned.
    taken: usize,
}

impl<'s> SpoolReader<'s> {
    /// Creates a reader for the bytes `begin..end` of a spool. `readers` is the number of readers that share
    /// [`MAX_READ_BUFFERS`].
    pub fn new(spool: &'s Spool, begin: u64, end: u64, readers: usize) -> Self {
        Self {
            spool,
            offset: begin,
            end,
            read_size: (MAX_READ_BUFFERS / readers.max(1)).clamp(4 << 10, BUFFER_SIZE),
            buffer: Vec::new(),
            taken: 0,
        }
    }

    /// Returns whether all bytes have been returned.
    pub fn is_exhausted(&self) -> bool {
        self.taken == self.buffer.len() && self.offset == self.end
    }

    /// Returns the next `count` bytes. Fails if fewer bytes remain.
    pub fn take(&mut self, count: usize) -> io::Result<&[u8]> {
        let buffered = self.buffer.len() - self.taken;
        if buffered < count {
            let unread = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
            let to_read = self.read_size.max(count - buffered).min(unread);
            if to_read < count - buffered {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // Keep the buffered bytes that have not been returned, and append more.
            self.buffer.drain(..self.taken);
            self.taken = 0;
            reserve(&mut self.buffer, to_read)?;
            self.buffer.resize(buffered + to_read, 0);
            self.spool.read(self.offset, &mut self.buffer[buffered..])?;
            self.offset += to_read as u64;
        }
        self.taken += count;
        Ok(&self.buffer[self.taken - count..self.taken])
    }
}
