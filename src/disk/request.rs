//! Request and result of a walk.

use std::io;
use std::time::Instant;

use super::rules::{Kinds, Rules};
use crate::platform::local_path::shown;

/// A library location on this machine.
#[derive(Debug)]
pub struct Location {
    pub folder: Vec<u8>,
    pub kinds: Kinds,
    /// The location belongs only to libraries out of scope: nothing in it is reported.
    pub is_out_of_scope: bool,
    /// All its libraries in scope have a listing to compare with.
    pub is_fetched: bool,
}

/// Calls the second argument once for each path, in order: with `true` if the path is listed.
pub type IsListed<'q> = dyn Fn(&[&[u8]], &mut dyn FnMut(bool)) + Sync + 'q;

/// How the index lists a file.
#[derive(Debug, PartialEq, Eq)]
pub enum ListedStatus {
    /// It is listed as a single item.
    Listed,
    /// It is listed in a library out of scope.
    ListedElsewhere,
    /// Several items have it.
    SeveralItems,
    /// It is listed with this path, below another root.
    OnlyRootDiffers(Vec<u8>),
    Unlisted,
}

/// Returns the status of a file. The flag: the file has a twin ([`WalkStarts`]), so an item of the twin does not count.
pub type StatusOf<'q> = dyn Fn(&[u8], bool) -> ListedStatus + Sync + 'q;

/// The folders and files of a request, in order. Each has a flag: whether it has a twin or lies below a folder that has
/// one. Twins are names in one folder with the same normal form.
#[derive(Debug, Default)]
pub struct WalkStarts<'q> {
    /// Folders to walk.
    pub folders: Vec<(bool, &'q [u8])>,
    /// Files to report as if they were found, if they are not listed.
    pub files: Vec<(bool, &'q [u8])>,
}

/// A request to walk folders.
pub struct WalkRequest<'q> {
    pub starts: &'q WalkStarts<'q>,
    pub locations: &'q [Location],
    /// The folders come from the caller, not from an earlier call of the walk. A missing folder is then reported.
    pub is_first: bool,
    pub rules: Rules,
    /// The call stops after this many names, or at `until`, and returns the remaining folders.
    pub most: usize,
    pub until: Instant,
    /// Returns for each path whether it certainly is listed.
    pub is_listed: &'q IsListed<'q>,
    /// Called for a file that is not certainly listed, has a twin, or lies outside of all locations.
    pub status: &'q StatusOf<'q>,
}

/// The result of a walk.
#[derive(Debug, Default)]
pub struct WalkFindings {
    /// Findings, each of four texts, each text followed by a NUL: the kind, the cause, the path, and a sentence.
    /// `plexindex_walk` lists the kinds.
    pub text: Vec<u8>,
    /// Number of media files, listed or not.
    pub files: u64,
    /// The number of the walk, with which the caller continues it; `None` if it is over.
    pub goes_on: Option<u64>,
}

impl WalkFindings {
    pub(super) fn put(&mut self, kind: &str, cause: &str, path: &[u8], sentence: &[u8]) {
        for text in [kind.as_bytes(), cause.as_bytes(), &shown(path), sentence] {
            self.text.extend_from_slice(text);
            self.text.push(0);
        }
    }

    pub(super) fn folder(&mut self, path: &[u8], twin: bool) {
        self.put(if twin { "twin_folder" } else { "folder" }, "", path, b"");
    }

    pub(super) fn unreadable(&mut self, path: &[u8], error: &io::Error) {
        self.put("unreadable", &error.raw_os_error().unwrap_or(0).to_string(), path, b"");
    }
}
