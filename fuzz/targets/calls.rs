//! The C ABI over an open index, called as a careless or hostile caller may: any text, any size of a struct, NULL wherever a
//! pointer stands, buffers of any size. Each call gives a status that has a name; blocks are what the header says.

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::fs;
use std::mem::size_of;
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use std::sync::LazyLock;

use plexindex::error::Status;
use plexindex_abi::methods::METHODS;
use plexindex_abi::types::{
    AnswerRecord, Answers, Buffer, Bytes, Handle, ItemRecord, LibraryHandle, OptionsRecord, QueryRecord, StatsRecord,
    TableHandle, TableOp, Text,
};
use plexindex_abi::*;
use serde_json::json;

use super::input::{Input, folder};
use super::opening::{check_status, error, exactly, loud, size_near};
use super::server;

/// A store as it is filled, a copy that is worked on, and what is open there.
struct FolderConnections {
    template: tempfile::TempDir,
    place: PathBuf,
    open: Option<Open>,
    /// How many runs have written to it.
    writes: u32,
    _folder: tempfile::TempDir,
}

/// So many runs write before the store is made anew, which takes longer than a thousand calls. What fails must not depend
/// on the runs before: no check looks at more than its own call.
const RUNS: u32 = 256;

struct Open {
    handle: *mut Handle,
    libraries: [*const LibraryHandle; 4],
    tables: [*const TableHandle; 4],
}

thread_local! {
    static HERE: RefCell<FolderConnections> = RefCell::new(FolderConnections::new());
}

fn copied(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).expect("a folder");
    for file in fs::read_dir(from).expect("the template") {
        let file = file.expect("a file");
        if !file.file_name().to_string_lossy().ends_with("-shm") {
            fs::copy(file.path(), to.join(file.file_name())).expect("copied");
        }
    }
}

impl FolderConnections {
    fn new() -> Self {
        let template = folder();
        server::fill(template.path());
        let folder = folder();
        Self {
            template,
            place: folder.path().join("store"),
            open: None,
            writes: 0,
            _folder: folder,
        }
    }

    fn open(&mut self) -> &Open {
        if self.open.is_none() {
            copied(self.template.path(), &self.place);
            self.open = Some(Open::new(&self.place));
        }
        self.open.as_ref().expect("opened")
    }

    /// What was written is forgotten: the next run begins with the store as it was filled.
    fn close(&mut self) {
        self.writes = 0;
        if let Some(open) = self.open.take() {
            // SAFETY: it is open, and nothing uses it any more.
            assert_eq!(unsafe { plexindex_close(open.handle, error()) }, 0);
        }
    }
}

fn bytes(text: &[u8]) -> Bytes {
    Bytes {
        data: text.as_ptr().cast(),
        length: text.len(),
    }
}

impl Open {
    fn new(place: &Path) -> Self {
        // SAFETY: integers, pointers and nullable functions; all that is set is valid during the calls.
        unsafe {
            let mut options: OptionsRecord = std::mem::zeroed();
            options.size = size_of::<OptionsRecord>();
            options.cache_dir = bytes(place.to_str().expect("a plain name").as_bytes());
            options.server_url = bytes(server::URL.as_bytes());
            options.token = bytes(server::TOKEN.as_bytes());
            options.flags = constants::PLEXINDEX_OPEN_OFFLINE;
            options.log_level = constants::PLEXINDEX_LOG_OFF;
            let mut handle = null_mut();
            assert_eq!(
                plexindex_open(&raw const options, &raw mut handle, error()),
                0,
                "{}",
                super::opening::message()
            );
            loud();
            let library = |kind: i32, name: &[u8]| {
                let mut library = null();
                let status = plexindex_get_library(
                    handle,
                    kind,
                    name.as_ptr().cast(),
                    name.len(),
                    &raw mut library,
                    error(),
                );
                assert_eq!(status, 0);
                library
            };
            let table = |name: &[u8], flags: u32| {
                let mut table = null();
                assert_eq!(
                    plexindex_get_table(handle, name.as_ptr().cast(), name.len(), flags, &raw mut table, error()),
                    0
                );
                table
            };
            Self {
                handle,
                libraries: [
                    null(),
                    library(constants::PLEXINDEX_SELECT_TITLE, b"Movies"),
                    library(constants::PLEXINDEX_SELECT_ALL, b""),
                    library(constants::PLEXINDEX_SELECT_TITLE, b"Unknown"),
                ],
                tables: [
                    null(),
                    table(b"kept", 0),
                    table(b"kept", constants::PLEXINDEX_TABLE_FOLD_ASCII),
                    table(b"other", 0),
                ],
            }
        }
    }
}

/// A text: one that means something here, or any.
fn text(input: &mut Input<'_>) -> Vec<u8> {
    const KNOWN: [&[u8]; 20] = [
        b"/mnt/films/Film 1 (1999)/Film 1.mkv",
        b"/MNT/films/film 2 (1999)/FILM 2.mkv",
        b"/elsewhere/Film 5 (1999)/Film 5.mkv",
        b"/host/a.mkv",
        b"/host/\xff.mkv",
        b"/x/twin.mkv",
        b"101",
        b"/library/metadata/102",
        b"Title 103",
        b"A Show",
        b"imdb://tt0000301",
        b"plex://show/5d9c086fe9d5a1001f4d9fe6",
        b"plex://movie/5d776825880197001ec90a2f",
        b"name 1",
        b"NAME 2",
        b"/a\0/mnt/films/Film 7 (1999)/Film 7.mkv\0",
        b"101\x00102\0",
        b"title\0A\0genre+\0B\0",
        b"{\"NotificationContainer\":{\"type\":\"timeline\",\"TimelineEntry\":[{\"sectionID\":1,\"itemID\":101,\"state\":9}]}}",
        b"",
    ];
    match input.byte() {
        own @ 0xC0.. => input.take(usize::from(own & 63)).to_vec(),
        long @ 0xB8.. => [&b"/mnt"[..], &vec![b'/' + (long & 3); 70_000]].concat(),
        mixed @ 0x80.. => {
            let mut text = KNOWN[usize::from(mixed) % KNOWN.len()].to_vec();
            text.extend_from_slice(input.take(usize::from(mixed >> 4 & 3)));
            text
        }
        one => KNOWN[usize::from(one) % KNOWN.len()].to_vec(),
    }
}

/// A text as it is given: its pointer, which may be NULL, and its length.
fn given(text: &[u8], nulls: u8) -> (*const c_char, usize) {
    let data = if nulls & 0xE0 == 0xE0 {
        null()
    } else {
        text.as_ptr().cast()
    };
    (data, text.len())
}

/// A buffer of exactly this size, so that writing more is found.
struct Room {
    memory: Vec<u64>,
    buffer: Buffer,
}

impl Room {
    fn new(input: &mut Input<'_>) -> Self {
        let capacity = match input.byte() {
            small @ ..0x40 => usize::from(small),
            middle @ ..0x80 => usize::from(middle) * 8,
            _ => 16 << 10,
        };
        let mut memory = vec![0xA5A5_A5A5_A5A5_A5A5_u64; capacity.div_ceil(8)];
        let data = if capacity == 0 {
            null_mut()
        } else {
            memory.as_mut_ptr().cast::<c_void>()
        };
        Self {
            memory,
            buffer: Buffer {
                data,
                capacity,
                length: 77,
            },
        }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: so many bytes were made.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast(), self.buffer.capacity) }
    }

    /// What was written, where something was.
    fn check(&self, status: Status) -> Option<&[u8]> {
        let behind = self.buffer.capacity % 8;
        if behind > 0 {
            let last = self.memory.last().expect("it has some").to_ne_bytes();
            assert!(
                last[behind..].iter().all(|byte| *byte == 0xA5),
                "written behind the buffer's end"
            );
        }
        if status == Status::BufferTooSmall {
            // Texts have a NUL that their length does not count.
            assert!(
                self.buffer.length > self.buffer.capacity,
                "too small, though {} do",
                self.buffer.length
            );
            return None;
        }
        let answered = (status as i32) < Status::InvalidArgument as i32;
        answered.then(|| {
            self.bytes()
                .get(..self.buffer.length)
                .expect("no more than there is room for")
        })
    }

    /// A text with a NUL behind it.
    fn check_text(&self, status: Status) -> Option<&[u8]> {
        let written = self.check(status).filter(|_| status == Status::Ok)?;
        assert_eq!(self.bytes().get(written.len()), Some(&0));
        Some(written)
    }
}

fn read<T: Copy>(block: &[u8], at: u32) -> T {
    let at = at as usize;
    let bytes = block.get(at..at + size_of::<T>()).expect("a record inside the block");
    assert_eq!(at % 8, 0, "a record at {at}");
    // SAFETY: so many bytes are there, and all bytes make a value.
    unsafe { bytes.as_ptr().cast::<T>().read_unaligned() }
}

fn string(block: &[u8], text: Text) -> &[u8] {
    if (text.offset, text.length) == (0, 0) {
        return b"";
    }
    let (at, length) = (text.offset as usize, text.length as usize);
    let string = block.get(at..at + length).expect("a text inside the block");
    assert_eq!(block.get(at + length), Some(&0), "a text without a NUL");
    string
}

fn check_item(block: &[u8], at: u32) {
    let item: ItemRecord = read(block, at);
    let key = std::str::from_utf8(string(block, item.key)).expect("UTF-8");
    let rating_key = std::str::from_utf8(string(block, item.rating_key)).expect("UTF-8");
    assert!(!rating_key.is_empty() && !rating_key.contains('\0'), "{rating_key:?}");
    assert_eq!(key.strip_prefix("/library/metadata/"), Some(rating_key));
    for text in [
        item.title,
        item.guid,
        item.show_title,
        item.show_rating_key,
        item.show_guid,
        item.section,
        item.library_title,
    ] {
        std::str::from_utf8(string(block, text)).expect("UTF-8");
    }
    let path = string(block, item.path);
    let is_text = std::str::from_utf8(path).is_ok();
    assert_eq!(item.flags & constants::PLEXINDEX_ITEM_PATH_NOT_UTF8 == 0, is_text);
    assert_eq!(item.reserved, 0);
}

fn check_block(block: &[u8], count: usize, status: Status, of_items: bool) {
    let head: Answers = read(block, 0);
    assert_eq!(head.size as usize, size_of::<Answers>());
    assert_eq!(
        (head.answer_size as usize, head.item_size as usize),
        (size_of::<AnswerRecord>(), size_of::<ItemRecord>())
    );
    if of_items {
        return;
    }
    assert_eq!(head.count as usize, count);
    for number in 0..head.count {
        let answer: AnswerRecord = read(block, head.first + number * head.answer_size);
        let own = check_status_of(answer.status);
        if count == 1 && status != Status::Ok {
            assert_eq!(own, status);
        }
        string(block, answer.message);
        assert_eq!(own == Status::Ok, answer.item != 0, "{own:?}");
        if answer.item != 0 {
            check_item(block, answer.item);
        }
        for candidate in 0..answer.candidates_count {
            check_item(block, answer.candidates + candidate * head.item_size);
        }
        assert!(answer.candidates_total >= answer.candidates_count);
    }
}

fn check_status_of(status: i32) -> Status {
    let status = Status::from_number(status).expect("a status");
    assert_ne!(status, Status::Panic);
    status
}

/// What a call may have written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Written {
    Some,
    /// What the store was filled with is gone, or does not count.
    All,
}

/// Makes one call; tells what it may have written.
fn call(open: &Open, input: &mut Input<'_>) -> Option<Written> {
    let (function, nulls) = (input.byte(), input.byte());
    let handle: *const Handle = if nulls & 0x0F == 0x0F { null() } else { open.handle };
    let library = open.libraries[if nulls & 0x10 == 0 { 1 } else { input.below(4) }];
    let table = open.tables[if nulls & 0x10 == 0 { 1 } else { input.below(4) }];
    let (one, two) = (text(input), text(input));
    let (first, first_length) = given(&one, nulls);
    let (second, second_length) = given(&two, nulls << 1);
    let mut room = Room::new(input);
    let place: *mut Buffer = if nulls & 0xF0 == 0x50 {
        null_mut()
    } else {
        &raw mut room.buffer
    };
    // SAFETY: integers, pointers and nullable functions.
    let mut query: QueryRecord = unsafe { std::mem::zeroed() };
    query.library = library;
    query.text = Bytes {
        data: first,
        length: first_length,
    };
    query.timeout_ms = input.number();
    query.flags = u32::from(input.byte() % 5);
    query.reserved = u32::from(input.byte() == 255);
    let asked = exactly(&query, size_near(size_of::<QueryRecord>(), input));
    let query: *const QueryRecord = if nulls & 0xF0 == 0x60 {
        null()
    } else {
        asked.as_ptr().cast()
    };
    let count = match input.byte() {
        255 => usize::MAX,
        254 => usize::MAX / 2,
        small @ 128.. => usize::from(small & 3),
        _ => one.iter().filter(|byte| **byte == 0).count(),
    };
    // SAFETY: pointers are NULL, or as the header wants them: this is what it promises to take.
    let (status, writes) = unsafe {
        match function % 36 {
            0 => {
                let slot = &mut null();
                let status = plexindex_get_library(
                    handle,
                    i32::from(input.byte() % 7) - 1,
                    first,
                    first_length,
                    slot,
                    error(),
                );
                assert_eq!(status == 0, !slot.is_null());
                (status, None)
            }
            1..=5 => {
                let status = plexindex_match_path(handle, query, place, error());
                let known = check_status(status);
                if let Some(block) = room.check(known).filter(|_| !place.is_null()) {
                    check_block(block, 1, known, false);
                }
                (status, None)
            }
            6..=8 => {
                let status = plexindex_match_paths(handle, query, count, place, error());
                let known = check_status(status);
                if let Some(block) = room.check(known).filter(|_| !place.is_null()) {
                    check_block(block, count, Status::Ok, false);
                }
                (status, None)
            }
            9 | 10 | 14 | 22 | 24 | 32..=34 => by_name(handle, &one, &two, input),
            11 | 12 => {
                let path = [&one[..], b"\0"].concat();
                let found = plexindex_lookup_key(library, path.as_ptr().cast());
                if !found.is_null() {
                    let key = std::ffi::CStr::from_ptr(found).to_str().expect("UTF-8");
                    assert!(
                        key.strip_prefix("/library/metadata/")
                            .is_some_and(|key| !key.is_empty()),
                        "{key:?}"
                    );
                }
                (0, None)
            }
            13 => {
                let status = plexindex_lookup_keys(library, first, first_length, count, place, error());
                if let Some(keys) = room.check(check_status(status)).filter(|_| !place.is_null()) {
                    assert_eq!(keys.iter().filter(|byte| **byte == 0).count(), count);
                }
                (status, None)
            }
            15 => (
                plexindex_record_match(
                    library,
                    first,
                    first_length,
                    second,
                    second_length,
                    input.number(),
                    error(),
                ),
                Some(Written::Some),
            ),
            16 => (
                plexindex_record_matches(
                    library,
                    first,
                    first_length,
                    second,
                    second_length,
                    count,
                    u32::from(input.byte() % 3),
                    input.number(),
                    error(),
                ),
                Some(Written::Some),
            ),
            17 => (
                plexindex_invalidate_path(library, first, first_length, error()),
                Some(Written::Some),
            ),
            18 => (
                plexindex_invalidate_item(library, first, first_length, error()),
                Some(Written::Some),
            ),
            // Rarely with success: little can be asked of an empty store, or of one in which nothing counts.
            19 | 20 => match nulls {
                0x2A => (plexindex_clear(handle, error()), Some(Written::All)),
                0x2B => (
                    plexindex_invalidate_library(open.libraries[2], error()),
                    Some(Written::All),
                ),
                0x2C => (plexindex_invalidate_library(library, error()), Some(Written::All)),
                0x2D => (plexindex_clear(null(), error()), None),
                0x2E => (plexindex_invalidate_library(null(), error()), None),
                _ => (plexindex_invalidate_library(open.libraries[3], error()), None),
            },
            21 => (plexindex_refresh(handle, query, error()), Some(Written::Some)),
            23 => (
                plexindex_notify(handle, first, first_length, error()),
                Some(Written::Some),
            ),
            25 => {
                let mut slot = null();
                (
                    plexindex_get_table(
                        handle,
                        first,
                        first_length,
                        u32::from(input.byte() % 3),
                        &raw mut slot,
                        error(),
                    ),
                    None,
                )
            }
            26 => {
                let name = [&one[..], b"\0"].concat();
                let mut value = std::ptr::null();
                let status = plexindex_table_lookup(table, name.as_ptr().cast(), &raw mut value);
                if !value.is_null() {
                    assert!(std::ffi::CStr::from_ptr(value).to_bytes().len() <= 1000);
                }
                (status, None)
            }
            27 => {
                let status = plexindex_table_get(table, first, first_length, place, error());
                if !place.is_null() {
                    room.check_text(check_status(status));
                }
                (status, None)
            }
            28 => {
                let (ttl, limit) = (input.number(), input.number().cast_unsigned());
                (
                    plexindex_table_put(table, first, first_length, second, second_length, ttl, limit, error()),
                    Some(Written::Some),
                )
            }
            29 => (
                plexindex_table_remove(table, first, first_length, error()),
                Some(Written::Some),
            ),
            30 => {
                let op = |input: &mut Input<'_>| TableOp {
                    kind: i32::from(input.byte() % 5),
                    reserved: u32::from(input.byte() == 255),
                    table,
                    name: Bytes {
                        data: first,
                        length: first_length,
                    },
                    value: Bytes {
                        data: second,
                        length: second_length,
                    },
                };
                let ops: Vec<TableOp> = (0..input.below(4)).map(|_| op(input)).collect();
                let pointer = if nulls & 0xF0 == 0x70 { null() } else { ops.as_ptr() };
                let status = plexindex_table_write(
                    handle,
                    pointer,
                    ops.len(),
                    input.number(),
                    input.number().cast_unsigned(),
                    error(),
                );
                (status, Some(Written::Some))
            }
            31 => {
                let status = plexindex_table_get_next(table, first, first_length, place, error());
                if !place.is_null() {
                    room.check_text(check_status(status));
                }
                (status, None)
            }
            _ => {
                let stats: StatsRecord = std::mem::zeroed();
                let mut stats = exactly(&stats, size_near(size_of::<StatsRecord>(), input));
                (plexindex_get_stats(handle, stats.as_mut_ptr().cast(), error()), None)
            }
        }
    };
    check_status(status);
    writes
}

/// Calls a method with a request that is no JSON, or an object of fields that methods know.
fn by_name(handle: *const Handle, one: &[u8], two: &[u8], input: &mut Input<'_>) -> (i32, Option<Written>) {
    const FIELDS: [&str; 16] = [
        "library", "path", "cursor", "limit", "key", "keys", "guid", "title", "start", "walk", "changes", "table",
        "all", "others", "offline", "action",
    ];
    let method = METHODS[input.below(METHODS.len())].name;
    let values = [String::from_utf8_lossy(one), String::from_utf8_lossy(two)];
    let request = if input.byte().is_multiple_of(4) {
        one.to_vec()
    } else {
        let field = |input: &mut Input<'_>| {
            let value = &values[input.below(2)];
            let value = match input.byte() % 6 {
                0 => json!(input.number()),
                1 => json!([value]),
                2 => json!([{ "kind": "folder", "path": value }, { "field": value, "set": value }]),
                3 => json!({ "bytes": value }),
                4 => json!(input.byte().is_multiple_of(2)),
                _ => json!(value),
            };
            (FIELDS[input.below(FIELDS.len())].to_owned(), value)
        };
        let fields: serde_json::Map<_, _> = (0..input.below(4)).map(|_| field(input)).collect();
        serde_json::Value::Object(fields).to_string().into_bytes()
    };
    let name = [method.as_bytes(), b"\0"].concat();
    let mut answer = null_mut();
    // SAFETY: as the header says; the answer is released once.
    let status = unsafe {
        let given = (request.as_ptr().cast(), request.len());
        let status = plexindex_call(
            handle,
            name.as_ptr().cast(),
            given.0,
            given.1,
            null(),
            &raw mut answer,
            error(),
        );
        if !answer.is_null() {
            let text = std::ffi::CStr::from_ptr(answer).to_bytes();
            assert!(serde_json::from_slice::<serde_json::Value>(text).is_ok(), "no JSON");
        }
        plexindex_free(answer);
        status
    };
    let known = check_status(status);
    assert!(
        answer.is_null() == (known as i32 >= 100) || method == "edit",
        "{method}: {known:?}"
    );
    (
        status,
        (method == "tables.clear" && known == Status::Ok).then_some(Written::All),
    )
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    HERE.with_borrow_mut(|here| {
        let mut written = None;
        for _ in 0..6 {
            if input.is_empty() {
                break;
            }
            written = written.max(call(here.open(), &mut input));
        }
        here.writes += u32::from(written.is_some());
        if written == Some(Written::All) || here.writes >= RUNS {
            here.close();
        }
    });
}
