//! Options, as C gives them: structs of any size, any numbers, texts that are none, rules by the dozen. And the client that
//! is made of them.

use std::ffi::{CStr, c_char};
use std::mem::{offset_of, size_of};
use std::sync::{Arc, Once};

use plexindex::error::Status;
use plexindex::model::Token;
use plexindex::source::plex::PlexHttp;
use plexindex_abi::types::{Buffer, Bytes, Handle, MappingRecord, OptionsRecord};
use plexindex_abi::{plexindex_close, plexindex_open};

use super::input::{Input, folder};

thread_local! {
    static FOLDER: tempfile::TempDir = folder();
}

/// What a call gives: no panic, a status that has a name, and a text with each error.
pub fn called(call: impl FnOnce(*mut Buffer) -> i32) -> (Status, String) {
    let mut text = vec![0_u8; 1 << 14];
    let (data, capacity) = (text.as_mut_ptr().cast(), text.len());
    let mut buffer = Buffer {
        data,
        capacity,
        length: 0,
    };
    let number = call(&raw mut buffer);
    let text = CStr::from_bytes_until_nul(&text).expect("a NUL behind the text");
    let text = text.to_str().expect("UTF-8").to_owned();
    let status = Status::from_number(number).unwrap_or_else(|| panic!("{number} is no status"));
    assert_ne!(status, Status::Panic, "{text}");
    let is_error = number >= Status::InvalidArgument as i32 && status != Status::BufferTooSmall;
    assert!(!is_error || !text.is_empty(), "{status:?} without a message");
    (status, text)
}

/// The library keeps panics quiet from the first opening on. Those of the targets have to be seen.
pub fn loud() {
    drop(std::panic::take_hook());
}

/// Has the library take log lines and keep panics quiet, once, as any opening does, also one that fails.
pub fn installed() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: integers, pointers and nullable functions.
        let mut options: OptionsRecord = unsafe { std::mem::zeroed() };
        options.size = size_of::<OptionsRecord>();
        options.cache_dir = given(b"/dev/null/x", false);
        let mut handle: *mut Handle = std::ptr::null_mut();
        // SAFETY: all that is set is valid during the call.
        let (status, _) = called(|error| unsafe { plexindex_open(&raw const options, &raw mut handle, error) });
        assert_eq!(status, Status::Store);
        loud();
    });
}

/// These bytes as C gives them; at times NULL, whatever the length.
fn given(bytes: &[u8], null: bool) -> Bytes {
    Bytes {
        data: if null {
            std::ptr::null()
        } else {
            bytes.as_ptr().cast::<c_char>()
        },
        length: bytes.len(),
    }
}

/// Copies the options into memory of exactly the size that they say, so that reading more is found.
fn exactly(options: &OptionsRecord, size: usize) -> Vec<u8> {
    let known = size_of::<OptionsRecord>();
    // SAFETY: a struct of integers and pointers, all of whose bytes are set: they were zeroed first.
    let bytes = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(options).cast::<u8>(), known) };
    let room = if size > 1 << 20 {
        known
    } else {
        size.max(size_of::<usize>())
    };
    let mut copy = bytes[..known.min(room)].to_vec();
    copy.resize(room, 0);
    copy[..size_of::<usize>()].copy_from_slice(&size.to_ne_bytes());
    copy
}

fn size_near(known: usize, input: &mut Input<'_>) -> usize {
    match input.byte() {
        0..=200 => known,
        201 => usize::MAX,
        202 => 0,
        203 => known + usize::from(input.byte()),
        204 => (1 << 20) + usize::from(input.bool()),
        _ => usize::from(input.u16()) % (known + 9),
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let how = input.byte();
    // SAFETY: integers, pointers and nullable functions.
    let mut options: OptionsRecord = unsafe { std::mem::zeroed() };
    let really = how & 15 == 15;
    // No folder is made where an input says.
    let place = match how & 15 {
        15 => FOLDER.with(|folder| folder.path().to_str().expect("a plain name").as_bytes().to_vec()),
        0 => Vec::new(),
        1 => [b"/dev/null/", input.bytes()].concat(),
        _ => b"/dev/null/x".to_vec(),
    };
    let nulls = input.byte();
    let (url, token, user, file) = (input.bytes(), input.bytes(), input.bytes(), input.bytes());
    let file = if file.is_empty() {
        Vec::new()
    } else {
        [b"/dev/null/", file].concat()
    };
    options.cache_dir = given(&place, nulls & 0x81 == 0x81);
    options.server_url = given(url, nulls & 0x82 == 0x82);
    options.token = given(token, nulls & 0x84 == 0x84);
    options.user = given(user, nulls & 0x88 == 0x88);
    options.ca_file = given(&file, nulls & 0x90 == 0x90);
    for number in [
        &mut options.library_ttl_ms,
        &mut options.max_age_ms,
        &mut options.timeout_ms,
        &mut options.connect_timeout_ms,
        &mut options.read_timeout_ms,
        &mut options.retry_ms,
        &mut options.slow_ms,
    ] {
        *number = input.number();
    }
    options.matches_limit = input.number().cast_unsigned();
    options.flags = u32::from(input.byte() & 15) | if input.byte() == 1 { input.u32() } else { 0 };
    options.page_size = u32::from(input.byte()) * 5;
    options.log_level = i32::from(input.byte() % 8) - 2;
    options.reserved = u32::from(input.byte() == 255);
    let texts: Vec<(i32, &[u8], &[u8])> = (0..input.below(4))
        .map(|_| (i32::from(input.byte() % 6), input.bytes(), input.bytes()))
        .collect();
    let rules: Vec<MappingRecord> = texts
        .iter()
        .map(|(kind, from, to)| MappingRecord {
            kind: *kind,
            reserved: 0,
            from: given(from, false),
            to: given(to, false),
        })
        .collect();
    options.mappings = rules.as_ptr();
    options.mappings_count = match input.byte() {
        255 => usize::MAX,
        254 => 10_001,
        _ => rules.len(),
    };
    if options.mappings_count == rules.len() && nulls & 0xA0 == 0xA0 {
        options.mappings = std::ptr::null();
    }
    let size = size_near(size_of::<OptionsRecord>(), &mut input);
    let mut block = exactly(&options, size);
    if block.len() > size_of::<OptionsRecord>() && input.bool() {
        *block.last_mut().expect("it is longer") = 1;
    }
    if block.len() < offset_of!(OptionsRecord, mappings_count) + size_of::<usize>() {
        // Where the count is cut off it is zero, and where half of it is, it is another one.
        let end = offset_of!(OptionsRecord, mappings_count).min(block.len());
        block[offset_of!(OptionsRecord, mappings).min(end)..].fill(0);
    }
    let mut handle: *mut Handle = std::ptr::dangling_mut();
    // SAFETY: as many bytes are there as the struct says, unless it says what is refused unread.
    let (status, message) = called(|error| unsafe { plexindex_open(block.as_ptr().cast(), &raw mut handle, error) });
    loud();
    assert_eq!(status == Status::Ok, !handle.is_null());
    if status == Status::Ok {
        assert!(really, "opened in {:?}", String::from_utf8_lossy(&place));
        // SAFETY: it was opened just now.
        assert_eq!(called(|error| unsafe { plexindex_close(handle, error) }).0, Status::Ok);
    } else if token.len() >= 8 && std::str::from_utf8(token).is_ok() {
        let secret = String::from_utf8_lossy(token);
        let has = |text: &[u8]| String::from_utf8_lossy(text).contains(&*secret);
        let elsewhere =
            [&place, &file, url, user].into_iter().any(has) || texts.iter().any(|(_, from, to)| has(from) || has(to));
        let is_told = message.contains(&*secret) && secret.bytes().any(|byte| byte.is_ascii_alphanumeric());
        assert!(elsewhere || !is_told, "the token in {message}");
    }
    client(url, token, user);
}

/// The client that options lead to, without a store below it.
fn client(url: &[u8], token: &[u8], identifier: &[u8]) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let options = plexindex::options::Options {
        cache_dir: "/dev/null/x".into(),
        server_url: Some(text(url)),
        token: Token::new(&text(token)),
        ..plexindex::options::Options::default()
    };
    match PlexHttp::new(&options, &text(identifier), Arc::default()) {
        Ok(client) => assert!(
            !format!("{client:?}").contains('@'),
            "who asks is no part of the address"
        ),
        Err(error) => assert!(
            matches!(error.status, Status::InvalidArgument | Status::Offline),
            "{error:?}"
        ),
    }
}
