//! The items file of an unfinished listing: its pages, one after another, until the listing's segment is complete.
//!
//! The file contains each page as a frame: length (4 bytes), checksum (8 bytes), and data. The data is the change
//! sequence of the page's request and the page's items, encoded with `postcard`. A checksum covers its own frame and
//! all earlier frames. The database stores the offset at which the last page ends. Any bytes after this offset belong
//! to a page whose write was interrupted.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::layout::{u32_at, u64_at};
use super::segment_writer::write_error;
use super::spool::reserve;
use crate::error::Result;
use crate::model::{Item, Sequence};
use crate::platform::files;

/// Size of a frame's length and checksum, in bytes.
const FRAME_HEAD: usize = 12;

/// The end of the last page in an items file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEnd {
    /// Offset of the first byte after the last page.
    pub offset: u64,
    /// Checksum of the last page, which the checksum of the next page includes.
    checksum: u64,
}

/// Appends a page after `end`, the end of the previous page, and returns the new end. `requested_at` is the change
/// sequence at which this process requested the page.
///
/// # Errors
/// Fails with [`crate::error::Status::Store`], or with [`crate::error::Status::StoreFull`] if the disk is full.
pub fn append_page(path: &Path, end: FileEnd, requested_at: Sequence, items: &[Item]) -> Result<FileEnd> {
    let append = || {
        let cannot_encode = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let mut frame = postcard::to_extend(&(requested_at, items), vec![0; FRAME_HEAD]).map_err(cannot_encode)?;
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
    append().map_err(|error| write_error(&format!("cannot write a page to {}: ", path.display()), &error))
}

/// Passes the pages before `end` to `each` in order, each with the change sequence of its request. A fetch that resumes
/// needs these pages again.
///
/// # Errors
/// Fails if the operating system cannot read the file, or with [`io::ErrorKind::InvalidData`] if a page is damaged.
pub fn read_pages(path: &Path, end: FileEnd, mut each: impl FnMut(Sequence, Vec<Item>)) -> io::Result<()> {
    let mut reached = FileEnd::default();
    if reached == end {
        return Ok(());
    }
    let file = files::open_for_reading(path)?;
    let (mut frame_head, mut page) = ([0; FRAME_HEAD], Vec::new());
    while reached.offset < end.offset {
        files::read_at(&file, &mut frame_head, reached.offset)?;
        let length = u64::from(u32_at(&frame_head, 0));
        reached.offset += FRAME_HEAD as u64 + length;
        if reached.offset > end.offset {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        page.clear();
        reserve(&mut page, length)?;
        page.resize(length, 0);
        files::read_at(&file, &mut page, reached.offset - length as u64)?;
        reached.checksum = xxh3_64_with_seed(&page, reached.checksum);
        if reached.checksum != u64_at(&frame_head, 4) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (requested_at, items) = postcard::from_bytes(&page).map_err(|_| io::ErrorKind::InvalidData)?;
        each(requested_at, items);
    }
    if reached == end {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(keys: std::ops::Range<usize>) -> Vec<Item> {
        keys.map(|key| Item {
            rating_key: key.to_string(),
            parts: vec![format!("/data/{key}.mkv").into()],
            ..Item::default()
        })
        .collect()
    }

    fn read(path: &Path, end: FileEnd) -> io::Result<Vec<(Sequence, Vec<Item>)>> {
        let mut pages = Vec::new();
        read_pages(path, end, |requested_at, items| pages.push((requested_at, items)))?;
        Ok(pages)
    }

    #[test]
    fn pages_are_read_as_they_were_appended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("items");
        assert_eq!(read(&path, FileEnd::default()).expect("no page"), []);
        let (first, second) = ((Sequence(3), page(0..5)), (Sequence(9), page(5..7)));
        let one = append_page(&path, FileEnd::default(), first.0, &first.1).expect("appended");
        let lost = append_page(&path, one, Sequence(4), &page(90..99)).expect("appended");
        // A kill before the database named the page: the next process overwrites it.
        let both = append_page(&path, one, second.0, &second.1).expect("appended");
        assert_eq!(read(&path, one).expect("a page"), std::slice::from_ref(&first));
        assert_eq!(read(&path, both).expect("two pages"), [first, second]);
        assert!(read(&path, lost).is_err());
    }

    #[test]
    fn a_damaged_page_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("items");
        let one = append_page(&path, FileEnd::default(), Sequence(1), &page(0..3)).expect("appended");
        let end = append_page(&path, one, Sequence(2), &page(3..6)).expect("appended");
        let good = std::fs::read(&path).expect("read");
        for offset in 0..good.len() {
            let mut bytes = good.clone();
            bytes[offset] ^= 1;
            std::fs::write(&path, bytes).expect("written");
            assert!(read(&path, end).is_err(), "{offset}");
        }
        std::fs::write(&path, &good[..good.len() - 1]).expect("written");
        assert!(read(&path, end).is_err());
    }
}
