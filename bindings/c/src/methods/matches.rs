//! Methods that export and import recorded matches.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Caller, MethodResult, default_page_limit, ok_answer};
use crate::strings::check_page_limit;
use plexindex::error::{Result, invalid_argument_error};
use plexindex::inside::{ByteString, path_from_bytes};
use plexindex::{ImportedMatches, RecordedMatch};

/// Exports recorded matches, sorted by library and path.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportMatches {
    /// A damaged database: a path, or a name in the index's folder, that ends in `.broken`. The method reads the matches of
    /// all servers and users, as far as it is readable. Default: the matches in the index.
    broken: Option<ByteString>,
    /// Cursor of the last page; absent for the first page.
    cursor: Option<String>,
    /// Maximum number of matches per page, up to 10,000.
    #[serde(default = "default_page_limit")]
    limit: usize,
}

#[derive(Serialize, JsonSchema)]
pub struct MatchesPage {
    matches: Vec<RecordedMatch>,
    /// Cursor of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Runs `matches.export`: returns a page of recorded matches. A cursor is the library and path of its page's last match.
pub fn export(caller: &Caller<'_>, request: ExportMatches) -> MethodResult<MatchesPage> {
    let index = caller.index()?;
    check_page_limit(request.limit)?;
    let after = request.cursor.as_deref().map(decode_cursor).transpose()?;
    let broken = request.broken.map(|name| path_from_bytes(name.0));
    let mut matches = index.export_matches(broken.as_deref().map(Path::as_ref))?;
    if let Some(after) = after {
        let first =
            matches.partition_point(|one| (one.library_uuid.as_bytes(), path_bytes(one)) <= (&*after.0, &*after.1));
        matches.drain(..first);
    }
    let has_more = matches.len() > request.limit;
    matches.truncate(request.limit);
    let last = matches.last().filter(|_| has_more);
    let cursor = last.map(|last| STANDARD.encode([last.library_uuid.as_bytes(), b"\0", path_bytes(last)].concat()));
    ok_answer(MatchesPage { matches, cursor })
}

fn path_bytes(one: &RecordedMatch) -> &[u8] {
    one.path.as_os_str().as_encoded_bytes()
}

/// Decodes a cursor: a library's uuid and a path.
fn decode_cursor(cursor: &str) -> Result<(Vec<u8>, Vec<u8>)> {
    let decoded = STANDARD.decode(cursor).ok();
    let position = decoded.as_deref().and_then(|bytes| {
        let end = bytes.iter().position(|byte| *byte == 0)?;
        Some((bytes[..end].to_vec(), bytes[end + 1..].to_vec()))
    });
    position.map_or_else(
        || invalid_argument_error("cursor is invalid; pass the cursor of the last page, or none for the first page"),
        Ok,
    )
}

/// Records matches from `matches.export`, each in the library with its uuid. A path that already has a match keeps it.
/// Asks the server only about an unknown library.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportMatches {
    /// The matches.
    matches: Vec<RecordedMatch>,
    /// Sends no request.
    #[serde(default)]
    offline: bool,
}

/// Runs `matches.import`: records exported matches.
pub fn import(caller: &Caller<'_>, request: ImportMatches) -> MethodResult<ImportedMatches> {
    let query = caller.query(caller.index()?.query(), request.offline)?;
    ok_answer(query.import_matches(&request.matches)?)
}
