//! Writes answers as one flat block to the caller's buffer. Counts bytes that do not fit but does not write them, so
//! that a single pass produces either the block or the needed size.

use std::ffi::c_char;
use std::mem::{align_of, size_of};

use super::constants as c;
use super::log_ring;
use super::types::{AnswerRecord, Answers, Buffer, FileRecord, ItemRecord, Text};
use plexindex::MatchedFile;
use plexindex::error::{Error, Result, Status};
use plexindex::inside::Answer;
use plexindex::inside::ascii_fast_str;
use plexindex::inside::{FoundItem, GuidRef};
use plexindex::model::Library;

/// A block under construction in the caller's memory: the header, an array of answers, then items and strings.
pub struct BlockWriter<'b> {
    room: &'b mut [u8],
    used: usize,        // number of bytes used so far, including bytes that did not fit
    next_answer: usize, // offset of the next answer in the block
    with_files: bool,   // whether items have a file
}

/// Returns a buffer's memory. Fails for a NULL pointer with a capacity. `what` is the pointer's name, for the message.
pub fn buffer_memory<'b>(buffer: &'b mut Buffer, what: &str) -> Result<&'b mut [u8]> {
    if buffer.data.is_null() {
        if buffer.capacity > 0 {
            return Err(Error::new(
                Status::NullPointer,
                format!("{what} is NULL, but its capacity is {}", buffer.capacity),
            ));
        }
        return Ok(&mut []);
    }
    let capacity = buffer.capacity.min(isize::MAX.unsigned_abs());
    // SAFETY: the caller guarantees that `capacity` bytes are valid during the call.
    Ok(unsafe { std::slice::from_raw_parts_mut(buffer.data.cast(), capacity) })
}

/// Returns a buffer's memory for a block. Fails for memory not aligned to 8 bytes.
fn aligned_memory(buffer: &mut Buffer) -> Result<&mut [u8]> {
    if buffer.data.align_offset(align_of::<u64>()) != 0 {
        return Err(Error::new(
            Status::InvalidArgument,
            "the buffer is not aligned to 8 bytes; use memory from malloc",
        ));
    }
    buffer_memory(buffer, "the buffer's data")
}

/// Creates the error for a buffer that has `capacity` bytes but needs `needed` bytes.
pub fn too_small_error(needed: usize, capacity: usize) -> Error {
    Error::new(
        Status::BufferTooSmall,
        format!("the buffer has {capacity} bytes, but the answer needs {needed}; enlarge the buffer and call again"),
    )
}

/// Minimum buffer size in bytes for a call that can ask the server. Most answers fit into such a buffer. The header and
/// docs/c.md repeat this number.
pub const MIN_CAPACITY: usize = 4096;

/// Fails if a buffer is too small for most answers, since a second call would have to ask the server again.
pub fn check_memory(buffer: &mut Buffer) -> Result<()> {
    check_capacity(buffer, MIN_CAPACITY)
}

const ANSWER_MEMORY: usize = 384; // bytes that most answers in a batch need, excluding the path

/// Fails if a buffer is too small for most batches of `count` paths with a total length of `bytes`, since a second call
/// would have to ask the server again.
pub fn check_memory_for(buffer: &mut Buffer, count: usize, bytes: usize) -> Result<()> {
    check_capacity(
        buffer,
        MIN_CAPACITY.max(count.saturating_mul(ANSWER_MEMORY).saturating_add(bytes)),
    )
}

/// Fails if a buffer has a capacity below `min_capacity`; its length then tells the caller the capacity to use.
fn check_capacity(buffer: &mut Buffer, min_capacity: usize) -> Result<()> {
    aligned_memory(buffer)?;
    if buffer.capacity >= min_capacity {
        return Ok(());
    }
    buffer.length = min_capacity;
    Err(too_small_error(min_capacity, buffer.capacity))
}

/// Writes a block of `count` answers, which `fill` adds one by one; `with_files`: with the files of their items. If the
/// block does not fit, sets the buffer's length to the needed size, and fails.
pub fn write_answers(
    buffer: &mut Buffer,
    count: usize,
    with_files: bool,
    fill: impl FnOnce(&mut BlockWriter<'_>) -> Result<()>,
) -> Result<()> {
    let capacity = buffer.capacity;
    buffer.length = 0;
    let answers_offset = size_of::<Answers>();
    let mut block = BlockWriter {
        room: aligned_memory(buffer)?,
        used: 0,
        next_answer: 0,
        with_files,
    };
    block.restart(count);
    fill(&mut block)?;
    let used = block.used;
    if u32::try_from(used).is_err() {
        return Err(Error::new(
            Status::InvalidArgument,
            "the answers exceed 4 GiB; pass fewer paths per call",
        ));
    }
    // Write the header last, since it counts the log lines that `fill` adds.
    let header = Answers {
        size: truncate_u32(size_of::<Answers>()),
        answer_size: truncate_u32(size_of::<AnswerRecord>()),
        item_size: truncate_u32(size_of::<ItemRecord>()),
        count: truncate_u32(count),
        first: truncate_u32(answers_offset),
        log_lines: log_ring::waiting_count(),
        file_size: truncate_u32(size_of::<FileRecord>()),
        reserved: 0,
    };
    block.write_record(0, &header);
    buffer.length = used;
    if used > capacity {
        return Err(too_small_error(used, capacity));
    }
    Ok(())
}

/// Writes a block with a single answer, and returns the answer's status. `with_files` is as in [`write_answers`].
pub fn write_answer(buffer: &mut Buffer, with_files: bool, answer: &Answer<'_>) -> Result<Status> {
    write_answers(buffer, 1, with_files, |block| block.append_answer(answer))?;
    Ok(answer.status)
}

/// Updates the number of log lines that wait for the host in a finished block's header. A slow call logs only after it
/// has written its block.
pub fn recount_log_lines(buffer: &mut Buffer) -> Result<()> {
    let offset = std::mem::offset_of!(Answers, log_lines);
    let room = aligned_memory(buffer)?;
    if let Some(place) = room.get_mut(offset..offset + size_of::<u32>()) {
        place.copy_from_slice(&log_ring::waiting_count().to_ne_bytes());
    }
    Ok(())
}

/// Writes bytes and a NUL to the buffer. The buffer's `length` does not count the NUL.
pub fn write_bytes(buffer: &mut Buffer, text: &[u8]) -> Result<Status> {
    let room = aligned_memory(buffer)?;
    if text.len() >= room.len() {
        return set_needed_size(buffer, text.len());
    }
    room[..text.len()].copy_from_slice(text);
    room[text.len()] = 0;
    buffer.length = text.len();
    Ok(Status::Ok)
}

/// Sets the buffer's length to the needed size, which is `length` bytes and a NUL, and returns the error for a buffer
/// that is too small.
pub fn set_needed_size(buffer: &mut Buffer, length: usize) -> Result<Status> {
    buffer.length = length + 1;
    Err(too_small_error(buffer.length, buffer.capacity))
}

/// Converts an offset or a length. Truncation is harmless, since `write_answers` rejects a block of more than 4 GiB.
#[allow(clippy::cast_possible_truncation)] // see the comment above
fn truncate_u32(size: usize) -> u32 {
    size as u32
}

/// A struct of the C header without padding, whose bytes plexindex can copy.
trait PlainRecord: Copy {}
impl PlainRecord for Answers {}
impl PlainRecord for AnswerRecord {}
impl PlainRecord for ItemRecord {}
impl PlainRecord for FileRecord {}

impl BlockWriter<'_> {
    /// Writes a record at this offset if it fits; otherwise does nothing.
    fn write_record<T: PlainRecord>(&mut self, offset: usize, record: &T) {
        let size = size_of::<T>();
        if let Some(place) = self.room.get_mut(offset..offset + size) {
            // SAFETY: `record` is plain data without padding, `size` bytes long, and does not overlap the block.
            unsafe {
                std::ptr::copy_nonoverlapping(std::ptr::from_ref(record).cast::<u8>(), place.as_mut_ptr(), size);
            }
        }
    }

    /// Appends the concatenated pieces and a NUL. Returns the string's offset in the block, and its length without the
    /// NUL. If the string does not fit, only counts its bytes.
    #[inline]
    fn append_bytes<const N: usize>(&mut self, pieces: [&[u8]; N]) -> Text {
        let offset = self.used;
        let length = pieces.iter().map(|piece| piece.len()).sum();
        if let Some(mut place) = self.room.get_mut(offset..=offset + length) {
            for piece in pieces {
                let (target, remaining) = place.split_at_mut(piece.len());
                target.copy_from_slice(piece);
                place = remaining;
            }
            place[0] = 0;
        }
        self.used += length + 1;
        Text {
            offset: truncate_u32(offset),
            length: truncate_u32(length),
        }
    }

    /// Appends a string, and returns its offset and length. An empty string, which stands for an unknown value, appends
    /// nothing: offset and length are 0.
    #[inline]
    fn append_text(&mut self, text: &str) -> Text {
        if text.is_empty() {
            Text::default()
        } else {
            self.append_bytes([text.as_bytes()])
        }
    }

    /// Appends a GUID, which the index may store in pieces. Returns the string's offset and length.
    fn append_guid(&mut self, guid: GuidRef<'_>) -> Text {
        match guid {
            GuidRef::Text(text) => self.append_text(text),
            GuidRef::Plex { prefix, id } => GuidRef::with_pieces((prefix, &id), |pieces| self.append_bytes(pieces)),
        }
    }

    /// Pads the block to the alignment of a record.
    fn align(&mut self) {
        self.used = self.used.next_multiple_of(align_of::<u64>());
    }

    /// Appends a file's record and strings. Returns the record's offset; 0 without a file.
    fn append_file(&mut self, file: Option<&MatchedFile>) -> u32 {
        let Some(file) = file else { return 0 };
        self.align();
        let offset = self.used;
        self.used += size_of::<FileRecord>();
        let media = &file.media;
        let record = FileRecord {
            size_bytes: file.size.unwrap_or(0),
            part_id: file.part_id.unwrap_or(0),
            media_id: media.media_id.unwrap_or(0),
            duration_ms: media.duration_ms.unwrap_or(0),
            part: truncate_u32(file.part),
            parts: truncate_u32(file.parts),
            version: truncate_u32(file.version),
            versions: truncate_u32(file.versions),
            resolution: self.append_text(media.resolution.as_deref().unwrap_or_default()),
            container: self.append_text(media.container.as_deref().unwrap_or_default()),
            flags: if media.is_optimized {
                c::PLEXINDEX_FILE_OPTIMIZED
            } else {
                0
            },
            reserved: 0,
        };
        self.write_record(offset, &record);
        truncate_u32(offset)
    }

    /// Writes an item's record at this offset, and appends the item's strings. `prefix` is the part of the item's key
    /// before the rating key, and `file` the offset of its file.
    fn write_item(&mut self, offset: usize, prefix: &str, found: &FoundItem<'_>, library: Option<&Library>, file: u32) {
        let item = &found.item;
        let mut flags = 0;
        if ascii_fast_str(found.path).is_none() {
            flags |= c::PLEXINDEX_ITEM_PATH_NOT_UTF8;
        }
        if item.key_only {
            flags |= c::PLEXINDEX_ITEM_KEY_ONLY;
        }
        let key = self.append_bytes([prefix.as_bytes(), item.rating_key.as_bytes()]);
        let record = ItemRecord {
            key,
            // The rating key is the end of the key, so the block stores it only once.
            rating_key: Text {
                offset: key.offset + truncate_u32(prefix.len()),
                length: truncate_u32(item.rating_key.len()),
            },
            title: self.append_text(item.title),
            guid: self.append_guid(item.guid),
            show_title: self.append_text(item.show_title),
            show_rating_key: self.append_text(item.show_rating_key),
            show_guid: self.append_guid(item.show_guid),
            path: if found.path.is_empty() {
                Text::default()
            } else {
                self.append_bytes([found.path])
            },
            section: self.append_text(library.map_or("", |library| &library.section)),
            library_title: self.append_text(library.map_or("", |library| &library.title)),
            kind: i32::from(item.kind.number()),
            year: item.year,
            season: item.season,
            episode: item.episode,
            flags,
            file,
        };
        self.write_record(offset, &record);
    }

    /// Appends the records and strings of an answer's candidates. Returns the offset of the first record (0 without
    /// candidates) and their number. `prefix` is the part of their keys before the rating key. Fails for an item without
    /// a rating key, so that no fault in the library makes a host edit the wrong item.
    fn write_candidates<'f>(
        &mut self,
        prefix: &str,
        found: impl ExactSizeIterator<Item = (FoundItem<'f>, Option<&'f Library>, Option<MatchedFile>)>,
    ) -> Result<(u32, u32)> {
        self.align();
        let (first, count) = (self.used, found.len());
        self.used += count * size_of::<ItemRecord>();
        for (index, (found, library, file)) in found.enumerate() {
            if found.item.rating_key.is_empty() {
                let text = "bug in plexindex: an answer has an item without a rating key; report it, and call again";
                return Err(Error::new(Status::Panic, text));
            }
            let file = self.append_file(file.as_ref());
            self.write_item(first + index * size_of::<ItemRecord>(), prefix, &found, library, file);
        }
        Ok((if count == 0 { 0 } else { truncate_u32(first) }, truncate_u32(count)))
    }

    /// Reserves space for the header and `count` answers, and forgets those that were written.
    pub fn restart(&mut self, count: usize) {
        self.next_answer = size_of::<Answers>();
        self.used = self.next_answer + count * size_of::<AnswerRecord>();
    }

    /// Writes the record of the next answer, and appends its candidates and strings. Fails if a candidate has no rating
    /// key.
    pub fn append_answer(&mut self, answer: &Answer<'_>) -> Result<()> {
        let with_files = self.with_files;
        let found = answer.candidates().iter().map(|found| {
            let file = if with_files { answer.file(found) } else { None };
            (*found, answer.library(found), file)
        });
        let (candidates, candidates_count) = self.write_candidates(answer.kind.key_prefix, found)?;
        let message = self.append_text(answer.message);
        let offset = self.next_answer;
        self.next_answer += size_of::<AnswerRecord>();
        let record = AnswerRecord {
            status: answer.status as i32,
            match_kind: answer.match_kind as u8,
            confidence: answer.confidence as u8,
            reason: answer.reason as u8,
            flags: if answer.stale { c::PLEXINDEX_ANSWER_STALE } else { 0 },
            // The item is the first candidate, so both use the same record.
            item: if answer.item().is_some() { candidates } else { 0 },
            candidates,
            candidates_count,
            candidates_total: truncate_u32(answer.total),
            message,
            age_ms: answer.age_ms.unwrap_or(-1), // -1: unknown
        };
        self.write_record(offset, &record);
        Ok(())
    }
}

/// A finished block, for reading. The methods check all offsets, since the host may have changed the memory.
pub struct BlockReader<'b> {
    bytes: &'b [u8],
    head: Answers,
}

impl BlockReader<'_> {
    /// Returns the block in this buffer; `None` if the buffer contains no block, or one of another library version.
    ///
    /// # Safety
    /// `buffer` must be NULL, misaligned or valid, and its memory must not change while the block is used.
    pub unsafe fn of(buffer: *const Buffer) -> Option<Self> {
        if !buffer.is_aligned() {
            return None;
        }
        // SAFETY: guaranteed by the caller.
        let buffer = unsafe { buffer.as_ref() }?;
        let data = buffer.data.cast::<Answers>();
        let is_whole = (size_of::<Answers>()..=buffer.capacity).contains(&buffer.length);
        if data.is_null() || !is_whole {
            return None;
        }
        if buffer.length > isize::MAX.unsigned_abs() {
            return None;
        }
        // SAFETY: the caller guarantees that `length` bytes are valid; the check above ensures that a header fits.
        let (bytes, head) = unsafe {
            (
                std::slice::from_raw_parts(data.cast(), buffer.length),
                data.read_unaligned(),
            )
        };
        let sizes = [
            size_of::<Answers>(),
            size_of::<AnswerRecord>(),
            size_of::<ItemRecord>(),
            size_of::<FileRecord>(),
        ];
        let given = [head.size, head.answer_size, head.item_size, head.file_size];
        (sizes.map(truncate_u32) == given).then_some(Self { bytes, head })
    }

    /// Returns the number of answers; 0 if the block has fewer answers than its header says.
    pub fn count(&self) -> usize {
        let last = (self.head.count as usize).wrapping_sub(1);
        if self.answer(last).is_null() { 0 } else { last + 1 } // for 0 answers, `last` is `usize::MAX`
    }

    /// Returns the answer at this index; NULL beyond the last answer.
    pub fn answer(&self, index: usize) -> *const AnswerRecord {
        self.element(self.head.first, self.head.count, index)
    }

    /// Returns the record at `index` in the array of `count` records at `offset`, valid as long as the block; NULL if
    /// it is misaligned, or outside the array or the block.
    pub fn element<T>(&self, offset: u32, count: u32, index: usize) -> *const T {
        let (offset, size) = (offset as usize, size_of::<T>());
        let record_bytes = || {
            let record_end = index.checked_add(1)?.checked_mul(size)?.checked_add(offset)?;
            self.bytes.get(record_end - size..record_end)
        };
        if offset < size_of::<Answers>() || index >= count as usize {
            return std::ptr::null();
        }
        let record = record_bytes().map_or(std::ptr::null(), |bytes| bytes.as_ptr().cast::<T>());
        if record.is_aligned() { record } else { std::ptr::null() }
    }

    /// Returns the NUL-terminated string at this offset and of this length, valid as long as the block; NULL if it is
    /// not in the block.
    pub fn text(&self, text: Text) -> *const c_char {
        let (offset, length) = (text.offset as usize, text.length as usize);
        if offset < size_of::<Answers>() {
            return std::ptr::null();
        }
        match self
            .bytes
            .get(offset..)
            .and_then(|from_offset| from_offset.get(..=length))
        {
            Some(found @ [.., 0]) => found.as_ptr().cast(),
            _ => std::ptr::null(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::for_tests::{buffer, item};
    use plexindex::model::Item;

    #[test]
    fn an_item_without_a_rating_key_leaves_no_answer() {
        let items = [item("1002", "/a"), item("", "/b")];
        let mut room = vec![0; 4096];
        let mut block = BlockWriter {
            room: &mut room,
            used: 0,
            next_answer: 0,
            with_files: false,
        };
        let mut write = |items: &[Item]| {
            let found = items.iter().map(|item| (FoundItem::of(item), None, None));
            block
                .write_candidates("/library/metadata/", found)
                .map_err(|error| error.status)
        };
        assert_eq!(write(&items), Err(Status::Panic));
        assert_eq!(write(&items[..1]).map(|(_, count)| count), Ok(1));
    }

    #[test]
    fn a_path_that_is_not_utf8_is_marked_and_whole() {
        let flags_of = |path: &[u8]| {
            let item = Item {
                parts: vec![path.into()],
                ..item("1", "")
            };
            let mut room = vec![0; 1024];
            let mut block = BlockWriter {
                room: &mut room,
                used: size_of::<ItemRecord>(),
                next_answer: 0,
                with_files: false,
            };
            block.write_item(0, "/", &FoundItem::of(&item), None, 0);
            // SAFETY: the record was written there.
            let record = unsafe { room.as_ptr().cast::<ItemRecord>().read_unaligned() };
            assert_eq!(room[record.path.offset as usize..][..path.len()], *path);
            record.flags
        };
        assert_eq!(flags_of(b"/a.mkv"), 0);
        assert_eq!(flags_of(b"/\xff.mkv"), c::PLEXINDEX_ITEM_PATH_NOT_UTF8);
    }

    #[test]
    fn a_text_ends_in_a_nul_and_nothing_is_written_behind_the_memory() {
        let written = |capacity: usize| {
            let mut memory = [0x5A5A_5A5A_5A5A_5A5A_u64; 2];
            let mut buffer = buffer(memory.as_mut_ptr(), capacity);
            let status = write_bytes(&mut buffer, b"abc").map_err(|error| error.status);
            (status, buffer.length, memory[0].to_ne_bytes())
        };
        assert_eq!(written(4), (Ok(Status::Ok), 3, *b"abc\0ZZZZ"));
        assert_eq!(written(3), (Err(Status::BufferTooSmall), 4, *b"ZZZZZZZZ"));
        // The struct of an older header.
        let mut place = [b'Z'; 8];
        // SAFETY: all of it is there.
        unsafe { crate::strings::write_fields(b"abcdefgh", &raw mut place, 3) };
        assert_eq!(place, *b"abcZZZZZ");
    }

    #[test]
    fn a_struct_of_any_version_is_read_as_far_as_it_is_known() {
        // Its size, and two more fields; then those of a newer header.
        type Known = [usize; 3];
        let copied = |size: usize, newer: [usize; 3]| {
            let given = [[size, 1, 2], newer];
            // SAFETY: sizes beyond its own are refused.
            unsafe { crate::strings::copy_struct::<Known>(given.as_ptr(), 2 * size_of::<usize>(), "options") }
        };
        let whole = size_of::<Known>();
        let older = 2 * size_of::<usize>();
        assert_eq!(copied(older, [0; 3]).map(|known| known[1..] == [1, 0]), Ok(true));
        assert_eq!(copied(whole, [9; 3]).map(|known| known[1..] == [1, 2]), Ok(true));
        assert_eq!(copied(2 * whole, [0; 3]).map(|known| known[1..] == [1, 2]), Ok(true));
        for newer in [[1, 0, 0], [0, 0, 1]] {
            let error = copied(2 * whole, newer).expect_err("a newer field is set");
            assert_eq!(error.status, Status::Unsupported);
            assert!(error.message.contains("options"), "{error}");
        }
        for size in [0, 1, older - 1, older + 1, 1 << 21, usize::MAX] {
            let error = copied(size, [0; 3]).expect_err("not set");
            assert_eq!(error.status, Status::InvalidArgument);
            assert!(error.message.contains(&format!("options.size is {size};")), "{error}");
            assert!(error.message.contains("sizeof"), "{error}");
        }
    }
}
