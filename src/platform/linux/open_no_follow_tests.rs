use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use super::*;

/// Compares both ways to reach a folder: one system call, and single steps for systems that lack that call.
#[test]
fn one_call_and_single_steps_lead_to_the_same_and_never_through_a_link() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("its path");
    fs::create_dir_all(root.join("a/b")).expect("made");
    fs::write(root.join("a/file"), b"").expect("written");
    symlink(root.join("a"), root.join("link")).expect("linked");
    symlink(root.join("a/b"), root.join("a/last")).expect("linked");
    for flags in [LOOKUP_ONLY, OFlags::RDONLY] {
        for (path, leads) in [
            ("a/b", true),
            ("a/./b", true),
            ("a/b/..", true),
            ("a/file", false),
            ("a/none", false),
            ("a/last", false),
            ("link", false),
            ("link/b", false),
        ] {
            let path = root.join(path);
            let inode = |opened: io::Result<OwnedFd>| {
                let facts = opened.map(fs::File::from).and_then(|file| file.metadata());
                facts.ok().map(|facts| (facts.dev(), facts.ino()))
            };
            let (walked, stepped) = (
                inode(open_folder(&path, flags)),
                inode(open_folder_stepwise(&path, flags)),
            );
            assert_eq!(walked, stepped, "{}", path.display());
            assert_eq!(walked.is_some(), leads, "{}", path.display());
        }
    }
    let opened = |path: &str| open_with_openat2(&root.join(path), OFlags::RDONLY).is_none_or(|opened| opened.is_ok());
    assert!(opened("a/file"));
    if open_with_openat2(&root, OFlags::RDONLY).is_some() {
        assert!(!opened("link/file") && !opened("link") && !opened("a/none"));
    }
}

#[test]
fn a_file_whose_identity_changes_while_it_is_open_is_still_this_copys() {
    use crate::platform::exclusive_open::ExclusiveOpen;
    use crate::platform::files::Inode;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let _open = std::fs::File::create(&path).expect("a file");
    let file = Inode::of(&path).expect("an identity");
    let earlier = Inode {
        number: file.number + 1,
        ..file
    };
    assert!(
        ExclusiveOpen::register(&path, file).is_none(),
        "other code has the file open"
    );
    let _first = ExclusiveOpen::register(&path, earlier).expect("registered");
    assert!(ExclusiveOpen::register(&path, file).is_some());
}
