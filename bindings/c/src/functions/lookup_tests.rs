//! The fast lookup's output, over a hostile source.

use super::*;
use crate::for_tests::hostile;

#[test]
fn a_key_with_a_nul_shifts_no_other_answer() {
    let folder = tempfile::tempdir().unwrap();
    let index = hostile(folder.path());
    let library = index.library("Movies").unwrap();
    let asked = |path: &str| library.match_path(path).unwrap().candidates[0].rating_key.clone();
    assert_eq!((asked("/a"), asked("/c")), ("1".into(), "4".into()));

    let mut room = [0_u8; 256];
    let mut keys = Buffer {
        data: room.as_mut_ptr().cast(),
        capacity: room.len(),
        length: 0,
    };
    assert_eq!(lookup_keys(&library, b"/a\0/b\0/c\0", 3, &mut keys), Ok(Status::Ok));
    let length = keys.length;
    assert_eq!(&room[..length], b"/library/metadata/1\0\0/library/metadata/4\0");
}
