//! Opens paths without following symbolic links.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// Flags for a descriptor that is used only to look up names, which requires no read permission.
pub const LOOKUP_ONLY: OFlags = OFlags::PATH;

/// Flags for opening a folder that is not a link.
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a folder without following links, since a user who can rename a folder in the path could replace the folder
/// with a link. `flags`: the access to the folder, such as [`LOOKUP_ONLY`].
pub fn open_folder(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    open_with_openat2(path, flags | OFlags::DIRECTORY).unwrap_or_else(|| open_folder_stepwise(path, flags))
}

/// Opens a folder component by component without following links, for kernels without `openat2`. Uses `flags` only for
/// the last component.
fn open_folder_stepwise(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let start = if path.is_absolute() { "/" } else { "." };
    let mut folder = openat(CWD, start, LOOKUP_ONLY | FOLDER, Mode::empty())?;
    for component in path.components() {
        if !matches!(component, Component::RootDir | Component::CurDir) {
            folder = openat(&folder, component.as_os_str(), LOOKUP_ONLY | FOLDER, Mode::empty())?;
        }
    }
    if flags == LOOKUP_ONLY {
        return Ok(folder);
    }
    Ok(openat(&folder, ".", flags | FOLDER, Mode::empty())?)
}

/// Opens a path with one system call, which fails if any component is a link. Returns `None` if the system call is not
/// available (before Linux 5.6, and in some containers).
pub fn open_with_openat2(path: &Path, flags: OFlags) -> Option<io::Result<OwnedFd>> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Err(Errno::NOSYS | Errno::PERM) => None,
        opened => Some(opened.map_err(Into::into)),
    }
}

#[cfg(test)]
mod tests {
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
        let opened =
            |path: &str| open_with_openat2(&root.join(path), OFlags::RDONLY).is_none_or(|opened| opened.is_ok());
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
}
