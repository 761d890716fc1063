//! Compares folders of this machine with the listings: the method `walk.next`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Caller, LibraryName, MethodResult, succeed};
use plexindex::error::refuse;
use plexindex::inside::{ByteString, Finding, Rules, WalkStarts};

/// Reads folders of this machine and reports each file that is not listed as a single item, with the reason. Refresh
/// the libraries first. `items.missing` checks the other direction.
///
/// A walk takes several calls. Each ends after `limit` names or 200 ms, and reports the folders left to read.
///
/// 1. First call: no `walk`; `start` has the folders to walk, or the first of them.
/// 2. Further calls: pass `walk`. `start` has the `folder` findings of the last answer in their order, then folders
///    that you have not passed yet.
/// 3. If `start` would be empty, pass `walk` alone to read the targets of links. If the call reports folders, continue
///    with step 2, otherwise repeat step 3.
/// 4. An answer without `walk` ends the walk.
///
/// You may abandon a walk; an index remembers the 64 continued last. Files that only other libraries list are not
/// findings. Of two names that differ only by case or Unicode form (twins), one that the server does not list counts as
/// not listed. Below a location, each real folder (device and inode) is read once; links come last. Uses three extra
/// threads.
///
/// INVALID_ARGUMENT: also for a walk that has ended or that another call is continuing. LIBRARY_NOT_FOUND: unknown
/// library. NOT_FETCHED: no library is known.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NextOfWalk {
    /// Only this library. Default: all.
    library: Option<LibraryName>,
    /// `walk` of the last answer.
    walk: Option<String>,
    /// Folders to read, and files to report as if found.
    #[serde(default)]
    start: Vec<WalkStart>,
    /// Plex's rules to apply. Default: all. Outside libraries only `extension`, `hidden`, `system` and `empty` apply.
    rules: Option<Vec<String>>,
    /// Maximum names per call, up to 1,000,000; the call completes its last folder.
    #[serde(default = "default_walk_limit")]
    limit: usize,
    /// Makes a single call: reports links and follows none.
    #[serde(default)]
    once: bool,
}

/// A folder or file to read.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WalkStart {
    kind: StartKind,
    /// The `twin` of the finding.
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

/// The default number of names per call.
fn default_walk_limit() -> usize {
    1_000
}

#[derive(Serialize, JsonSchema)]
pub struct Walked {
    /// The kind `folder` comes last.
    findings: Vec<Finding>,
    /// Number of media files seen, except those that only other libraries list. Add up all calls.
    files: u64,
    /// For the next call.
    #[serde(skip_serializing_if = "Option::is_none")]
    walk: Option<String>,
}

/// Runs `walk.next`: makes one step of a walk over the disk.
pub fn next(caller: &Caller<'_>, request: NextOfWalk) -> MethodResult<Walked> {
    let library = caller.library(request.library)?;
    let rules = match &request.rules {
        Some(names) => Rules::named(names)?,
        None => Rules::ALL,
    };
    if !(1..=1_000_000).contains(&request.limit) {
        return refuse(format!("limit is {}; must be 1 to 1000000", request.limit));
    }
    let walk_number = match request.walk.as_deref().map(str::parse) {
        None => 0,
        Some(Ok(walk_number)) if walk_number > 0 => walk_number,
        Some(_) => return refuse("walk is invalid; pass the walk of the last answer, or none to start a walk"),
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
    let answer = library.walk((!request.once).then_some(walk_number), &starts, (rules, request.limit))?;
    succeed(Walked {
        findings: answer.found,
        files: answer.files,
        walk: answer.goes_on.map(|walk_number| walk_number.to_string()),
    })
}
