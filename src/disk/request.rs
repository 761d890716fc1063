//! Request and result of a walk.

use std::io;
use std::time::Instant;

use serde::Serialize;

use super::rules::{Kinds, Rules};
use crate::matching::byte_string::ByteString;
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

/// What a walk says of a file, a folder or a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// `folder`: a folder that the walk has not read yet. `file`: a media file that is not listed as a single item.
    /// `left_out`: a folder that is not read. `link`: a link to a folder, of a call that is no walk. `unreadable`: a folder or
    /// link that cannot be read, or a folder of the first call that does not exist.
    pub kind: &'static str,
    /// Its folder has another name that differs only by case or Unicode form, such as `Up.mkv` and `UP.mkv`, or it lies below
    /// such a folder.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub twin: bool,
    /// Why. Of a file: `several_items`: more than one item has it; a rule that leaves it out, such as `hidden`;
    /// `not_scanned`: it lies in a library's folder; `not_fetched`: so it does, and that library has no listing here;
    /// `mapping_missing`: the library lists `detail`, of which only the root differs; `no_library`: it lies in none. Of a
    /// folder that is left out: a rule; `loop`: a link to a folder above it; `linked`: it was read by the path `detail`.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub cause: &'static str,
    /// Its full path on this machine.
    pub path: ByteString,
    /// The line of a `.plexignore`, or a path: see `cause`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<ByteString>,
    /// The number of the system's error, of what is unreadable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
}

/// The result of a walk.
#[derive(Debug, Default)]
pub struct WalkFindings {
    /// Findings in no order, but for folders, which come last in the order in which they are to be read.
    pub found: Vec<Finding>,
    /// Number of media files, listed or not.
    pub files: u64,
    /// The number of the walk, with which the caller continues it; `None` if it is over.
    pub goes_on: Option<u64>,
}

impl WalkFindings {
    pub(super) fn put(&mut self, kind: &'static str, twin: bool, cause: &'static str, path: &[u8], detail: &[u8]) {
        self.found.push(Finding {
            kind,
            twin,
            cause,
            path: ByteString(shown(path).into_owned()),
            detail: (!detail.is_empty()).then(|| ByteString(detail.to_vec())),
            errno: None,
        });
    }

    pub(super) fn folder(&mut self, path: &[u8], twin: bool) {
        self.put("folder", twin, "", path, b"");
    }

    pub(super) fn unreadable(&mut self, path: &[u8], error: &io::Error) {
        self.put("unreadable", false, "", path, b"");
        if let Some(put) = self.found.last_mut() {
            put.errno = Some(error.raw_os_error().unwrap_or(0));
        }
    }
}
