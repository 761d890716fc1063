//! Finds a file below a local folder. A search for that file shows which item the folder is, before it is listed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::LibraryKind;

/// Limits of the search: depth, number of folders, and names per folder.
const DEPTH: usize = 3;
const FOLDERS: usize = 16;
const NAMES: usize = 2_000;

const VIDEO: &[&str] = &[
    "mkv", "mp4", "avi", "m4v", "ts", "mov", "wmv", "mpg", "mpeg", "m2ts", "webm", "flv", "divx", "ogm", "3gp", "vob",
];
const AUDIO: &[&str] = &[
    "flac", "mp3", "m4a", "m4b", "ogg", "opus", "aac", "wma", "wav", "alac", "aiff", "ape", "dsf",
];
const PHOTO: &[&str] = &["jpg", "jpeg", "png", "heic", "gif", "webp", "tif", "tiff", "bmp"];

/// Returns the first file that a library of this kind would list: by name, files of the folder before those below. The
/// choice uses names only; if Plex ignores the file, one request is wasted.
pub fn first_file(folder: &Path, kind: LibraryKind) -> Option<PathBuf> {
    let mut folders_left = FOLDERS;
    first_within(folder, kind, DEPTH, &mut folders_left)
}

fn first_within(folder: &Path, kind: LibraryKind, depth: usize, folders_left: &mut usize) -> Option<PathBuf> {
    *folders_left = folders_left.checked_sub(1)?;
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .take(NAMES)
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort_unstable();
    entries.retain(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
        name.is_some_and(|name| !name.starts_with('.') && !name.contains("sample") && !name.contains("trailer"))
    });
    let is_media = |path: &&PathBuf| {
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().to_lowercase());
        let extensions = match kind {
            LibraryKind::Artist => [AUDIO, &[]],
            LibraryKind::Photo => [PHOTO, VIDEO],
            _ => [VIDEO, &[]],
        };
        extension.is_some_and(|extension| extensions.concat().contains(&extension.as_str())) && path.is_file()
    };
    let own = entries.iter().find(is_media).cloned();
    own.or_else(|| {
        let folders = entries.iter().filter(|path| depth > 0 && path.is_dir());
        folders
            .into_iter()
            .find_map(|path| first_within(path, kind, depth - 1, folders_left))
    })
}
