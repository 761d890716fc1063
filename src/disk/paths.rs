//! Paths of this machine: how they lie to each other, and where links lead.

use std::fs;
use std::io;

use crate::platform::files::{Inode, is_gone, named};
use crate::platform::names::FolderId;

/// Whether a path is this folder, or lies below it.
pub fn is_in(path: &[u8], folder: &[u8]) -> bool {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
}

pub fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    [folder, b"/", name].concat()
}

/// Whether there is a folder, and which one, if a link leads there. A link that leads nowhere, or in a circle, is no folder.
pub fn folder_behind(path: &[u8]) -> io::Result<(bool, Option<FolderId>)> {
    let path = named(path);
    match fs::metadata(&path) {
        Ok(facts) if facts.is_dir() => {
            let is_link = fs::symlink_metadata(&path)?.is_symlink();
            Ok((true, is_link.then(|| FolderId::of(&facts))))
        }
        Ok(_) => Ok((false, None)),
        Err(error) if is_gone(&error) => Ok((false, None)),
        Err(error) => Err(error),
    }
}

/// Whether a link leads to a folder above it: as it is reached, through other links perhaps.
pub fn leads_up(link: &[u8]) -> bool {
    let link = named(link);
    let Some(target) = Inode::behind(&link) else {
        return false;
    };
    let mut above = link.ancestors().skip(1);
    above.any(|folder| Inode::behind(folder) == Some(target))
}
