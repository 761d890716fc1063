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
    /// Findings, each of four texts, each text followed by a NUL: the kind, the cause, the path, and a sentence.
    /// `plexindex_walk` lists the kinds.
    pub text: Vec<u8>,
    /// Number of media files, listed or not.
    pub files: u64,
    /// The number of the walk, while it is not over.
    pub goes_on: Option<u64>,
}

impl WalkFindings {
    pub(super) fn put(&mut self, what: &str, why: &str, path: &[u8], sentence: &[u8]) {
        for text in [what.as_bytes(), why.as_bytes(), path, sentence] {
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
