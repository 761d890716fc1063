//! Listings against the disk.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answered, Caller, LibraryName, done};
use plexindex::error::refuse;
use plexindex::inside::{ByteString, Finding, Rules, WalkStarts};

/// Reads folders of this machine, and reports each file that is not listed as a single item, and why. Sends no request:
/// refresh the libraries first. `items.missing` is the other direction.
///
/// A walk takes several calls, since each call ends after `limit` names or 200 ms. Each call is given what to read, and reports
/// the folders that are still to be read: those of the request that it did not come to, and those that it found.
///
/// 1. The first call has no `walk`, and `start` has the folders to walk, or the first of them.
/// 2. `start` of each further call begins with the findings of the kind `folder` of the call before, in their order. Folders
///    that the first call left out come behind them. So the walk reads folders in the order of their names, and the list stays
///    short.
/// 3. If that gives an empty list and the answer has `walk`, make the call with it: it reads the targets of links. If it
///    reports folders, go on with step 2, else with this one.
/// 4. The walk is over when an answer has no `walk`.
///
/// A walk may be abandoned after any call. An index remembers the 64 walks that were continued last.
///
/// What only other libraries list is no finding. Two names in one folder that differ only by case or Unicode form are twins: if
/// the server lists one of two such files, the other one counts as not listed; else a spelling makes no difference. Below a
/// location each real folder (device and inode) is read once. Links are followed after everything that is reached without them,
/// so the choice between two links to a folder depends on their paths only. The call uses three threads beside the caller's,
/// which end before it returns.
///
/// INVALID_ARGUMENT also for a walk that is over, or that another call continues; LIBRARY_NOT_FOUND for a library that is not
/// known; NOT_FETCHED while none is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NextOfWalk {
    /// The library; all of them if absent. Folders that only other libraries have are no findings.
    library: Option<LibraryName>,
    /// What the last call gave; absent for the first one.
    walk: Option<String>,
    /// The folders and files to read. A file is reported as if the walk had found it: after a refresh, or to learn why it is
    /// not in Plex.
    #[serde(default)]
    start: Vec<WalkStart>,
    /// The rules that hold; all of them if absent. Outside every library's folder only `extension`, `hidden`, `system` and
    /// `empty` do.
    rules: Option<Vec<String>>,
    /// The call ends with the folder that it reads after so many names, at most 1,000,000.
    #[serde(default = "names")]
    limit: usize,
    /// One call and no walk: links are findings, and none is followed.
    #[serde(default)]
    once: bool,
}

/// A folder or a file to read.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WalkStart {
    /// `folder` or `file`.
    kind: StartKind,
    /// As of the finding.
    #[serde(default)]
    twin: bool,
    /// The full path.
    path: ByteString,
}

/// What a walk reads.
#[derive(Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartKind {
    Folder,
    File,
}

fn names() -> usize {
    1_000
}

/// What a call of a walk found.
#[derive(Serialize, JsonSchema)]
pub struct Walked {
    /// Those of the kind `folder` come last.
    findings: Vec<Finding>,
    /// Media files that this call saw, listed ones and given ones included; not those that only other libraries list. The sum
    /// over the calls of a walk is that of the walk.
    files: u64,
    /// For the next call; absent when the walk is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    walk: Option<String>,
}

pub fn next(caller: &Caller<'_>, request: NextOfWalk) -> Answered<Walked> {
    let library = caller.library(request.library)?;
    let rules = match &request.rules {
        Some(names) => Rules::named(names)?,
        None => Rules::ALL,
    };
    if !(1..=1_000_000).contains(&request.limit) {
        return refuse(format!("limit is {}: give 1 to 1000000", request.limit));
    }
    let number = match request.walk.as_deref().map(str::parse) {
        None => 0,
        Some(Ok(number)) if number > 0 => number,
        Some(_) => return refuse("walk: give what the last call gave, or none to begin"),
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
    let found = library.walk((!request.once).then_some(number), &starts, (rules, request.limit))?;
    done(Walked {
        findings: found.found,
        files: found.files,
        walk: found.goes_on.map(|number| number.to_string()),
    })
}
