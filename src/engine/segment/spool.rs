//! Spools: buffered bytes in unlinked temporary files.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::platform::files;

/// Size of a spool's write buffer, and maximum size of a read buffer.
const BUFFER_SIZE: usize = if cfg!(test) { 8 << 10 } else { 256 << 10 };
/// Maximum size of the read buffers of all runs together.
const MAX_READ_BUFFERS: usize = 4 << 20;

/// A unique temporary name beside `path`. Sweeping removes it after a kill.
pub fn temporary(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{number}.new", std::process::id()));
    path.with_file_name(name)
}

/// Reserves memory, or returns an error. A failed allocation would abort the host.
pub fn reserve<T>(list: &mut Vec<T>, more: usize) -> io::Result<()> {
    list.try_reserve(more)
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))
}

/// A sequence of bytes: appended first, read afterwards.
pub struct Spool {
    /// Its file is created beside this path.
    place: PathBuf,
    file: Option<File>,
    /// Bytes in the file.
    written: u64,
    tail: Vec<u8>,
}

impl Spool {
    pub fn new(place: &Path) -> Self {
        Self {
            place: place.to_path_buf(),
            file: None,
            written: 0,
            tail: Vec::new(),
        }
    }

    pub fn len(&self) -> u64 {
        self.written + self.tail.len() as u64
    }

    pub fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        reserve(&mut self.tail, bytes.len())?;
        self.tail.extend_from_slice(bytes);
        if self.tail.len() >= BUFFER_SIZE {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(files::unnamed(&temporary(&self.place))?),
            };
            file.write_all(&self.tail)?;
            self.written += self.tail.len() as u64;
            self.tail.clear();
        }
        Ok(())
    }

    /// Reads bytes from `at`, all of which were written.
    fn read(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        let in_file = usize::try_from(self.written.saturating_sub(at)).unwrap_or(usize::MAX);
        let (front, back) = to.split_at_mut(in_file.min(to.len()));
        if let Some(file) = self.file.as_ref().filter(|_| !front.is_empty()) {
            files::read_at(file, front, at)?;
        }
        let from = usize::try_from(at.saturating_sub(self.written)).unwrap_or(usize::MAX);
        let rest = self.tail.get(from..).and_then(|tail| tail.get(..back.len()));
        back.copy_from_slice(rest.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    /// Calls `each` with all bytes in order.
    pub fn all(&self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut chunk = Vec::new();
        let mut at = 0;
        while at < self.written {
            let length = usize::try_from(self.written - at).map_or(BUFFER_SIZE, |left| left.min(BUFFER_SIZE));
            chunk.clear();
            reserve(&mut chunk, length)?;
            chunk.resize(length, 0);
            self.read(at, &mut chunk)?;
            each(&chunk)?;
            at += length as u64;
        }
        each(&self.tail)
    }
}

/// Reads a range of a spool.
pub struct SpoolReader<'s> {
    spool: &'s Spool,
    /// The offset after the buffered bytes.
    at: u64,
    end: u64,
    /// Number of bytes to read at once.
    step: usize,
    buffer: Vec<u8>,
    /// Number of bytes of the buffer that were returned.
    taken: usize,
}

impl<'s> SpoolReader<'s> {
    /// Creates a reader for `at..end`. `readers`: number of readers that share the memory for buffers.
    pub fn new(spool: &'s Spool, at: u64, end: u64, readers: usize) -> Self {
        Self {
            spool,
            at,
            end,
            step: (MAX_READ_BUFFERS / readers.max(1)).clamp(4 << 10, BUFFER_SIZE),
            buffer: Vec::new(),
            taken: 0,
        }
    }

    pub fn is_over(&self) -> bool {
        self.taken == self.buffer.len() && self.at == self.end
    }

    /// Returns the next bytes.
    pub fn take(&mut self, count: usize) -> io::Result<&[u8]> {
        let buffered = self.buffer.len() - self.taken;
        if buffered < count {
            let unread = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            let to_read = self.step.max(count - buffered).min(unread);
            if to_read < count - buffered {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.buffer.drain(..self.taken);
            self.taken = 0;
            reserve(&mut self.buffer, to_read)?;
            self.buffer.resize(buffered + to_read, 0);
            self.spool.read(self.at, &mut self.buffer[buffered..])?;
            self.at += to_read as u64;
        }
        self.taken += count;
        Ok(&self.buffer[self.taken - count..self.taken])
    }
}
