//! No function returns memory outside of a block, even if the block is damaged, cut or was never written.

use std::alloc::{Layout, alloc, dealloc};
use std::mem::{offset_of, size_of};
use std::ptr::{from_ref, null, null_mut, without_provenance};

use super::*;
use crate::constants as c;
use crate::for_tests::{buffer, index_of, item, query, text};
use crate::functions::{plexindex_close, plexindex_match_paths};
use crate::guard::Opened;
use plexindex::error::Status;
use plexindex::model::{FileFacts, Item, ItemFacts, KnownFacts, Reason};

/// A block in memory of its exact size, aligned as malloc aligns it.
struct Block {
    memory: Vec<u64>,
    length: usize,
}

impl Block {
    /// The answers for these paths, each with a NUL, of a library with three films.
    fn of(paths: &'static str) -> Self {
        let film = |key, title: &str, path| {
            let mut facts = ItemFacts::default();
            let file = FileFacts {
                resolution: "1080".into(),
                container: "mkv".into(),
                is_optimized: true,
                ..FileFacts::default()
            };
            facts.push(1 << 30, file);
            Item {
                title: title.into(),
                facts: KnownFacts(Some(Box::new(facts))),
                ..item(key, path)
            }
        };
        let films = vec![
            film("1", "Exact", "/data/Exact.mkv"),
            film("2", "Twin A", "/data/A/twin.mkv"),
            film("3", "Twin B", "/data/B/twin.mkv"),
        ];
        let folder = tempfile::tempdir().expect("a folder");
        let handle = Opened::wrap(index_of(folder.path(), Vec::new(), films)).into_handle();
        let (mut query, count) = (query(null(), text(paths)), paths.matches('\0').count());
        query.flags = c::PLEXINDEX_QUERY_FILE;
        let mut memory = vec![0; 1024];
        let mut block = buffer(memory.as_mut_ptr(), 8 * memory.len());
        // SAFETY: all of it is there.
        unsafe {
            let status = plexindex_match_paths(handle, from_ref(&query), count, &raw mut block, null_mut());
            assert_eq!(status, Status::Ok as i32);
            assert_eq!(plexindex_close(handle, null_mut()), Status::Ok as i32);
        }
        memory.truncate(block.length.div_ceil(8));
        Self {
            memory,
            length: block.length,
        }
    }

    fn buffer(&self) -> Buffer {
        filled(&self.memory, self.length)
    }
}

fn filled(memory: &[u64], length: usize) -> Buffer {
    Buffer {
        length,
        ..buffer(memory.as_ptr().cast_mut(), length)
    }
}

/// Reads a copy of exact size, so that a sanitizer finds what is read beyond it.
fn read_copy(bytes: &[u8]) {
    let layout = Layout::from_size_align(bytes.len().max(1), 8).expect("small");
    // SAFETY: the copy is there while it is read.
    unsafe {
        let copy = alloc(layout);
        copy.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        let block = Buffer {
            data: copy.cast(),
            length: bytes.len(),
            capacity: bytes.len(),
        };
        texts_of(&block, false);
        dealloc(copy, layout);
    }
}

/// Checks that this memory is in the block.
fn check_inside<T>(block: &Buffer, place: *const T, size: usize) {
    let offset = place.addr().checked_sub(block.data.addr()).expect("behind its begin");
    assert!(offset + size <= block.length && place.is_aligned());
}

/// Reads all that a block has, and returns the texts. In an undamaged block, each field has a value of the header.
fn texts_of(block: &Buffer, is_undamaged: bool) -> Vec<String> {
    let mut texts = Vec::new();
    // SAFETY: the block is there, and what it gives is checked before it is read.
    unsafe {
        let mut read_text = |text: &Text| {
            let (found, length) = (plexindex_get_text(block, text), text.length as usize);
            if !found.is_null() {
                check_inside(block, found, length + 1);
                let bytes = std::slice::from_raw_parts(found.cast::<u8>(), length + 1);
                assert_eq!(bytes[length], 0);
                assert!(!is_undamaged || !bytes[..length].contains(&0), "{bytes:?}");
                texts.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            }
        };
        for index in 0..plexindex_count_answers(block) {
            let answer = plexindex_get_answer(block, index);
            check_inside(block, answer, size_of::<AnswerRecord>());
            read_text(&(*answer).message);
            if is_undamaged {
                assert_eq!((*answer).flags & !c::PLEXINDEX_ANSWER_STALE, 0);
                let has_reason = (*answer).reason != Reason::None as u8;
                assert_eq!(has_reason, (*answer).message.offset != 0);
            }
            let candidates = (0..).map(|at| plexindex_get_candidate(block, answer, at));
            let items = candidates.take_while(|item| !item.is_null());
            for item in items
                .chain([plexindex_get_sure_item(block, answer)])
                .filter(|item| !item.is_null())
            {
                check_inside(block, item, size_of::<ItemRecord>());
                if is_undamaged {
                    let flags = c::PLEXINDEX_ITEM_PATH_NOT_UTF8 | c::PLEXINDEX_ITEM_KEY_ONLY;
                    assert_eq!((*item).flags & !flags, 0);
                }
                let file = plexindex_get_file(block, item);
                if let Some(file) = file.as_ref() {
                    check_inside(block, from_ref(file), size_of::<FileRecord>());
                    assert!(!is_undamaged || file.reserved == 0 && file.flags & !c::PLEXINDEX_FILE_OPTIMIZED == 0);
                    read_text(&file.resolution);
                    read_text(&file.container);
                }
                // The record begins with its ten texts.
                let fields = item.cast::<Text>();
                (0..10).for_each(|field| read_text(&*fields.add(field)));
            }
        }
    }
    texts
}

#[test]
fn a_block_has_all_parts_of_its_answers() {
    let paths = "/data/Exact.mkv\0/else/twin.mkv\0/else/none.mkv\0/else/Exact.mkv\0";
    let block = Block::of(paths);
    let block = block.buffer();
    let texts = texts_of(&block, true);
    for text in [
        "/library/metadata/3",
        "3",
        "Twin B",
        "/data/B/twin.mkv",
        "Movies",
        "1080",
        "mkv",
    ] {
        assert!(texts.iter().any(|one| one == text), "{text}: {texts:?}");
    }
    let answers = [0, 1, 2, 3].map(|index| {
        // SAFETY: the block is there.
        unsafe {
            let answer = plexindex_get_answer(&raw const block, index);
            let item = plexindex_get_sure_item(&raw const block, answer);
            // The last answer has low confidence.
            assert_eq!(item.is_null(), index > 0);
            assert!(item.is_null() || item == plexindex_get_candidate(&raw const block, answer, 0));
            if index == 0 {
                let file = *plexindex_get_file(&raw const block, item);
                let places = [file.part, file.parts, file.version, file.versions];
                assert_eq!((file.size_bytes, places), (1 << 30, [1; 4]));
                assert_eq!(file.flags, c::PLEXINDEX_FILE_OPTIMIZED);
            }
            let has_message = !plexindex_get_text(&raw const block, &raw const (*answer).message).is_null();
            ((*answer).status, (*answer).candidates_count, has_message)
        }
    });
    let [ok, ambiguous, missed] = [Status::Ok, Status::Ambiguous, Status::NotFound].map(|status| status as i32);
    // A match by the end of the path has a reason.
    let expected = [(ok, 1, false), (ambiguous, 2, true), (missed, 0, true), (ok, 1, true)];
    assert_eq!(answers, expected);
}

#[test]
fn a_damaged_block_gives_nothing_outside_of_it() {
    let Block { memory, length } = Block::of("/data/Exact.mkv\0/else/twin.mkv\0");
    let bytes: Vec<u8> = memory.into_iter().flat_map(u64::to_ne_bytes).take(length).collect();
    for at in (0..=length - 4).step_by(4) {
        for number in [0_u32, 1, 2, 3, 8, 100, 1000, 1 << 16, 1 << 31, !0 >> 1, !7, !0] {
            let mut bytes = bytes.clone();
            bytes[at..at + 4].copy_from_slice(&number.to_ne_bytes());
            read_copy(&bytes);
        }
    }
    (0..length).for_each(|length| read_copy(&bytes[..length]));
}

#[test]
fn without_a_block_nothing_is_returned() {
    let block = Block::of("/else/twin.mkv\0");
    let whole = block.buffer();
    let json = u64::from_ne_bytes(*b"{\"a\": 1}");
    let mut newer = block.memory.clone();
    newer[0] ^= 1; // the size of a struct
    let changed = |data, length| Buffer { data, length, ..whole };
    for none in [
        filled(&[0; 8], 64),
        filled(&[!0; 8], 64),
        filled(&[json; 8], 64),
        filled(&newer, block.length),
        changed(whole.data, 0),
        changed(whole.data, whole.capacity + 1),
        changed(null_mut(), whole.length),
    ] {
        // SAFETY: the memory is there.
        assert_eq!(unsafe { plexindex_count_answers(&raw const none) }, 0);
    }
    // A block at an address that is not a multiple of 8.
    for shift in [1, 4] {
        let mut memory = vec![0_u64; block.memory.len() + 1];
        // SAFETY: the memory is longer than the block, and there.
        unsafe {
            let data = memory.as_mut_ptr().byte_add(shift);
            data.cast::<u8>()
                .copy_from_nonoverlapping(whole.data.cast::<u8>(), whole.length);
            let odd = changed(data.cast(), whole.length);
            assert_eq!(plexindex_count_answers(&raw const odd), 0, "{shift}");
        }
    }
    let block = &raw const whole;
    // SAFETY: the memory is there.
    unsafe {
        let answer = plexindex_get_answer(block, 0);
        assert!(plexindex_get_answer(block, 1).is_null());
        assert!(plexindex_get_answer(block, usize::MAX).is_null());
        assert!(plexindex_get_sure_item(block, null()).is_null());
        assert!(plexindex_get_candidate(block, null(), 0).is_null());
        assert!(plexindex_get_candidate(block, answer, usize::MAX).is_null());
        assert!(plexindex_get_file(block, null()).is_null());
        assert!(plexindex_get_text(block, null()).is_null());
        // `&item->path` without an item.
        assert!(plexindex_get_text(block, without_provenance(offset_of!(ItemRecord, path))).is_null());
        // A misaligned copy of an answer, outside of the block.
        let mut odd = [*answer; 2];
        let copy = (&raw mut odd[0]).byte_add(1);
        copy.write_unaligned(*answer);
        let second = plexindex_get_candidate(block, copy, 1);
        assert!(!second.is_null() && second == plexindex_get_candidate(block, answer, 1));
        // A misaligned copy of the buffer.
        let mut memory = [0_u64; 8];
        let odd = memory.as_mut_ptr().byte_add(1).cast::<Buffer>();
        odd.write_unaligned(whole);
        assert_eq!(plexindex_count_answers(odd), 0);
    }
}
