#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;

use super::FolderReader;
use crate::platform::files::bytes_of;

fn names(reader: &mut FolderReader, folder: &std::path::Path) -> BTreeMap<Vec<u8>, Option<bool>> {
    let (_, found) = reader.read(bytes_of(folder)).expect("a folder");
    found.map(|(name, is_folder)| (name.to_vec(), is_folder)).collect()
}

#[test]
fn all_names_of_each_folder_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for number in 0..3 {
        fs::create_dir(root.join(format!("{number}"))).expect("a folder");
        fs::write(root.join(format!("{number}/file {number}")), b"").expect("a file");
    }
    std::os::unix::fs::symlink("0", root.join("link")).expect("a link");
    let mut reader = FolderReader::default();
    let all = names(&mut reader, root);
    assert_eq!((all.len(), all[&b"0"[..]], all[&b"link"[..]]), (4, Some(true), None));
    // From the second folder on, opened by way of the folder above.
    for number in [0, 1, 2, 0] {
        let inner = names(&mut reader, &root.join(format!("{number}")));
        assert_eq!(
            inner,
            BTreeMap::from([(format!("file {number}").into_bytes(), Some(false))])
        );
    }
    assert_eq!(names(&mut reader, &root.join("link")).len(), 1);
    let mut id = |name| reader.read(bytes_of(&root.join(name))).expect("a folder").0;
    assert!(id("link") == id("0") && id("0") != id("1"));
    // More names than one system call returns.
    let many = root.join("many");
    fs::create_dir(&many).expect("a folder");
    for number in 0..2000 {
        fs::write(many.join(format!("{number:0100}")), b"").expect("a file");
    }
    assert_eq!(names(&mut reader, &many).len(), 2000);
    assert!(reader.read(bytes_of(&root.join("none"))).is_err());
    assert!(reader.read(bytes_of(&root.join("0/file 0"))).is_err());
    assert!(reader.read(b"/").is_ok_and(|(_, names)| names.len() > 1));
    assert!(reader.read(b"").is_err());
}
