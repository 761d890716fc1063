//! Writes a segment file: its parts in order, their checksums, and finally the header.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::layout::{BLOCK, SegmentHeader, SegmentPart};
use super::spool::{Spool, reserve, temporary};
use crate::error::{Error, Result, Status};
use crate::platform::files;

/// Size and alignment of writes. File systems with large folios then cache the file in pieces of this size, each with
/// one TLB entry, which reduces TLB misses in large segments and page faults in new processes.
const PIECE: usize = if cfg!(test) { 8 << 10 } else { 2 << 20 };

/// A file under a temporary name. Dropping this value removes the file, unless [`TemporaryFile::persist`] has renamed
/// it.
pub struct TemporaryFile {
    file: File,
    name: Option<PathBuf>,
}

impl TemporaryFile {
    /// Creates the file under a unique name in the same folder as `path`.
    pub fn create_beside(path: &Path) -> io::Result<Self> {
        let name = temporary(path);
        Ok(Self {
            file: files::create_new(&name)?,
            name: Some(name),
        })
    }

    /// Returns another handle to the file. The handle stays usable even if another process removes the renamed file.
    pub fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Renames the file to `path`. If there is a file at `path` already, keeps that file instead, because processes may
    /// have mapped it, and removes the temporary file.
    pub fn persist(mut self, path: &Path) -> io::Result<()> {
        if path.symlink_metadata().is_ok_and(|facts| facts.is_file()) {
            return Ok(());
        }
        let renamed = self.name.as_ref().map_or(Ok(()), |name| files::rename(name, path));
        if renamed.is_ok() {
            self.name = None;
        }
        renamed
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = files::remove(name);
        }
    }
}

/// Writes a segment: collects the bytes between the header and the checksums, and computes the checksums.
pub struct SegmentWriter {
    /// A path beside which the segment's temporary file is created, on the first write.
    place: PathBuf,
    out: Option<TemporaryFile>,
    /// Number of bytes written to the file, in whole pieces.
    written: usize,
    /// The write buffer. The first piece begins with space for the header.
    buffer: Vec<u8>,
    /// The checksums of the blocks in the file.
    sums: Vec<u8>,
}

impl SegmentWriter {
    /// Creates a writer for a segment in the same folder as `place`.
    pub fn new(place: &Path) -> Self {
        Self {
            place: place.to_path_buf(),
            out: None,
            written: 0,
            buffer: vec![0; BLOCK],
            sums: Vec::new(),
        }
    }

    /// Returns a path in whose folder callers can create temporary files.
    pub fn place(&self) -> PathBuf {
        self.place.clone()
    }

    /// Takes the file for writing, and creates it on the first call.
    fn take_file(&mut self) -> io::Result<TemporaryFile> {
        let out = self.out.take();
        out.map_or_else(|| TemporaryFile::create_beside(&self.place), Ok)
    }

    /// Returns the file for reading and rewriting. Fails if nothing has been written yet.
    fn written_file(&self) -> io::Result<&File> {
        let out = self.out.as_ref();
        Ok(&out.ok_or(io::ErrorKind::UnexpectedEof)?.file)
    }

    /// Returns the file offset of the next byte.
    pub fn position(&self) -> usize {
        self.written + self.buffer.len()
    }

    /// Reserves memory for `room` more bytes, and returns the buffer for these bytes. Call
    /// [`SegmentWriter::flush_pieces`] afterwards.
    pub fn buffer_for(&mut self, room: usize) -> io::Result<&mut Vec<u8>> {
        reserve(&mut self.buffer, room)?;
        Ok(&mut self.buffer)
    }

    /// Writes the whole pieces in the buffer to the file.
    pub fn flush_pieces(&mut self) -> io::Result<()> {
        if self.buffer.len() < PIECE {
            return Ok(());
        }
        let whole = self.buffer.len() - self.buffer.len() % PIECE;
        let mut out = self.take_file()?;
        out.file.write_all(&self.buffer[..whole])?;
        self.out = Some(out);
        self.add_checksums(whole)?;
        self.buffer.drain(..whole);
        self.written += whole;
        Ok(())
    }

    pub fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer_for(bytes.len())?.extend_from_slice(bytes);
        self.flush_pieces()
    }

    /// Adds the checksums of the blocks in the buffer's first `until` bytes, except the header, which contains its own
    /// checksum.
    fn add_checksums(&mut self, until: usize) -> io::Result<()> {
        let from = if self.written == 0 { BLOCK } else { 0 };
        reserve(&mut self.sums, until.div_ceil(BLOCK) * 8)?;
        for block in self.buffer[from..until].chunks(BLOCK) {
            self.sums.extend_from_slice(&xxh3_64(block).to_le_bytes());
        }
        Ok(())
    }

    /// Ends the part that began at the offset `from`, and returns its position and length for the header. Pads the part
    /// to a multiple of eight bytes, so that no hash table slot spans two blocks. An element has `size` bytes.
    pub fn end_part(&mut self, from: usize, size: usize) -> io::Result<SegmentPart> {
        let length = self.position() - from;
        self.put(&[0; 8][..length.next_multiple_of(8) - length])?;
        Ok(SegmentPart {
            at: from as u64,
            count: (length / size) as u64,
        })
    }

    /// Appends a part from a spool, and returns the part's position and length for the header. `size` is the size of an
    /// element.
    pub fn part(&mut self, spool: &Spool, size: usize) -> io::Result<SegmentPart> {
        let from = self.position();
        spool.for_each_chunk(|bytes| self.put(bytes))?;
        self.end_part(from, size)
    }

    /// Reads `length` bytes at the offset `at` into `to`, or fewer if the segment ends earlier.
    pub fn read(&self, at: usize, length: usize, to: &mut Vec<u8>) -> io::Result<()> {
        let length = length.min(self.position().saturating_sub(at));
        to.clear();
        reserve(to, length)?;
        to.resize(length, 0);
        // The file contains the front, and the buffer contains the rest.
        let written = self.written.saturating_sub(at).min(length);
        let (front, back) = to.split_at_mut(written);
        if !front.is_empty() {
            files::read_at(self.written_file()?, front, at as u64)?;
        }
        let from = at.saturating_sub(self.written);
        back.copy_from_slice(&self.buffer[from..from + back.len()]);
        Ok(())
    }

    /// Sets `bits` in the bytes at these ascending offsets, and updates the checksums.
    pub fn set_bits(&mut self, places: &[usize], bits: u8) -> io::Result<()> {
        for block in places.chunk_by(|a, b| a / BLOCK == b / BLOCK) {
            let begin = block[0] - block[0] % BLOCK;
            // The block is still in the buffer, and has no checksum yet.
            if begin >= self.written {
                for at in block {
                    self.buffer[at - self.written] |= bits;
                }
                continue;
            }
            let mut bytes = [0; BLOCK];
            files::read_at(self.written_file()?, &mut bytes, begin as u64)?;
            for at in block {
                bytes[at - begin] |= bits;
            }
            files::write_at(self.written_file()?, &bytes, begin as u64)?;
            // The header, which is block 0, has no checksum here.
            let sum = (begin / BLOCK - 1) * 8;
            self.sums[sum..sum + 8].copy_from_slice(&xxh3_64(&bytes).to_le_bytes());
        }
        Ok(())
    }

    /// Writes the checksums, and then the header at the beginning of the file. Completes `head` with the checksums'
    /// position and the file's length.
    pub fn finish(mut self, head: &mut SegmentHeader) -> io::Result<TemporaryFile> {
        self.add_checksums(self.buffer.len())?;
        head.checksums = SegmentPart {
            at: self.position() as u64,
            count: self.sums.len() as u64 / 8,
        };
        head.checksum_table_hash = xxh3_64(&self.sums);
        head.length = (self.position() + self.sums.len()) as u64;
        let mut out = self.take_file()?;
        out.file.write_all(&self.buffer)?;
        out.file.write_all(&self.sums)?;
        out.file.seek(SeekFrom::Start(0))?;
        out.file.write_all(&head.encode())?;
        Ok(out)
    }
}

/// Creates an error whose message is `what`, then the error's text and, if the disk is full, a remedy.
pub fn write_error(what: &str, error: &io::Error) -> Error {
    let full = files::is_full(error);
    let status = if full { Status::StoreFull } else { Status::Store };
    let remedy = if full {
        "; free some space, or choose another cache_dir"
    } else {
        ""
    };
    Error::new(status, format!("{what}{}{remedy}", files::text_of(error))).with_io_source(error)
}

/// Adds the segment's path to the error of a failed write.
pub fn cannot_write<T>(done: io::Result<T>, path: &Path) -> Result<T> {
    done.map_err(|error| write_error(&format!("cannot write segment {}: ", path.display()), &error))
}

/// Returns the error for a segment of more than 16 GiB, which 32-bit entry numbers cannot address.
pub fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "a segment can have at most 16 GiB")
}
