//! Compare paths.

use std::ffi::c_char;

use crate::constants as c;
use crate::guard::guard;
use crate::strings::{bytes, null, path_bytes};
use crate::types::Buffer;
use plexindex::error::{Status, check_length, refuse};
use plexindex::inside::{MAX_PATH, Normal, Relation};

/// Compares one path with others as the index compares a path with those that Plex lists: case and the Unicode form do
/// not count, and `\` separates components in paths that begin like those of Windows. Needs no index, reads no file
/// and sends no request.
///
/// `others`: `count` paths, each followed by a NUL. `out_relations`: receives `count` numbers. Each holds
/// PLEXINDEX_PATHS_EQUAL, PLEXINDEX_PATHS_UNDER or neither; its bits PLEXINDEX_PATHS_COMMON say how many components
/// agree, counted from the end.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_compare_paths(
    path: *const c_char,
    path_length: usize,
    others: *const c_char,
    others_length: usize,
    count: usize,
    out_relations: *mut u32,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (path, others) = unsafe {
            (
                path_bytes(path, path_length, "path")?,
                bytes(others, others_length, "others")?,
            )
        };
        if others.last().is_some_and(|byte| *byte != 0) {
            return refuse("others: the last path does not end with a NUL: end each path with one");
        }
        let found = others.split_inclusive(|byte| *byte == 0).count();
        if found != count {
            return refuse(format!(
                "others: {found} paths end with a NUL, but the count is {count}"
            ));
        }
        if count == 0 {
            return Ok(Status::Ok);
        }
        if out_relations.is_null() {
            return Err(null("out_relations"));
        }
        for other in others.split(|byte| *byte == 0) {
            check_length("a path of others", other.len(), MAX_PATH)?;
        }
        Normal::with(path, |path| {
            for (at, other) in others.split(|byte| *byte == 0).take(count).enumerate() {
                // SAFETY: the caller says that `count` numbers may be written there, wherever they are aligned.
                unsafe { out_relations.add(at).write_unaligned(number(Relation::of(path, other))) };
            }
        });
        Ok(Status::Ok)
    })
}

fn number(relation: Relation) -> u32 {
    let flag = |is: bool, flag: u32| if is { flag } else { 0 };
    let common = u32::try_from(relation.common)
        .unwrap_or(u32::MAX)
        .min(c::PLEXINDEX_PATHS_COMMON);
    common | flag(relation.equal, c::PLEXINDEX_PATHS_EQUAL) | flag(relation.under, c::PLEXINDEX_PATHS_UNDER)
}
