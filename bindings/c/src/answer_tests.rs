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
