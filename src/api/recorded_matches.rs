//! Exports recorded matches, and imports them into this or another index.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::opened::{Index, Library};
use super::query_builder::Query;
use serde::{Deserialize, Deserializer, Serialize};

use crate::engine::RecordRows;
use crate::error::{Result, Status};
use crate::matching::byte_string::{self, ByteString};
use crate::platform::files::{bytes_of, path_from_bytes};
use crate::sync::{Call, Selector};

/// A recorded match, with the library that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "MatchLine"))]
#[serde(deny_unknown_fields)]
pub struct RecordedMatch {
    /// The path, as the host recorded it.
    #[serde(serialize_with = "byte_string::path", deserialize_with = "deserialize_path")]
    #[cfg_attr(feature = "schema", schemars(with = "ByteString"))]
    pub path: PathBuf,
    /// The item's key.
    pub key: String,
    /// The library's uuid.
    pub library_uuid: String,
    /// The library's title when the match was exported.
    #[serde(default)]
    pub library_title: String,
    /// The server's machine identifier.
    #[serde(default)]
    pub server: String,
}

/// Deserializes a path, as [`byte_string::path`] serialized it.
fn deserialize_path<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    ByteString::deserialize(from).map(|path| path_from_bytes(path.0))
}

/// The result of [`Query::import_matches`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Imported"))]
#[non_exhaustive]
pub struct ImportedMatches {
    /// Matches that the call recorded.
    pub recorded: usize,
    /// Matches for paths that already had a match.
    pub kept: usize,
    /// Matches in libraries that the server does not have.
    pub skipped: usize,
}

impl Index {
    /// Returns all recorded matches, sorted by library and path. Sends no request.
    ///
    /// `broken`: a damaged database that plexindex renamed to `.broken`: a path, or a name in the index's folder, such as
    /// `plexindex-1.db.broken`. The call then reads the matches of all servers and users from this file, as far as the
    /// file is readable.
    ///
    /// # Errors
    /// Errors of the store; [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) if `broken` has another
    /// name.
    pub fn export_matches(&self, broken: Option<&Path>) -> Result<Vec<RecordedMatch>> {
        let inner = self.inner();
        let rows = RecordRows(&inner.store);
        let matches = match (broken, inner.reading.view_id()) {
            (Some(broken), _) => rows.export_broken(broken)?,
            (None, Some(view_id)) => rows.export(view_id)?,
            (None, None) => Vec::new(), // the store has no view of this server and user yet
        };
        let to_recorded = matches.into_iter().map(|exported| RecordedMatch {
            path: path_from_bytes(exported.path),
            key: self.key(&exported.rating_key),
            library_uuid: exported.library_uuid,
            library_title: exported.library_title,
            server: exported.server,
        });
        Ok(to_recorded.collect())
    }
}

impl Query<'_> {
    /// Records exported matches, each in the library with its uuid. Keeps the match of a path that already has one.
    /// Sends requests only if a library is unknown. All matches of one library are one transaction.
    ///
    /// # Errors
    /// As [`Query::record_match`], except that the call skips the matches of unknown libraries.
    pub fn import_matches(&self, matches: &[RecordedMatch]) -> Result<ImportedMatches> {
        let mut by_library: BTreeMap<&str, Vec<(&[u8], &str)>> = BTreeMap::new();
        for one in matches {
            let pair = (bytes_of(&one.path), &*one.key);
            by_library.entry(&one.library_uuid).or_default().push(pair);
        }
        let mut imported = ImportedMatches::default();
        for (uuid, pairs) in by_library {
            let library = self.index.library(Selector::Uuid(uuid.to_owned()))?;
            match self.import_into(&library, &pairs) {
                Ok(recorded) => {
                    imported.recorded += recorded;
                    imported.kept += pairs.len() - recorded;
                }
                Err(error) if error.status == Status::LibraryNotFound => imported.skipped += pairs.len(),
                Err(error) => return Err(error),
            }
        }
        Ok(imported)
    }

    /// Records matches for the paths that have none in the library. Returns their number.
    fn import_into(&self, library: &Library, pairs: &[(&[u8], &str)]) -> Result<usize> {
        let inner = self.index.inner();
        let find = |call: &Call<'_>| inner.sync.find_library(library.selection(), "import matches", call);
        let (_, row) = self.ask(find)?;
        let existing = RecordRows(&inner.store).confirmed_paths(row.id)?;
        let new: Vec<(&[u8], &str)> = pairs
            .iter()
            .filter(|(path, _)| !existing.contains(*path))
            .copied()
            .collect();
        if !new.is_empty() {
            self.record_pairs_in(library, &new)?;
        }
        Ok(new.len())
    }
}
