//! Libraries that the host fills itself.

use std::ffi::c_char;

use crate::capi::answer::{too_small_for, write_bytes};
use crate::capi::guard::guard;
use crate::capi::handles::{self, opened};
use crate::capi::options::ttl;
use crate::capi::strings::{bytes, out, utf8};
use crate::capi::types::{Buffer, Handle, LibraryHandle};
use crate::error::Status;

/// Makes a library that the host fills itself, unless it is there: nobody is asked about it. Its uuid and its title are
/// the name; plexindex_library() selects it by PLEXINDEX_SELECT_UUID. Matches are recorded in it as in any other.
///
/// `name`: UTF-8, not empty. The index must have been opened without a server_url, on a store that holds nothing of a
/// server; both are refused with PLEXINDEX_INVALID_ARGUMENT otherwise.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_host_library(handle: *const Handle, name: *const c_char, length: usize) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, name) = unsafe { (opened(handle)?, utf8(name, length, "name")?) };
        opened.index().host_library(name)?;
        Ok(Status::Ok)
    })
}

/// Keeps a value in a library of the host's, in the place of the one of the same name; the library is made when it is not
/// there.
///
/// `library`: selected by PLEXINDEX_SELECT_UUID. `name`: any bytes. With `name_length` 0 the value is the library's listing,
/// and plexindex_match_path() finds its items from then on. It is a line `plexindex 1`; a line with the count of items, a
/// space, the flags, for each item that has not just one path a space and `item:paths`, both numbers, items counted
/// from 0, and for each without a title a space and `item:-`; then the keys of all items, the titles of all and the
/// paths of all, each separated from the next by a NUL. Flags: `-` for none; `e` says that a NUL in them stands as the bytes 1 `0`, and 1 as 1 `1`;
/// `s` that lone surrogates are encoded in them. A key that is not `/library/metadata/<rating key>` is answered
/// as the rating key `=<key>`.
/// `ttl_ms`: for how long it is given; PLEXINDEX_TTL_AT_ONCE, PLEXINDEX_TTL_NEVER. 0: one hour.
/// `limit`: bytes that all values of the store may take; those stored longest ago go first. Each call also removes some
/// that have expired.
///
/// Returns PLEXINDEX_OK once it is stored, for every process; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_STORE…
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_host_put(
    library: *const LibraryHandle,
    name: *const c_char,
    name_length: usize,
    value: *const c_char,
    value_length: usize,
    ttl_ms: i64,
    limit: u64,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (library, name, value) = unsafe {
            (
                handles::library(library)?,
                bytes(name, name_length, "name")?,
                bytes(value, value_length, "value")?,
            )
        };
        library.put_value(name, value, ttl(ttl_ms, "ttl_ms")?, limit)?;
        Ok(Status::Ok)
    })
}

/// A value that plexindex_host_put() stored.
///
/// `value`: receives it; NULL to ask only whether there is one.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND when there is none, or it has expired; PLEXINDEX_BUFFER_TOO_SMALL.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_host_get(
    library: *const LibraryHandle,
    name: *const c_char,
    name_length: usize,
    value: *mut Buffer,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (library, name, value) = unsafe {
            (
                handles::library(library)?,
                bytes(name, name_length, "name")?,
                value.as_mut(),
            )
        };
        let Some(buffer) = value else {
            let there = library.value(name, 0, &mut |_| {})?;
            return Ok(there.map_or(Status::NotFound, |_| Status::Ok));
        };
        let mut written = None;
        let room = buffer.capacity.saturating_sub(1);
        let length = library.value(name, room, &mut |value| written = Some(write_bytes(buffer, value)))?;
        match (length, written) {
            (None, _) => Ok(Status::NotFound),
            (Some(_), Some(written)) => written,
            (Some(length), None) => too_small_for(buffer, length),
        }
    })
}

/// How many values the libraries of the host's hold, expired ones that are still stored included.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_host_count(handle: *const Handle, count: *mut u64) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, count) = unsafe { (opened(handle)?, out(count, "count")?) };
        *count = opened.index().count_values()?;
        Ok(Status::Ok)
    })
}
