//! Lookups and matches by path, and their answers: one flat block in the caller's buffer. [`BlockWriter`] counts bytes that
//! do not fit but does not write them, so that a single pass produces either the block or the needed size.
//! [`BlockReader`] finds the parts of a block.

use std::ffi::{CStr, c_char};
use std::mem::{align_of, size_of};

use plexindex::error::{Error, Result, Status};
use plexindex::inside::{Answer, FoundItem, GuidRef, ascii_fast_str};
use plexindex::model::{self, Confidence};
use plexindex::{Library, MatchedFile};

use crate::constants as c;
use crate::guard::{self, guard_into, guard_value, store_thread_key};
use crate::log_ring;
use crate::strings::{aligned_memory, buffer_memory, bytes, split_strings, too_small_error};
use crate::types::{AnswerRecord, Answers, Buffer, FileRecord, Handle, ItemRecord, LibraryHandle, QueryRecord, Text};

/// Fast lookup: returns the key (`/library/metadata/<rating key>`) of the item with this path, if available at once
/// with PLEXINDEX_CONFIDENCE_HIGH; for several episodes, the first episode's key. `path`: NUL-terminated bytes.
///
/// The key is NUL-terminated, and valid until this thread's next fast lookup (plexindex_lookup_key(),
/// plexindex_table_lookup()) on any handle. Returns NULL if no answer is available at once, or for a NULL argument:
/// then call plexindex_match_path().
///
/// Sends no request and calls no callback. If nothing has changed since the last lookup, and what hosts recorded for
/// the path is in memory, takes no lock, allocates nothing and makes no system call, except to check twice a second
/// whether the store still exists. Otherwise reads the store for at most about 200 ms. Expired listings also answer.
///
/// # Safety
/// `library` must be NULL or a handle to a library of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_lookup_key(library: *const LibraryHandle, path: *const c_char) -> *const c_char {
    guard_value(std::ptr::null(), || {
        // SAFETY: guaranteed by the caller.
        unsafe { lookup_key(library, path) }
    })
}

/// Returns the keys for many paths, from fast lookups. `paths`: `count` paths, each followed by a NUL. `out_keys`: the
/// keys in the same order, each followed by a NUL. An empty key means that no answer is available at once.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle to a library of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_lookup_keys(
    library: *const LibraryHandle,
    paths: *const c_char,
    paths_length: usize,
    count: usize,
    out_keys: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_keys, "out_keys", |keys| {
        // SAFETY: guaranteed by the caller.
        let (library, paths) = unsafe { (guard::library(library)?, bytes(paths, paths_length, "paths")?) };
        lookup_keys(library, paths, count, keys)
    })
}

/// Returns the key of the item with this path, in this thread's memory; NULL if no answer is available at once. A
/// separate function, since the body of an exported function is one call of the guard.
///
/// # Safety
/// `handle` must be NULL or a handle to a library of an open index; `path` must be NULL or end in a NUL.
#[inline]
unsafe fn lookup_key(handle: *const LibraryHandle, path: *const c_char) -> *const c_char {
    let handle = handle.cast::<Library>();
    if !handle.is_aligned() {
        return std::ptr::null();
    }
    // SAFETY: guaranteed by the caller.
    let library = unsafe { handle.as_ref() };
    let (Some(library), false) = (library, path.is_null()) else {
        return std::ptr::null();
    };
    // SAFETY: guaranteed by the caller.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes();
    library
        .lookup_rating_key_of(path, |rating_key| store_thread_key([library.key_prefix(), rating_key]))
        .unwrap_or(std::ptr::null())
}

/// Writes the keys for all paths, as far as they fit, each followed by a NUL, and sets the length of the buffer `keys`
/// to the needed size. An empty key stands for a miss. `paths`: `count` paths, each followed by a NUL.
fn lookup_keys(library: &Library, paths: &[u8], count: usize, keys: &mut Buffer) -> Result<Status> {
    let paths = split_strings(paths, count, "paths")?;
    let room = buffer_memory(keys, "keys.data")?;
    let prefix = library.key_prefix();
    let mut used = 0;
    library.lookup_rating_keys(paths.into_iter(), |rating_key| {
        // Omits a key with a NUL, which would shift all later keys. Only an older store can contain such a key.
        let (head, tail) = match rating_key.filter(|key| !key.is_empty() && !key.as_bytes().contains(&0)) {
            Some(rating_key) => (prefix.as_bytes(), rating_key.as_bytes()),
            None => (&[][..], &[][..]),
        };
        let length = head.len() + tail.len();
        if let Some(target) = room.get_mut(used..=used + length) {
            target[..head.len()].copy_from_slice(head);
            target[head.len()..length].copy_from_slice(tail);
            target[length] = 0;
        }
        used += length + 1;
    });
    keys.length = used;
    if used > keys.capacity {
        return Err(too_small_error(used, keys.capacity));
    }
    Ok(Status::Ok)
}

/// Returns the full answer for one path. Tries each PLEXINDEX_MATCH_* in turn, and sends requests if necessary and
/// allowed. `out_answer`: a block with plexindex_answers, one plexindex_answer, and the data that they refer to. Writes
/// the block and returns PLEXINDEX_OK, PLEXINDEX_NOT_FOUND, PLEXINDEX_AMBIGUOUS, PLEXINDEX_NOT_YET or
/// PLEXINDEX_NEEDS_WARM. Writes no block on PLEXINDEX_BUFFER_TOO_SMALL or on other errors. If a library was never
/// fetched and cannot be fetched now, returns the server's error.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open, and the query's library must belong to `handle`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_path(
    handle: *const Handle,
    query: *const QueryRecord,
    out_answer: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_answer, "out_answer", |answer| {
        // SAFETY: guaranteed by the caller.
        let checked = unsafe { guard::query(handle, query, guard::MATCHING_FLAGS) }?;
        check_capacity(answer, MIN_CAPACITY)?;
        let write = |found: &Answer<'_>| write_answer(answer, checked.has(c::PLEXINDEX_QUERY_FILE), found);
        if checked.has(c::PLEXINDEX_QUERY_AT_ONCE) {
            return checked.query.match_path_at_once_with(checked.text, write);
        }
        let status = checked.query.match_path_with(checked.text, write)?;
        recount_log_lines(answer)?;
        Ok(status)
    })
}

/// Returns the full answers for many paths in one block: `count` answers in order, each with its own status. Sends
/// requests if necessary and allowed. `query.text` contains `count` paths, each followed by a NUL.
///
/// Returns PLEXINDEX_OK after writing the block; an error that concerns all paths; or PLEXINDEX_BUFFER_TOO_SMALL,
/// before any work if the buffer has less than 384 bytes per path plus the length of `text`.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open, and the query's library must belong to `handle`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_paths(
    handle: *const Handle,
    query: *const QueryRecord,
    count: usize,
    out_answers: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_answers, "out_answers", |answers| {
        // SAFETY: guaranteed by the caller.
        let checked = unsafe { guard::query(handle, query, guard::MATCHING_FLAGS) }?;
        checked.check_no_size()?;
        let paths = split_strings(checked.text, count, "query.text")?;
        // A call that can ask the server must not fail afterwards because the buffer is too small.
        if !checked.has(c::PLEXINDEX_QUERY_AT_ONCE | c::PLEXINDEX_QUERY_OFFLINE) {
            check_memory_for(answers, count, checked.text.len())?;
        }
        write_answers(answers, count, checked.has(c::PLEXINDEX_QUERY_FILE), |block| {
            if !checked.has(c::PLEXINDEX_QUERY_AT_ONCE) {
                let mut written = Ok(());
                checked.query.match_paths_with(&paths, |index, found| {
                    if index == 0 {
                        written = Ok(());
                        block.restart(count);
                    }
                    if written.is_ok() {
                        written = block.append_answer(found);
                    }
                })?;
                return written;
            }
            let mut write = |found: &Answer<'_>| block.append_answer(found);
            paths
                .iter()
                .try_for_each(|path| checked.query.match_path_at_once_with(path, &mut write))
        })?;
        recount_log_lines(answers)?;
        Ok(Status::Ok)
    })
}

/// Returns the number of answers in a block, one per path in order; 0 if the buffer contains no block.
/// This and the next five functions read an unchanged block from plexindex_match_path() or plexindex_match_paths().
/// They check all offsets, and return NULL or 0 for missing data. The returned pointers point into the block.
///
/// # Safety
/// `block` must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_count_answers(block: *const Buffer) -> usize {
    guard_value(0, || {
        // SAFETY: guaranteed by the caller.
        unsafe { BlockReader::of(block) }.map_or(0, |block| block.count())
    })
}

/// Returns the answer at this index, starting at 0; NULL beyond the last answer.
///
/// # Safety
/// `block` must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_answer(block: *const Buffer, index: usize) -> *const AnswerRecord {
    guard_value(std::ptr::null(), || {
        // SAFETY: guaranteed by the caller.
        let block = unsafe { BlockReader::of(block) };
        block.map_or(std::ptr::null(), |block| block.answer(index))
    })
}

/// Returns a single item with high confidence; otherwise NULL. With low confidence, candidate 0 may be another work.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_sure_item(
    block: *const Buffer,
    answer: *const AnswerRecord,
) -> *const ItemRecord {
    guard_value(std::ptr::null(), || {
        // SAFETY: guaranteed by the caller.
        match unsafe { (BlockReader::of(block), read_struct(answer)) } {
            (Some(block), Some(answer)) if answer.confidence == Confidence::High as u8 => {
                block.element(answer.item, 1, 0) // an array of one item
            }
            _ => std::ptr::null(),
        }
    })
}

/// Returns the candidate at this index, starting at 0 with the best; NULL beyond the last candidate.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_candidate(
    block: *const Buffer,
    answer: *const AnswerRecord,
    index: usize,
) -> *const ItemRecord {
    guard_value(std::ptr::null(), || {
        // SAFETY: guaranteed by the caller.
        match unsafe { (BlockReader::of(block), read_struct(answer)) } {
            (Some(block), Some(answer)) => block.element(answer.candidates, answer.candidates_count, index),
            _ => std::ptr::null(),
        }
    })
}

/// Returns an item's matching file; NULL if the query lacked PLEXINDEX_QUERY_FILE, or the listing has no such file.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_file(block: *const Buffer, item: *const ItemRecord) -> *const FileRecord {
    guard_value(std::ptr::null(), || {
        // SAFETY: guaranteed by the caller.
        match unsafe { (BlockReader::of(block), read_struct(item)) } {
            (Some(block), Some(item)) => block.element(item.file, 1, 0), // an array of one file
            _ => std::ptr::null(),
        }
    })
}

/// Returns a NUL-terminated string from a block, such as `&item->title`; NULL if missing. An empty string is not NULL.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_text(block: *const Buffer, text: *const Text) -> *const c_char {
    guard_value(std::ptr::null(), || {
        // SAFETY: guaranteed by the caller.
        match unsafe { (BlockReader::of(block), read_struct(text)) } {
            (Some(block), Some(text)) => block.text(text),
            _ => std::ptr::null(),
        }
    })
}

/// Lowest address of valid memory; below it are fields of a NULL struct, such as `&item->path` without an item.
const MIN_ADDRESS: usize = 4096;

/// Copies the caller's struct, which may be misaligned. Returns `None` for NULL and for the address of a field in a
/// NULL struct.
///
/// # Safety
/// `given` must be NULL, a field of a NULL struct, or valid.
unsafe fn read_struct<T: Copy>(given: *const T) -> Option<T> {
    // SAFETY: guaranteed by the caller.
    (given.addr() >= MIN_ADDRESS).then(|| unsafe { given.read_unaligned() })
}

/// A block under construction in the caller's memory: the header, an array of answers, then items and strings.
struct BlockWriter<'b> {
    room: &'b mut [u8],
    used: usize,        // number of bytes used so far, including bytes that did not fit
    next_answer: usize, // offset of the next answer in the block
    with_files: bool,   // whether items have a file
}

/// Minimum buffer size in bytes for a call that can ask the server. Most answers fit into such a buffer. The header and
/// docs/c.md repeat this number.
const MIN_CAPACITY: usize = 4096;

const ANSWER_MEMORY: usize = 384; // bytes that most answers in a batch need, excluding the path

/// Fails if a buffer is too small for most batches of `count` paths with a total length of `bytes`, since a second call
/// would have to ask the server again.
fn check_memory_for(buffer: &mut Buffer, count: usize, bytes: usize) -> Result<()> {
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
fn write_answers(
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
fn write_answer(buffer: &mut Buffer, with_files: bool, answer: &Answer<'_>) -> Result<Status> {
    write_answers(buffer, 1, with_files, |block| block.append_answer(answer))?;
    Ok(answer.status)
}

/// Updates the number of log lines that wait for the host in a finished block's header. A slow call logs only after it
/// has written its block.
fn recount_log_lines(buffer: &mut Buffer) -> Result<()> {
    let offset = std::mem::offset_of!(Answers, log_lines);
    let room = aligned_memory(buffer)?;
    if let Some(place) = room.get_mut(offset..offset + size_of::<u32>()) {
        place.copy_from_slice(&log_ring::waiting_count().to_ne_bytes());
    }
    Ok(())
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
    fn write_item(
        &mut self,
        offset: usize,
        prefix: &str,
        found: &FoundItem<'_>,
        library: Option<&model::Library>,
        file: u32,
    ) {
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
        found: impl ExactSizeIterator<Item = (FoundItem<'f>, Option<&'f model::Library>, Option<MatchedFile>)>,
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
    fn restart(&mut self, count: usize) {
        self.next_answer = size_of::<Answers>();
        self.used = self.next_answer + count * size_of::<AnswerRecord>();
    }

    /// Writes the record of the next answer, and appends its candidates and strings. Fails if a candidate has no rating
    /// key.
    fn append_answer(&mut self, answer: &Answer<'_>) -> Result<()> {
        let with_files = self.with_files;
        let found = answer.candidates.iter().map(|found| {
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
struct BlockReader<'b> {
    bytes: &'b [u8],
    head: Answers,
}

impl BlockReader<'_> {
    /// Returns the block in this buffer; `None` if the buffer contains no block, or one of another library version.
    ///
    /// # Safety
    /// `buffer` must be NULL, misaligned or valid, and its memory must not change while the block is used.
    unsafe fn of(buffer: *const Buffer) -> Option<Self> {
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
    fn count(&self) -> usize {
        let last = (self.head.count as usize).wrapping_sub(1);
        if self.answer(last).is_null() { 0 } else { last + 1 } // for 0 answers, `last` is `usize::MAX`
    }

    /// Returns the answer at this index; NULL beyond the last answer.
    fn answer(&self, index: usize) -> *const AnswerRecord {
        self.element(self.head.first, self.head.count, index)
    }

    /// Returns the record at `index` in the array of `count` records at `offset`, valid as long as the block; NULL if
    /// it is misaligned, or outside the array or the block.
    fn element<T>(&self, offset: u32, count: u32, index: usize) -> *const T {
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
    fn text(&self, text: Text) -> *const c_char {
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
#[path = "blocks_tests.rs"]
mod blocks_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::for_tests::{buffer, hostile, item};
    use plexindex::model::Item;

    #[test]
    fn a_key_with_a_nul_shifts_no_other_answer() {
        let folder = tempfile::tempdir().unwrap();
        let index = hostile(folder.path());
        let library = index.library("Movies").unwrap();
        let asked = |path: &str| library.match_path(path).unwrap().candidates[0].rating_key.clone();
        assert_eq!((asked("/a"), asked("/c")), ("1".into(), "4".into()));

        let mut room = [0_u8; 256];
        let mut keys = buffer(room.as_mut_ptr(), room.len());
        assert_eq!(lookup_keys(&library, b"/a\0/b\0/c\0", 3, &mut keys), Ok(Status::Ok));
        let length = keys.length;
        assert_eq!(&room[..length], b"/library/metadata/1\0\0/library/metadata/4\0");
    }

    #[test]
    fn a_block_without_its_last_nul_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let library = hostile(folder.path()).library("Movies").unwrap();
        let mut keys = buffer::<u8>(std::ptr::null_mut(), 0);
        // It has one NUL, as `count` says.
        let block = b"/a\0/b";
        let refused = lookup_keys(&library, block, 1, &mut keys).map_err(|error| error.status);
        assert_eq!(refused, Err(Status::InvalidArgument));
        let refused = crate::strings::split_strings(block, 1, "paths").map_err(|error| error.status);
        assert_eq!(refused, Err(Status::InvalidArgument));
    }

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
}
