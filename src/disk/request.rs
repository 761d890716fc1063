//! Request and result of a walk.

use std::io;
use std::time::Instant;

use super::rules::{Kinds, Rules};

/// A folder of libraries, as this machine names it.
#[derive(Debug)]
pub struct Location {
    pub folder: Vec<u8>,
    pub kinds: Kinds,
    /// Only libraries out of scope have this folder: nothing in it is reported.
    pub is_others: bool,
}

/// Tells of each path in order whether it is listed.
pub type IsListed<'q> = dyn Fn(&[&[u8]], &mut dyn FnMut(bool)) + Sync + 'q;

/// What to walk, and how far.
pub struct WalkRequest<'q> {
    /// The folders, in order, and whether each lies below one with a twin ([`WalkFindings::text`]).
    pub folders: &'q [(bool, &'q [u8])],
    pub locations: &'q [Location],
    pub rules: Rules,
    /// The call stops after this many names, or at `until`, and returns the folders that are left.
    pub most: usize,
    pub until: Instant,
    /// Tells of each path whether it is listed, without a doubt.
    pub is_listed: &'q IsListed<'q>,
}

/// The result of a walk.
#[derive(Debug, Default)]
pub struct WalkFindings {
    /// Findings, each of four texts that NULs follow: what it is; why; the path; and a sentence. `folder`: it is still to be
    /// walked; these come last, with `walk`: a walk that is not over; why: its number. `file`: a media file that is not listed without a doubt; why: the rule that leaves it out if it is not listed at
    /// all. `left_out`: a folder; why: the rule, `loop`, or `linked`: it was read by another path, and the sentence is its real one.
    /// `link`: a link to a folder that a call without progress does not follow. `unreadable`: why: the number of the system's
    /// error. `twin_folder` and `twin_file`: another name in that folder, or in one above, differs from its own in case or
    /// composition only.
    pub text: Vec<u8>,
    /// Media files, whether they are listed or not.
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
    pub fn goes_on(&mut self, number: u64) {
        self.put("walk", &number.to_string(), b"", b"");
    }

    pub(super) fn folder(&mut self, path: &[u8], twin: bool) {
        self.put(if twin { "twin_folder" } else { "folder" }, "", path, b"");
    }

    pub(super) fn unreadable(&mut self, path: &[u8], error: &io::Error) {
        self.put("unreadable", &error.raw_os_error().unwrap_or(0).to_string(), path, b"");
    }
}
