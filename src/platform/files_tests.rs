use std::fs;

use super::FileFacts;

#[test]
fn a_file_with_a_reused_inode_number_is_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let made = || {
        fs::write(&path, "").expect("written");
        FileFacts::of(&path).expect("there").inode
    };
    let known = made();
    assert_eq!(made(), known, "it was only written again");
    // Not every file system reuses inode numbers, or stores creation times.
    let again = (0..1000).find_map(|_| {
        fs::remove_file(&path).expect("removed");
        std::thread::yield_now();
        let next = made();
        (next.number == known.number && next.made != known.made).then_some(next)
    });
    match again {
        Some(next) => assert_ne!(next, known),
        None => println!("no number came again"),
    }
}

/// A folder stands for a pipe, whose opening would wait: neither is opened.
#[test]
fn what_is_no_regular_file_is_not_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = super::open_host_file(folder.path()).expect_err("refused");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
