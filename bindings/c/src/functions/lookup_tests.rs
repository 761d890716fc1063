//! The fast lookup's output, over a hostile source.

use super::*;
use crate::for_tests::{buffer, hostile};

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
