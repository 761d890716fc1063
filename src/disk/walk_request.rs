//! The request and the result of a walk.

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
    /// Whether the location belongs only to libraries out of scope, so that the walk reports nothing in it.
    pub is_out_of_scope: bool,
    /// Whether all libraries in scope with this location have a listing.
    pub is_fetched: bool,
}

/// Looks up paths. Calls the second argument once for each path, in order, with `true` if the path is listed.
pub type IsListed<'q> = dyn Fn(&[&[u8]], &mut dyn FnMut(bool)) + Sync + 'q;

/// How the index lists a file.
#[derive(Debug, PartialEq, Eq)]
pub enum ListedStatus {
    /// A single item has the file.
    Listed,
    /// Only a library out of scope lists the file.
    ListedElsewhere,
    /// Several items have the file.
    SeveralItems,
    /// The listed path differs in its root only.
    OnlyRootDiffers(Vec<u8>),
    Unlisted,
}

/// Returns the status of a file. The flag: the file has a twin ([`WalkStarts`]), so the twin's item does not count.
pub type StatusOf<'q> = dyn Fn(&[u8], bool) -> ListedStatus + Sync + 'q;

/// The folders and files of a request, in order. The flag says whether the path has a twin, or a folder above has one.
/// Twins are two names in one folder with the same normal form.
#[derive(Debug, Default)]
pub struct WalkStarts<'q> {
    /// Folders to walk.
    pub folders: Vec<(bool, &'q [u8])>,
    /// Files to check as if the walk had found them.
    pub files: Vec<(bool, &'q [u8])>,
}

/// A request to walk folders.
pub struct WalkRequest<'q> {
    pub starts: &'q WalkStarts<'q>,
    pub locations: &'q [Location],
    /// Whether this is the first call of a walk, so that the folders come from the host. The walk then reports missing
    /// folders.
    pub is_first: bool,
    pub rules: Rules,
    /// The call ends after this many names, or at `until`, and returns the remaining folders.
    pub max_names: usize,
    pub until: Instant,
    /// Returns for each path whether it is listed with certainty.
    pub is_listed: &'q IsListed<'q>,
    /// Called for a file that is not listed with certainty, has a twin, or lies outside of all locations.
    pub status: &'q StatusOf<'q>,
}

/// A file, folder or link that a walk reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// `folder`: not read yet. `file`: a media file that is not listed as a single item. `left_out`: a folder that is
    /// not read. `link`: a link to a folder, only with `once`. `unreadable`: a folder or link that cannot be read, or a
    /// first folder that does not exist.
    pub kind: &'static str,
    /// Another name in the folder differs only by case or Unicode form; or the path lies below such a name.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub twin: bool,
    /// For a file: `several_items`: several items have it; `not_scanned`: it lies in a library's folder; `not_fetched`:
    /// that library has no listing here; `mapping_missing`: only the root differs from the listed path `detail`;
    /// `no_library`: it lies in no library's folder; or a rule that excludes it, such as `hidden`. For a folder: a
    /// rule; `loop`: a link to a folder above it; `linked`: already read as `detail`.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub cause: &'static str,
    /// Full path on this machine.
    pub path: ByteString,
    /// A line of a `.plexignore`, or a path: see `cause`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<ByteString>,
    /// The system's error number for `unreadable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
}

/// The result of a walk.
#[derive(Debug, Default)]
pub struct WalkFindings {
    /// The findings in any order. Folders come last, in the order in which to read them.
    pub found: Vec<Finding>,
    /// Number of media files, listed or not.
    pub files: u64,
    /// The number with which the caller continues the walk; `None` if the walk is over.
    pub goes_on: Option<u64>,
}

impl WalkFindings {
    /// Adds a finding.
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

    /// Adds a folder that was not read yet.
    pub(super) fn put_folder(&mut self, path: &[u8], twin: bool) {
        self.put("folder", twin, "", path, b"");
    }

    /// Adds an unreadable folder or link.
    pub(super) fn put_unreadable(&mut self, path: &[u8], error: &io::Error) {
        self.put("unreadable", false, "", path, b"");
        if let Some(finding) = self.found.last_mut() {
            finding.errno = Some(error.raw_os_error().unwrap_or(0));
        }
    }
}
