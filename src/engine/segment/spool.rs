//! Spools: buffered bytes in unlinked temporary files.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::platform::files;

/// Size of a spool's buffer, and of a read buffer of one of few runs.
const BUFFER_SIZE: usize = if cfg!(test) { 8 << 10 } else { 256 << 10 };
/// Most memory of all runs' read buffers together.
const MAX_READ_BUFFERS: usize = 4 << 20;

/// A unique temporary name beside `path`. Sweeping removes it after a kill.
pub fn temporary(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{number}.new", std::process::id()));
    path.with_file_name(name)
}

/// Reserves memory, or fails: a failed allocation would abort the host.
pub fn reserve<T>(list: &mut Vec<T>, more: usize) -> io::Result<()> {
    list.try_reserve(more)
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))
}

/// Appended bytes that are read afterwards.
pub struct Spool {
    /// The path beside which its file lies; `None`: in memory.
    place: Option<PathBuf>,
    file: Option<File>,
    /// Bytes in the file.
    written: u64,
    tail: Vec<u8>,
}

impl Spool {
    pub fn new(place: Option<&Path>) -> Self {
        Self {
            place: place.map(Path::to_path_buf),
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
        if let Some(place) = self.place.as_ref().filter(|_| self.tail.len() >= BUFFER_SIZE) {
            let file = match &mut self.file {
                Some(file) => file,
                none => {
                    let name = temporary(place);
                    none.insert(files::unnamed(&name)?)
                }
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
    at: u64,
    end: u64,
    step: usize,
    buffer: Vec<u8>,
    taken: usize,
}

impl<'s> SpoolReader<'s> {
    /// A reader for `at..end`. `of`: number of readers, which share the memory for buffers.
    pub fn new(spool: &'s Spool, at: u64, end: u64, of: usize) -> Self {
        Self {
            spool,
            at,
            end,
            step: (MAX_READ_BUFFERS / of.max(1)).clamp(4 << 10, BUFFER_SIZE),
            buffer: Vec::new(),
            taken: 0,
        }
    }

    pub fn is_over(&self) -> bool {
        self.taken == self.buffer.len() && self.at == self.end
    }

    /// The next bytes.
    pub fn take(&mut self, count: usize) -> io::Result<&[u8]> {
        let left = self.buffer.len() - self.taken;
        if left < count {
            let rest = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            let more = self.step.max(count - left).min(rest);
            if more < count - left {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.buffer.drain(..self.taken);
            self.taken = 0;
            reserve(&mut self.buffer, more)?;
            self.buffer.resize(left + more, 0);
            self.spool.read(self.at, &mut self.buffer[left..])?;
            self.at += more as u64;
        }
        self.taken += count;
        Ok(&self.buffer[self.taken - count..self.taken])
    }
}
