//! Checks whether a folder contains a path, and resolves links to folders.

use std::fs;
use std::io;

use crate::matching::NormalPath;
use crate::platform::files::{Inode, is_gone, path_from_bytes};
use crate::platform::folder_reader::FolderId;

/// Returns whether a path is `folder` or lies below it.
pub fn is_in(path: &[u8], folder: &[u8]) -> bool {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    path.strip_prefix(folder)
        .is_some_and(|subpath| subpath.first().is_none_or(|byte| *byte == b'/'))
}

/// Returns the path of the entry `name` in a folder.
pub fn join_path(folder: &[u8], name: &[u8]) -> Vec<u8> {
    [folder, b"/", name].concat()
}

/// Returns whether the path is a folder or a link to a folder. For a link to a folder, also returns the target's id;
/// otherwise `None`. A missing path and a dangling or circular link are not folders; other errors are returned.
pub fn resolve_folder(path: &[u8]) -> io::Result<(bool, Option<FolderId>)> {
    let path = path_from_bytes(path);
    match fs::metadata(&path) {
        Ok(facts) if facts.is_dir() => {
            let is_link = fs::symlink_metadata(&path)?.is_symlink();
            Ok((true, if is_link { Some(FolderId::of(&path)?) } else { None }))
        }
        Ok(_) => Ok((false, None)),
        Err(error) if is_gone(&error) => Ok((false, None)),
        Err(error) => Err(error),
    }
}

/// Returns whether a link leads, directly or through other links, to a folder above the link. A walk that followed the
/// link would never end.
pub fn leads_up(link: &[u8]) -> bool {
    let link = path_from_bytes(link);
    let Some(target) = Inode::of_target(&link) else {
        return false;
    };
    let mut ancestors = link.ancestors().skip(1);
    ancestors.any(|folder| Inode::of_target(folder) == Some(target))
}

/// Returns the hash of a normal form. Twins have the same hash.
pub fn hash_of(name: &NormalPath<'_>) -> u64 {
    name.hash()
}
