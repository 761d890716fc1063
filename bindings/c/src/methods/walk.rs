//! The method `walk.next`, which compares folders on this machine with the listings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Caller, LibraryName, MethodResult, ok_answer};
use plexindex::error::invalid_argument_error;
use plexindex::inside::{ByteString, Finding, Rules, WalkStarts};

/// Reads folders on this machine, and reports each file that is not listed as a single item, with the reason. Refresh
/// the libraries first. For the opposite comparison, use `items.missing`.
///
/// A walk takes several calls. Each call ends after `limit` names or 200 ms, and reports the remaining folders.
///
/// 1. For the first call, omit `walk`, and set `start` to the folders to walk, or to the first of them.
/// 2. For further calls, pass `walk`, and set `start` to the `folder` findings of the last answer, in the same order,
///    followed by folders that you have not passed yet.
/// 3. If `start` would be empty, pass only `walk`, to read the targets of links. If the call reports folders, continue
///    with step 2; otherwise, repeat step 3.
/// 4. An answer without `walk` ends the walk.
///
/// You can abandon a walk: an index keeps the 64 walks that were continued most recently. Files that only other
/// libraries list are not findings. If two names differ only in case or Unicode form (twins), a name that the server
/// does not list is a finding. Below a library location, plexindex reads each real folder (device and inode) once, and
/// follows links last. Uses three extra threads.
///
/// INVALID_ARGUMENT: also if the walk has ended or another call is continuing it. LIBRARY_NOT_FOUND: the library is
/// unknown. NOT_FETCHED: no library is known.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NextOfWalk {
    /// The library. Default: all libraries.
    library: Option<LibraryName>,
    /// The `walk` from the last answer.
    walk: Option<String>,
    /// Folders to read, and files to check like files found in a folder.
    #[serde(default)]
    start: Vec<WalkStart>,
    /// Plex's rules to apply. Default: all. Outside libraries, only `extension`, `hidden`, `system` and `empty` apply.
    rules: Option<Vec<String>>,
    /// Maximum number of names per call, up to 1,000,000. The call can exceed this limit to complete its last folder.
    #[serde(default = "default_walk_limit")]
    limit: usize,
    /// Ends the walk with this call, and reports links without following them.
    #[serde(default)]
    once: bool,
}

/// A folder to read, or a file to check.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WalkStart {
    kind: StartKind,
    /// The `twin` from the finding.
    #[serde(default)]
    twin: bool,
    /// The full path.
    path: ByteString,
}

#[derive(Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartKind {
    Folder,
    File,
}

fn default_walk_limit() -> usize {
    1_000
}

#[derive(Serialize, JsonSchema)]
pub struct Walked {
    /// Findings, with those of the kind `folder` last.
    findings: Vec<Finding>,
    /// Number of media files seen in this call, except files that only other libraries list.
    files: u64,
    /// The walk, for the next call; absent if the walk has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    walk: Option<String>,
}

/// Runs `walk.next`: performs one step of a walk over the disk. Returns the findings, and the walk for the next step.
pub fn next(caller: &Caller<'_>, request: NextOfWalk) -> MethodResult<Walked> {
    let library = caller.library(request.library)?;
    let rules = match &request.rules {
        Some(names) => Rules::from_names(names)?,
        None => Rules::ALL,
    };
    if !(1..=1_000_000).contains(&request.limit) {
        return invalid_argument_error(format!("limit must be from 1 to 1000000, not {}", request.limit));
    }
    let walk_number = match request.walk.as_deref().map(str::parse) {
        None => 0, // starts a walk
        Some(Ok(walk_number)) if walk_number > 0 => walk_number,
        Some(_) => {
            return invalid_argument_error(
                "walk is invalid; pass the walk of the last answer, or none to start a walk",
            );
        }
    };
    let mut starts = WalkStarts::default();
    for start in &request.start {
        let list = if start.kind == StartKind::Folder {
            &mut starts.folders
        } else {
            &mut starts.files
        };
        list.push((start.twin, start.path.0.as_slice()));
    }
    // With `once`, the walk gets no number, so the walk ends with this call.
    let answer = library.walk((!request.once).then_some(walk_number), &starts, (rules, request.limit))?;
    ok_answer(Walked {
        findings: answer.found,
        files: answer.files,
        walk: answer.next_walk_number.map(|walk_number| walk_number.to_string()),
    })
}
