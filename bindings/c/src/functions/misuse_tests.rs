//! Invalid arguments: each gives a status and a message that names the argument and the remedy. `all_tests` passes NULL
//! for each pointer, and `methods_tests` invalid requests of methods.

use std::ffi::CStr;
use std::mem::{offset_of, size_of, zeroed};
use std::ptr::{from_ref, null, null_mut};

use super::*;
use crate::constants as c;
use crate::for_tests::{Scene, buffer, query, text};
use crate::guard::tests::message;
use crate::types::{Buffer, Bytes, CallOptionsRecord, MappingRecord, OptionsRecord, QueryRecord, StatsRecord, TableOp};
use plexindex::error::Status;

const fn given(data: *const u8, length: usize) -> Bytes {
    let data = data.cast();
    Bytes { data, length }
}

/// A text that is longer than allowed by one byte.
fn beyond(limit: usize) -> Bytes {
    static LETTERS: [u8; 1 << 17] = [b'x'; 1 << 17];
    given(LETTERS[..=limit].as_ptr(), limit + 1)
}

/// A length that no memory has: whatever reads it crashes.
const ABSURD: usize = 1 << 48;
const ENDLESS: Bytes = given(c"/a".as_ptr().cast(), ABSURD);
const NOWHERE: Bytes = given(null(), 1);
const NOTHING: Bytes = given(null(), 0);
const NOT_UTF8: Bytes = given(b"/\xff.mkv".as_ptr(), 6);

/// The call has returned this error, whose message has the words and no long value.
#[track_caller]
fn refused(status: i32, expected: Status, words: &[&str]) {
    assert_eq!(status, expected as i32, "{words:?}: {}", message());
    for word in words {
        assert!(message().contains(word), "{word}: {}", message());
    }
    assert!(message().len() < 9_000, "{words:?}");
    assert!(!message().contains("secret"), "{}", message());
}

#[track_caller]
fn fine(status: i32) {
    assert_eq!(status, Status::Ok as i32, "{}", message());
}

/// Each call is refused with this status, and these words in its message.
macro_rules! refused {
    ($($call:expr => $status:ident $($word:literal),*;)*) => {
        $(refused($call, Status::$status, &[$($word),*]);)*
    };
}

/// Opens an index with these options, and closes it.
fn open(change: impl FnOnce(&mut OptionsRecord)) -> i32 {
    let folder = tempfile::tempdir().expect("a folder");
    let name = folder.path().to_str().expect("text");
    // SAFETY: zeros are options.
    let mut options = unsafe { zeroed::<OptionsRecord>() };
    options.size = size_of::<OptionsRecord>();
    options.cache_dir = given(name.as_ptr(), name.len());
    options.server_url = text("http://127.0.0.1:9");
    change(&mut options);
    let mut handle = null_mut();
    // SAFETY: all of it is there.
    unsafe {
        let status = plexindex_open(from_ref(&options), &raw mut handle, null_mut());
        assert_eq!(handle.is_null(), status != 0);
        fine(plexindex_close(handle, null_mut()));
        status
    }
}

#[test]
fn wrong_options_are_refused_by_name() {
    refused! {
        open(|o| o.size = offset_of!(OptionsRecord, cache_dir)) => InvalidArgument "options.size is";
        open(|o| o.cache_dir = text("")) => InvalidArgument "cache_dir";
        open(|o| o.cache_dir = text("/tmp\0/x")) => InvalidArgument "cache_dir", "NUL";
        open(|o| o.cache_dir = NOWHERE) => NullPointer "cache_dir";
        open(|o| o.cache_dir = beyond(32_767)) => InvalidArgument "cache_dir", "bytes";
        open(|o| o.cache_dir = text("/proc/plexindex")) => Store "/proc/plexindex";
        open(|o| o.cache_dir = text("/dev/null/below")) => Store "/dev/null/below";
        open(|o| o.cache_dir = beyond(32_766)) => Store "cannot create cache_dir xxx";
        open(|o| o.server_url = NOWHERE) => NullPointer "server_url";
        open(|o| o.server_url = text("127.0.0.1:32400")) => InvalidArgument "127.0.0.1:32400", "http://";
        open(|o| o.server_url = NOT_UTF8) => InvalidArgument "server_url";
        open(|o| o.server_url = ENDLESS) => InvalidArgument "server_url", "bytes";
        open(|o| o.token = NOWHERE) => NullPointer "token";
        open(|o| o.token = text("secret\r\nx: x")) => InvalidArgument "token";
        open(|o| o.token = beyond(65_536)) => InvalidArgument "65536";
        open(|o| o.token = ENDLESS) => InvalidArgument "token", "bytes";
        open(|o| o.user = beyond(4_096)) => InvalidArgument "user", "bytes";
        open(|o| o.ca_file = text("/no/such.pem")) => InvalidArgument "/no/such.pem";
        open(|o| o.ca_file = beyond(32_767)) => InvalidArgument "ca_file", "bytes";
        open(|o| o.database = beyond(32_767)) => InvalidArgument "database", "bytes";
        open(|o| o.shared = beyond(4_096)) => InvalidArgument "shared", "bytes";
        open(|o| o.shared = text("mysql://ann:secret@db/x")) => InvalidArgument "shared";
        open(|o| o.library_ttl_ms = -3) => InvalidArgument "library_ttl_ms", "-3";
        open(|o| o.library_ttl_ms = i64::MIN) => InvalidArgument "library_ttl_ms";
        open(|o| o.max_age_ms = -1) => InvalidArgument "max_age_ms", "-1";
        open(|o| o.timeout_ms = -2) => InvalidArgument "timeout_ms", "-2", "PLEXINDEX_NO_TIMEOUT";
        open(|o| o.connect_timeout_ms = -1) => InvalidArgument "connect_timeout_ms", "-1";
        open(|o| o.read_timeout_ms = -1) => InvalidArgument "read_timeout_ms", "-1";
        open(|o| o.stale_answer_timeout_ms = -1) => InvalidArgument "stale_answer_timeout_ms", "-1";
        open(|o| o.retry_ms = -2) => InvalidArgument "retry_ms", "-2";
        open(|o| o.slow_ms = -2) => InvalidArgument "slow_ms", "-2";
        open(|o| o.page_size = 1_001) => InvalidArgument "page_size", "1001";
        open(|o| o.flags = 1 << 31) => Unsupported "flags";
        open(|o| o.reserved = 1) => Unsupported "reserved";
        open(|o| o.log_level = 99) => InvalidArgument "log_level", "99";
        open(|o| o.log_level = -2) => InvalidArgument "log_level", "-2";
    }
    // A caller from the past: the library reads no fields that its struct lacks.
    fine(open(|o| {
        (o.size, o.reserved) = (offset_of!(OptionsRecord, library_ttl_ms), 1);
    }));
}

#[test]
fn wrong_mappings_are_refused_by_number() {
    let prefix = MappingRecord {
        kind: c::PLEXINDEX_MAPPING_HOST_PREFIX,
        reserved: 0,
        from: text("/host"),
        to: text("/data"),
    };
    let mapped = |change: &dyn Fn(&mut MappingRecord)| {
        let mut rules = [prefix; 2];
        change(&mut rules[1]);
        open(|o| (o.mappings, o.mappings_count) = (rules.as_ptr(), 2))
    };
    let pattern = |from| mapped(&|rule| (rule.kind, rule.from) = (c::PLEXINDEX_MAPPING_HOST_PATTERN, from));
    let brackets = vec![b'('; 32_767];
    refused! {
        open(|o| o.mappings_count = 2) => NullPointer "mappings";
        open(|o| (o.mappings, o.mappings_count) = (&raw const prefix, usize::MAX)) => InvalidArgument "mappings_count";
        mapped(&|rule| rule.kind = 0) => InvalidArgument "mappings[1]", "not 0", "PLEXINDEX_MAPPING_";
        mapped(&|rule| rule.kind = 5) => InvalidArgument "mappings[1]", "not 5", "PLEXINDEX_MAPPING_";
        mapped(&|rule| rule.from = text("media")) => InvalidArgument "mapping 2", "\"media\"", "absolute path";
        mapped(&|rule| rule.from = NOWHERE) => NullPointer "mappings[1]";
        mapped(&|rule| rule.reserved = 1) => Unsupported "mappings[1]", "reserved";
        pattern(NOT_UTF8) => InvalidArgument "mappings[1]", "UTF-8";
        pattern(beyond(32_767)) => InvalidArgument "mappings[1]", "32768 bytes", "32767";
        pattern(given(brackets.as_ptr(), brackets.len())) => InvalidArgument "mapping 2";
    }
}

impl Scene {
    /// Calls with a query of a listed path, after a change to the query.
    fn ask(
        &self,
        change: impl FnOnce(&mut QueryRecord),
        call: impl FnOnce(*const QueryRecord, *mut Buffer) -> i32,
    ) -> i32 {
        let mut query = query(self.library, text("/a"));
        change(&mut query);
        let mut memory = [0_u64; 1_024];
        let mut answer = buffer(memory.as_mut_ptr(), 8_000);
        call(&raw const query, &raw mut answer)
    }

    fn matched(&self, change: impl FnOnce(&mut QueryRecord)) -> i32 {
        // SAFETY: all of it is there.
        self.ask(change, |query, answer| unsafe {
            plexindex_match_path(self.handle, query, answer, null_mut())
        })
    }

    fn batch(&self, count: usize, change: impl FnOnce(&mut QueryRecord)) -> i32 {
        // SAFETY: all of it is there.
        self.ask(change, |query, answer| unsafe {
            plexindex_match_paths(self.handle, query, count, answer, null_mut())
        })
    }

    fn refreshed(&self, change: impl FnOnce(&mut QueryRecord)) -> i32 {
        // SAFETY: all of it is there.
        self.ask(change, |query, _| unsafe {
            plexindex_refresh(self.handle, query, null_mut())
        })
    }
}

#[test]
fn wrong_selectors_are_refused() {
    let at = Scene::new();
    let of = |kind, name| at.library(kind, name).expect_err("refused");
    refused! {
        of(-1, text("Movies")) => InvalidArgument "-1", "PLEXINDEX_SELECT_";
        of(5, text("Movies")) => InvalidArgument "5", "PLEXINDEX_SELECT_";
        of(c::PLEXINDEX_SELECT_ALL, text("Movies")) => InvalidArgument "PLEXINDEX_SELECT_ALL", "Movies";
        of(c::PLEXINDEX_SELECT_TITLE, text("")) => InvalidArgument "empty";
        of(c::PLEXINDEX_SELECT_TITLE, NOT_UTF8) => InvalidArgument "selector", "UTF-8";
        of(c::PLEXINDEX_SELECT_TITLE, ENDLESS) => InvalidArgument "4096";
    }
}

#[test]
fn wrong_queries_are_refused() {
    let at = Scene::new();
    refused! {
        at.matched(|q| q.size = offset_of!(QueryRecord, text)) => InvalidArgument "query.size is", "sizeof";
        at.matched(|q| q.text = text("")) => InvalidArgument "empty";
        at.matched(|q| q.text = NOWHERE) => NullPointer "text";
        at.matched(|q| q.text = beyond(65_535)) => InvalidArgument "65536";
        at.matched(|q| q.text = ENDLESS) => InvalidArgument "32767";
        at.matched(|q| q.text = text("/data/\0/movies")) => InvalidArgument "/data/", "NUL";
        at.matched(|q| q.timeout_ms = -2) => InvalidArgument "timeout_ms", "-2";
        at.matched(|q| q.timeout_ms = i64::MIN) => InvalidArgument "timeout_ms";
        at.matched(|q| q.flags = 1 << 31) => Unsupported "flags";
        at.matched(|q| q.flags = c::PLEXINDEX_QUERY_FULL) => InvalidArgument "PLEXINDEX_QUERY_FULL", "refresh()";
        at.matched(|q| q.reserved = 1) => Unsupported "reserved";
        at.matched(|q| (q.flags, q.file_size) = (c::PLEXINDEX_QUERY_NO_SIZE | c::PLEXINDEX_QUERY_FILE, 1)) => Ok;
        at.batch(2, |q| (q.text, q.file_size) = (text("/a\0/b\0"), 1)) => InvalidArgument "file_size", "match_path()";
        at.refreshed(|q| (q.text, q.file_size) = (text(""), 1)) => InvalidArgument "file_size";
        at.refreshed(|q| q.flags = c::PLEXINDEX_QUERY_NO_SIZE) => InvalidArgument "PLEXINDEX_QUERY_NO_SIZE";
        at.refreshed(|q| q.flags = c::PLEXINDEX_QUERY_FILE) => InvalidArgument "PLEXINDEX_QUERY_FILE";
        at.matched(|q| q.text = NOT_UTF8) => NotFound;
        at.matched(|q| q.library = null()) => Ok;
        at.batch(1, |q| q.size = 0) => InvalidArgument "size";
        at.batch(2, |q| q.text = text("/a\0/b\0")) => Ok;
        at.refreshed(|q| q.text = text("Movies")) => InvalidArgument "'Movies'", "query.library";
        at.refreshed(|q| (q.text, q.flags) = (text(""), 1 << 31)) => Unsupported "flags";
    }
    for count in [0, 1, 3, usize::MAX] {
        refused! { at.batch(count, |q| q.text = text("/a\0/b\0")) => InvalidArgument "count"; }
    }
    // Answers hold 64-bit numbers, so their memory must be aligned for them.
    // SAFETY: all of it is there.
    let odd = at.ask(
        |_| {},
        |query, answer| unsafe {
            (*answer).data = (*answer).data.byte_add(1);
            plexindex_match_path(at.handle, query, answer, null_mut())
        },
    );
    refused! { odd => InvalidArgument "align"; }
}

#[test]
fn wrong_fast_lookups_find_nothing() {
    let at = Scene::new();
    let long = [vec![b'x'; 65_536], vec![0]].concat();
    for path in [&b"\0"[..], b"\xff\xfe\0", &long] {
        let path = CStr::from_bytes_with_nul(path).expect("one NUL");
        // SAFETY: all of it is there.
        assert!(unsafe { plexindex_lookup_key(at.library, path.as_ptr()) }.is_null());
    }
    let look = |count, capacity, memory: Option<&mut [u8; 4]>| {
        let mut keys = buffer(memory.map_or(null_mut(), |memory| memory.as_mut_ptr()), capacity);
        let paths = text("/x\0/y\0").data;
        // SAFETY: all of it is there.
        let status = unsafe { plexindex_lookup_keys(at.library, paths, 6, count, &raw mut keys, null_mut()) };
        (status, keys.length)
    };
    let mut memory = *b"xxxx";
    for count in [0, 1, 3, usize::MAX] {
        refused! { look(count, 4, Some(&mut [0; 4])).0 => InvalidArgument "count"; }
    }
    let too_small = Status::BufferTooSmall as i32;
    assert_eq!(look(2, 0, None), (too_small, 2));
    assert_eq!(look(2, 1, Some(&mut memory)), (too_small, 2));
    assert_eq!(memory[1..], *b"xxx");
    assert_eq!(look(2, 2, Some(&mut memory)), (0, 2));
    assert_eq!(memory, *b"\0\0xx");
    refused! { look(2, 2, None).0 => NullPointer "keys"; }
    let mut keys = buffer::<u8>(null_mut(), 0);
    // SAFETY: the length is the test; nothing is read.
    let endless =
        unsafe { plexindex_lookup_keys(at.library, ENDLESS.data, ENDLESS.length, 1, &raw mut keys, null_mut()) };
    refused! { endless => InvalidArgument "paths"; }
}

#[test]
fn wrong_writes_are_refused() {
    let at = Scene::new();
    let (path, key, none) = (text("/h"), text("7"), null_mut());
    let all = at.library(c::PLEXINDEX_SELECT_ALL, NOTHING).expect("a handle");
    // SAFETY: all of it is there.
    let record = |library, path: Bytes, key: Bytes, timeout| unsafe {
        plexindex_record_match(library, path.data, path.length, key.data, key.length, timeout, none)
    };
    refused! {
        record(at.library, text(""), key, 0) => InvalidArgument "path", "empty";
        record(at.library, text("/a\0b"), key, 0) => InvalidArgument "path", "NUL";
        record(at.library, beyond(65_535), key, 0) => InvalidArgument "65536";
        record(at.library, ENDLESS, key, 0) => InvalidArgument "32767";
        record(at.library, path, text(""), 0) => InvalidArgument "key", "/library/metadata/";
        record(at.library, path, text("7\0"), 0) => InvalidArgument "key", "/library/metadata/";
        record(at.library, path, NOT_UTF8, 0) => InvalidArgument "key", "UTF-8";
        record(at.library, path, ENDLESS, 0) => InvalidArgument "255";
        record(all, path, key, 0) => InvalidArgument "all libraries", "specify one";
        record(at.library, path, key, -2) => InvalidArgument "timeout_ms is -2";
    }
    let (paths, keys) = (text("/h\0"), text("7\0"));
    let records = |paths: Bytes, keys: Bytes, count, flags, timeout| {
        let (library, all_keys, length) = (at.library, keys.data, keys.length);
        // SAFETY: all of it is there.
        unsafe {
            plexindex_record_matches(
                library,
                paths.data,
                paths.length,
                all_keys,
                length,
                count,
                flags,
                timeout,
                none,
            )
        }
    };
    refused! {
        records(text("/a\0/b\0"), keys, 2, 0, 0) => InvalidArgument "count";
        records(paths, text("7\x008\0"), 1, 0, 0) => InvalidArgument "count";
        records(paths, keys, usize::MAX, 0, 0) => InvalidArgument "count";
        records(text("/h"), keys, 1, 0, 0) => InvalidArgument "NUL";
        records(ENDLESS, keys, 1, 0, 0) => InvalidArgument "paths";
        records(paths, ENDLESS, 1, 0, 0) => InvalidArgument "keys";
        records(paths, keys, 1, 0, -2) => InvalidArgument "timeout_ms is -2";
        records(paths, keys, 1, 2, 0) => Unsupported "flags is 0x2";
        records(paths, keys, 1, c::PLEXINDEX_RECORD_THROUGH, 0) => InvalidArgument "the index is not shared";
        records(text("/h\0\0"), text("7\x008\0"), 2, 0, 0) => InvalidArgument "empty";
        records(NOTHING, NOTHING, 0, 0, 0) => Ok;
        // Of two matches, the second of which was refused, none is recorded.
        at.matched(|q| q.text = text("/h")) => NotFound;
    }
    let (some, endless) = (c"".as_ptr(), ENDLESS.length);
    // SAFETY: all of it is there.
    unsafe {
        refused! {
            plexindex_invalidate_path(at.library, some, 0, none) => InvalidArgument "path", "empty";
            plexindex_invalidate_path(at.library, some, endless, none) => InvalidArgument "32767";
            plexindex_invalidate_path(at.library, c"/unknown".as_ptr(), 8, none) => Ok;
            plexindex_invalidate_item(at.library, some, 0, none) => InvalidArgument "key", "/library/metadata/";
            plexindex_invalidate_item(at.library, some, endless, none) => InvalidArgument "255";
            plexindex_invalidate_item(at.library, c"999999".as_ptr(), 6, none) => Ok;
            plexindex_notify(at.handle, c"payload=%7B".as_ptr(), 11, none) => InvalidArgument "payload";
            plexindex_notify(at.handle, null(), 0, none) => InvalidArgument "payload";
            plexindex_notify(at.handle, some, endless, none) => InvalidArgument "16 MiB";
            plexindex_set_token(at.handle, some, endless, none) => InvalidArgument "65536";
        }
    }
}

#[test]
fn wrong_calls_and_statistics_are_refused() {
    let at = Scene::new();
    let call = |request: Bytes, timeout_ms| {
        let options = CallOptionsRecord {
            size: size_of::<CallOptionsRecord>(),
            timeout_ms,
            ..CallOptionsRecord::NONE
        };
        let (method, options, mut json) = (c"changes.list".as_ptr(), &raw const options, null_mut());
        let (data, length) = (request.data, request.length);
        // SAFETY: all of it is there.
        unsafe { plexindex_call(at.handle, method, data, length, options, &raw mut json, null_mut()) }
    };
    refused! {
        call(text("{"), 0) => InvalidArgument "changes.list", "EOF";
        call(beyond(99_999), 0) => InvalidArgument "changes.list";
        call(ENDLESS, 0) => InvalidArgument "67108864";
        call(NOTHING, -2) => InvalidArgument "timeout_ms is -2";
    }
    // SAFETY: zeros are statistics.
    let mut stats = unsafe { zeroed::<StatsRecord>() };
    for size in 0..size_of::<usize>() {
        stats.size = size;
        // SAFETY: all of it is there.
        let told = unsafe { plexindex_get_stats(at.handle, &raw mut stats, null_mut()) };
        refused! { told => InvalidArgument "out_stats.size", "sizeof"; }
    }
}

#[test]
fn wrong_changes_of_tables_are_refused() {
    let (at, other) = (Scene::new(), Scene::new());
    let (table, none) = (at.table, null_mut());
    // SAFETY: all of it is there.
    let put = |name: Bytes, value: Bytes, ttl| unsafe {
        plexindex_table_put(
            table,
            name.data,
            name.length,
            value.data,
            value.length,
            ttl,
            u64::MAX,
            none,
        )
    };
    // SAFETY: all of it is there.
    let is_there = || unsafe { plexindex_table_get(table, c"a".as_ptr(), 1, null_mut(), none) };
    // Removes an entry, and makes a wrong change.
    let written = |change: &dyn Fn(&mut TableOp)| {
        let remove = TableOp {
            kind: c::PLEXINDEX_TABLE_REMOVE,
            reserved: 0,
            table,
            name: text("a"),
            value: NOTHING,
        };
        let mut ops = [remove; 2];
        change(&mut ops[1]);
        // SAFETY: all of it is there.
        unsafe { plexindex_table_write(at.handle, ops.as_ptr(), 2, 0, u64::MAX, none) }
    };
    refused! {
        put(text("a"), text("one"), 0) => Ok;
        put(text("x"), NOWHERE, 0) => NullPointer "value";
        put(text("x"), text("x"), -7) => InvalidArgument "ttl_ms", "-7";
        put(ENDLESS, text("x"), 0) => InvalidArgument "name";
        put(text("x"), ENDLESS, 0) => InvalidArgument "value", "900000000";
        written(&|op| op.kind = 9) => InvalidArgument "ops[1].kind", "9";
        written(&|op| op.kind = c::PLEXINDEX_TABLE_CLEAR) => InvalidArgument "ops[1]", "NULL";
        written(&|op| op.reserved = 1) => Unsupported "ops[1]";
        written(&|op| op.table = other.table) => InvalidArgument "ops[1].table", "another handle";
        written(&|op| (op.kind, op.value) = (c::PLEXINDEX_TABLE_PUT, ENDLESS)) => InvalidArgument "value";
        is_there() => Ok;
    }
    let (mut made, mut value, name) = (table, null(), c"a".as_ptr());
    // SAFETY: all of it is there.
    unsafe {
        refused! {
            plexindex_table_write(at.handle, null(), 0, 0, 0, none) => Ok;
            plexindex_table_write(at.handle, null(), 1, 0, 1, none) => NullPointer "ops";
            plexindex_table_remove(table, name, ABSURD, none) => InvalidArgument "name";
            plexindex_get_table(at.handle, name, 1, 4, &raw mut made, none) => Unsupported "0x4";
            plexindex_get_table(at.handle, name, ABSURD, 0, &raw mut made, none) => InvalidArgument "bytes";
            plexindex_table_lookup(null(), name, &raw mut value) => NotYet;
            plexindex_table_lookup(table, null(), &raw mut value) => NotYet;
            plexindex_table_lookup(table, name, null_mut()) => NotYet;
        }
    }
}
