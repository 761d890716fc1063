use std::fs;
use std::os::unix::fs::MetadataExt;

use super::Inode;

#[test]
fn a_file_that_gets_the_number_of_another_is_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let made = || {
        fs::write(&path, "").expect("written");
        fs::symlink_metadata(&path).expect("there")
    };
    let first = made();
    let (known, number) = (Inode::new(&first), first.ino());
    assert_eq!(Inode::of(&path), Some(known));
    // Whether a number comes again, and when, is the file system's affair; whether it knows when a file was made, too.
    let again = (0..1000).any(|_| {
        fs::remove_file(&path).expect("removed");
        std::thread::yield_now();
        let next = made();
        next.ino() == number && next.created().ok() != first.created().ok()
    });
    if again {
        assert_ne!(Inode::of(&path), Some(known), "number {number}");
    } else {
        println!("no number came again");
    }
}
