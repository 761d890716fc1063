use std::fs;
use std::os::unix::fs::MetadataExt;

use super::Inode;

#[test]
fn a_file_with_a_reused_inode_number_is_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let made = || {
        fs::write(&path, "").expect("written");
        fs::symlink_metadata(&path).expect("there")
    };
    let first = made();
    let (known, number) = (Inode::new(&first), first.ino());
    assert_eq!(Inode::of(&path), Some(known));
    // Not every file system reuses inode numbers, or stores creation times.
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
