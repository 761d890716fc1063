//! Request and result of a walk.

use std::io;
use std::time::Instant;

use super::rules::{Kinds, Rules};

/// A library location on this machine.
#[derive(Debug)]
pub struct Location {
    pub folder: Vec<u8>,
    pub kinds: Kinds,
    /// The location belongs only to libraries out of scope: nothing in it is reported.
    pub is_out_of_scope: bool,
}

/// Calls back for each path in order with whether it is listed.
pub type IsListed<'q> = dyn Fn(&[&[u8]], &mut dyn FnMut(bool)) + Sync + 'q;

/// A request to walk folders.
pub struct WalkRequest<'q> {
    /// The folders, in order, and whether each lies below one with a twin ([`WalkFindings::text`]).
    pub folders: &'q [(bool, &'q [u8])],
    pub locations: &'q [Location],
    pub rules: Rules,
    /// The call stops after this many names, or at `until`, and returns the remaining folders.
    pub most: usize,
    pub until: Instant,
    /// Tells for each path whether it certainly is listed.
    pub is_listed: &'q IsListed<'q>,
}

/// The result of a walk.
#[derive(Debug, Default)]
pub struct WalkFindings {
    /// Findings of four NUL-terminated texts each: kind, reason, path, detail. Kinds: `folder`: still to be walked, at
    /// the end; `walk`, also at the end: an unfinished walk, with its number as reason; `file`: a media file that is
    /// not certainly listed, with the rule that ignores it as reason if it is not listed at all; `left_out`: an ignored
    /// folder, with the rule as reason, or `loop`, or `linked` if it was read by another path, which is the detail;
    /// `link`: a link to a folder, in a call without progress; `unreadable`: with the system's error number as reason;
    /// `twin_folder` and `twin_file`: as `folder` and `file`, where a name in that folder or one above differs from
    /// another only in case or composition.
    pub text: Vec<u8>,
    /// Number of media files, listed or not.
    pub files: u64,
}

impl WalkFindings {
    pub(super) fn put(&mut self, what: &str, why: &str, path: &[u8], sentence: &[u8]) {
        for text in [what.as_bytes(), why.as_bytes(), path, sentence] {
            self.text.extend_from_slice(text);
            self.text.push(0);
        }
    }

    /// Adds the finding `walk`: the walk with this number has more to read.
    pub fn add_unfinished(&mut self, number: u64) {
        self.put("walk", &number.to_string(), b"", b"");
    }

    pub(super) fn folder(&mut self, path: &[u8], twin: bool) {
        self.put(if twin { "twin_folder" } else { "folder" }, "", path, b"");
    }

    pub(super) fn unreadable(&mut self, path: &[u8], error: &io::Error) {
        self.put("unreadable", &error.raw_os_error().unwrap_or(0).to_string(), path, b"");
    }
}
