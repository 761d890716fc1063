//! The export and import of recorded matches, and the host's key-value tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::library::Pages;
use super::opened::Index;
use super::query_builder::Query;
use crate::engine::{self, RecordRows, Selector};
use crate::error::{Result, Status};
use crate::matching::byte_string::{self, ByteString};
use crate::options::Ttl;
use crate::platform::files::{bytes_of, path_from_bytes};

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
            match self.record_pairs_in(&library, &pairs, true) {
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
}

/// A handle to one of the host's key-value tables, cheap to clone and usable from any thread. Values can expire. Tables
/// send no requests. The handle keeps the index open.
///
/// ```
/// use plexindex::{Index, Options, Terms};
///
/// # let folder = tempfile::tempdir()?;
/// let index = Index::open(Options::new(folder.path()))?;
/// let ratings = index.table("ratings")?;
/// ratings.put("1002", "8.5", Terms::default())?;
/// assert_eq!(ratings.get("1002")?.as_deref(), Some(&b"8.5"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Table {
    pub(super) index: Index,
    table: Arc<engine::Table>,
}

/// How long a table keeps written values, and its maximum size.
///
/// ```
/// use std::time::Duration;
/// use plexindex::Terms;
///
/// let terms = Terms::default().ttl(Duration::from_secs(3600)).limit(50 << 20);
/// # let _ = terms;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "pass the terms to a write"]
pub struct Terms(pub(super) engine::TableLimits);

impl Terms {
    /// Sets the time after which the written values expire. By default, values never expire.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.0.ttl = ttl.into();
        self
    }

    /// Makes the write remove the oldest entries of each table that it writes, except those that it writes, until the
    /// table has `bytes` or less. The size of an entry is that of its name and value, plus 64 bytes. By default, there
    /// is no limit, and entries stay until the host removes them or they expire.
    pub fn limit(mut self, bytes: u64) -> Self {
        self.0.limit = Some(bytes);
        self
    }
}

/// A change to a table, for [`Index::write_tables`](crate::Index::write_tables).
#[derive(Clone, Copy)]
#[must_use = "nothing is written yet"]
pub struct TableChange<'c> {
    pub(super) table: &'c Table,
    pub(super) op: engine::Op<'c>,
}

impl<'c> TableChange<'c> {
    /// Creates a change that stores a value, replacing any value with the same name.
    pub fn put<N: AsRef<[u8]> + ?Sized, V: AsRef<[u8]> + ?Sized>(table: &'c Table, name: &'c N, value: &'c V) -> Self {
        let op = engine::Op::Put(&table.table, name.as_ref(), value.as_ref());
        Self { table, op }
    }

    /// Creates a change that removes an entry.
    pub fn remove<N: AsRef<[u8]> + ?Sized>(table: &'c Table, name: &'c N) -> Self {
        let op = engine::Op::Remove(&table.table, name.as_ref());
        Self { table, op }
    }

    /// Creates a change that removes all entries of a table.
    pub fn clear(table: &'c Table) -> Self {
        let op = engine::Op::Clear(&table.table);
        Self { table, op }
    }
}

impl std::fmt::Debug for TableChange<'_> {
    /// Formats only the table, since names and values can be long.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TableChange({:?})", self.table)
    }
}

impl Table {
    /// Returns a handle to the table with this name, which need not exist yet. `ignores_case`: whether entry names
    /// ignore the case of A to Z.
    pub(super) fn new(index: &Index, name: &[u8], ignores_case: bool) -> Result<Self> {
        Ok(Self {
            table: Arc::new(index.tables().table(name, ignores_case)?),
            index: index.clone(),
        })
    }

    /// Returns the value with this name; `None` if there is no value or it has expired.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let mut value = None;
        self.table
            // `usize::MAX`: accepts a value of any length.
            .get(name.as_ref(), usize::MAX, &mut |found| value = Some(found.to_vec()))?;
        Ok(value)
    }

    /// Looks up the value with this name without a wait or a copy; once the value is in memory, also without a lock.
    /// Passes the value to `then`, and returns the result of `then`. `None`: there is no value, or the value is not
    /// available at once; then use [`Table::get`].
    pub fn lookup<R>(&self, name: impl AsRef<[u8]>, then: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.table.lookup(name.as_ref(), then)
    }

    /// Stores a value, and replaces any value with the same name. `terms`: when the value expires, and the maximum size
    /// of the table.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name of more than 1 MiB; errors of the
    /// store.
    pub fn put(&self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>, terms: Terms) -> Result<()> {
        self.table.put(name.as_ref(), value.as_ref(), &terms.0)
    }

    /// Removes an entry. Succeeds even if the entry does not exist.
    ///
    /// # Errors
    /// As [`Table::put`].
    pub fn remove(&self, name: impl AsRef<[u8]>) -> Result<()> {
        self.table.remove(name.as_ref())
    }

    /// Removes all entries.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn clear(&self) -> Result<()> {
        self.table.clear()
    }

    /// Iterates over the names of the entries that have not expired, in byte order. An error ends the iteration.
    pub fn names(&self) -> Names {
        Names {
            table: self.clone(),
            pages: Pages::from(None),
        }
    }

    /// Returns the number of stored entries, including expired entries.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn count(&self) -> Result<u64> {
        self.table.count()
    }
}

impl std::fmt::Debug for Table {
    /// Formats the table's name, with escapes, since a name can be any bytes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({})", self.table.name().escape_ascii())
    }
}

/// An iterator over the names of a table's entries, from [`Table::names`].
#[derive(Clone, Debug)]
#[must_use = "iterators are lazy"]
pub struct Names {
    table: Table,
    pages: Pages<Vec<u8>, Option<Vec<u8>>>, // a page is one name, and the cursor the name before it
}

impl Iterator for Names {
    type Item = Result<Vec<u8>>;

    /// Returns the name after the last returned name. Ends after the table's last name, or after an error.
    fn next(&mut self) -> Option<Self::Item> {
        self.pages.next(|last| {
            let next = self.table.table.next(last.as_deref())?;
            Ok((next.clone().into_iter().collect(), next.map(Some)))
        })
    }
}

impl std::iter::FusedIterator for Names {}
