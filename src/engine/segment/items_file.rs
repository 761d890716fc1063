//! The items file of a listing under way: its pages, one after another, until the listing's segment is complete.
//!
//! A page is a frame: its length (4 bytes), a checksum (8 bytes), and the change sequence of its request with its
//! items, as `postcard` encodes them. A checksum covers its frame and all frames before it. The database names the end
//! of the last page, so bytes after that end are of a page that a kill interrupted.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::layout::{u32_at, u64_at};
use super::segment_writer::failed;
use super::spool::reserve;
use crate::error::Result;
use crate::model::{Item, Sequence};
use crate::platform::files;

/// The size of a frame's length and checksum.
const FRAME_HEAD: usize = 12;

/// The end of the last page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEnd {
    /// The offset after the last page.
    pub offset: u64,
    /// The checksum of all pages.
    checksum: u64,
}

/// Writes a page after `end`, the end of the page before. `requested_at`: the change sequence of the page's request.
/// Returns the new end.
///
/// # Errors
/// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
pub fn append_page(path: &Path, end: FileEnd, requested_at: Sequence, items: &[Item]) -> Result<FileEnd> {
    let append = || {
        let no_form = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let mut frame = postcard::to_extend(&(requested_at, items), vec![0; FRAME_HEAD]).map_err(no_form)?;
        let length = u32::try_from(frame.len() - FRAME_HEAD).map_err(|_| io::ErrorKind::StorageFull)?;
        let checksum = xxh3_64_with_seed(&frame[FRAME_HEAD..], end.checksum);
        frame[..4].copy_from_slice(&length.to_le_bytes());
        frame[4..FRAME_HEAD].copy_from_slice(&checksum.to_le_bytes());
        files::write_at(&files::open_or_create(path)?, &frame, end.offset)?;
        Ok(FileEnd {
            offset: end.offset + frame.len() as u64,
            checksum,
        })
    };
    append().map_err(|error| failed(&format!("cannot store a page in {}: ", path.display()), &error))
}

/// Passes the pages before `end` to `each`, in order.
///
/// # Errors
/// Errors of the operating system; [`io::ErrorKind::InvalidData`] if a page is damaged.
pub fn read_pages(path: &Path, end: FileEnd, mut each: impl FnMut(Sequence, Vec<Item>)) -> io::Result<()> {
    let mut at = FileEnd::default();
    if at == end {
        return Ok(());
    }
    let file = files::readable(path)?;
    let (mut head, mut page) = ([0; FRAME_HEAD], Vec::new());
    while at.offset < end.offset {
        files::read_at(&file, &mut head, at.offset)?;
        let length = u64::from(u32_at(&head, 0));
        at.offset += FRAME_HEAD as u64 + length;
        if at.offset > end.offset {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        page.clear();
        reserve(&mut page, length)?;
        page.resize(length, 0);
        files::read_at(&file, &mut page, at.offset - length as u64)?;
        at.checksum = xxh3_64_with_seed(&page, at.checksum);
        if at.checksum != u64_at(&head, 4) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (requested_at, items) = postcard::from_bytes(&page).map_err(|_| io::ErrorKind::InvalidData)?;
        each(requested_at, items);
    }
    if at == end {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
#[path = "items_file_tests.rs"]
mod tests;
