//! What the host records: matches, with their export and import, and key-value tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Deserializer, Serialize};

use super::library::Pages;
use super::opened::{Index, Library};
use super::query_builder::Query;
use crate::engine::{self, MemtableChange, RecordRows, Selector, is_locked};
use crate::error::{Result, Status, invalid_argument_error, try_with_capacity};
use crate::matching::byte_string::{self, ByteString};
use crate::matching::remove_redundant_components;
use crate::options::Ttl;
use crate::platform::files::{bytes_of, path_from_bytes};
use crate::stats::Activity;
use crate::sync::{Call, MAX_RETRIES, cleared_repeatedly_error};

/// Number of matches whose transaction can leave a WAL that SQLite truncates.
const LARGE_BATCH: usize = 10_000;

impl Query<'_> {
    /// Makes [`Query::record_match`] wait until the shared database contains the match, if hosts share this index
    /// ([`Options::shared`](crate::Options::shared)). By default, the call returns at once, and the database receives the
    /// match a moment later. If the database does not have it by the timeout, or within a few seconds without a
    /// timeout, the call fails with [`ErrorKind::Timeout`](crate::ErrorKind::Timeout): this host has stored the match
    /// and delivers it later. For a path that only this host has, the call fails and records nothing.
    /// `SharedIndex::shared_deliver` in the crate `plexindex-sharing` waits for all earlier writes in the same way.
    pub fn through(mut self) -> Self {
        self.through = true;
        self
    }

    /// Records that a path belongs to an item of the library. `key` is the item's key or rating key.
    ///
    /// Sends requests only if the library is unknown, and never fetches the listing. `offline` and the progress callback
    /// apply only to these requests. Without a timeout, waits at most 10 s for another process that is writing.
    ///
    /// ```no_run
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options {
    /// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
    /// #     token: plexindex::Token::new("YOUR-TOKEN"),
    /// #     ..plexindex::Options::new(folder.path())
    /// # })?;
    /// # let key = "1002";
    /// use std::time::Duration;
    /// use plexindex::ErrorKind;
    ///
    /// let movies = index.library("Movies")?;
    /// match movies.query().timeout(Duration::from_secs(2)).record_match("/mnt/a.mkv", &key) {
    ///     Err(error) if error.kind() == ErrorKind::Timeout => println!("try again later: {error}"),
    ///     recorded => recorded?,
    /// }
    /// # assert!(movies.lookup_key("/mnt/a.mkv").is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an invalid path or key, for a query of all
    /// libraries, and for [`Query::through`] if the index does not share or only this host has the path;
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) at the timeout: without [`Query::through`], nothing is recorded;
    /// [`ErrorKind::LibraryNotFound`](crate::ErrorKind::LibraryNotFound); errors of the store. If the library is
    /// unknown, also [errors of the server](crate::ErrorKind#errors-of-the-server), and
    /// [`ErrorKind::Offline`](crate::ErrorKind::Offline) if the query or the index is offline.
    pub fn record_match(&self, path: impl AsRef<Path>, key: &str) -> Result<()> {
        self.record_matches([(path, key)])
    }

    /// Records many matches: either all of them or none.
    ///
    /// ```no_run
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options {
    /// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
    /// #     token: plexindex::Token::new("YOUR-TOKEN"),
    /// #     ..plexindex::Options::new(folder.path())
    /// # })?;
    /// # let key = "1002";
    /// let movies = index.library("Movies")?;
    /// movies.query().record_matches([("/mnt/a.mkv", &key), ("/mnt/b.mkv", &key)])?;
    /// assert_eq!(movies.lookup_keys(["/mnt/a.mkv", "/mnt/b.mkv"]).len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Query::record_match`].
    pub fn record_matches<P: AsRef<Path>, K: AsRef<str>>(
        &self,
        matches: impl IntoIterator<Item = (P, K)>,
    ) -> Result<()> {
        let matches: Vec<(P, K)> = matches.into_iter().collect();
        let matches: Vec<(&[u8], &str)> = matches
            .iter()
            .map(|(path, key)| (bytes_of(path), key.as_ref()))
            .collect();
        self.record_pairs(&matches)
    }

    /// Records pairs of a path and an item's key or rating key as confirmed matches: either all or none. Fails if the
    /// query has no single library, or if a path or key is invalid. With [`Query::through`], also waits until the
    /// shared database has the matches, and fails before the write if other hosts could not use a path.
    #[doc(hidden)] // for the C functions
    pub fn record_pairs(&self, pairs: &[(&[u8], &str)]) -> Result<()> {
        let Some(library) = self.library else {
            return invalid_argument_error("cannot record a match in all libraries at once: specify one library");
        };
        self.record_pairs_in(library, pairs)
    }

    /// Records pairs of a path and an item's key or rating key in a library, like [`Self::record_pairs`].
    pub(super) fn record_pairs_in(&self, library: &Library, pairs: &[(&[u8], &str)]) -> Result<()> {
        let (inner, reading) = (self.index.inner(), &library.reading);
        let _timed = inner.start_timer("record_matches", Some(library.selector()), Some(pairs.len()));
        if self.through {
            inner.sync.peers.expect_shared()?; // fails if the index does not share, before anything is written
        }
        // Validate all pairs before the first request.
        let mut matches = try_with_capacity(pairs.len(), "matches")?;
        // A later match for the same path replaces an earlier one, so redundant components must not distinguish them.
        let tidied: Vec<_> = pairs
            .iter()
            .map(|(path, _)| remove_redundant_components(path))
            .collect();
        for ((path, key), tidied) in pairs.iter().zip(&tidied) {
            inner.queries.display.check_path(path)?;
            matches.push((tidied.as_deref().unwrap_or(path), reading.kind.rating_key(key)?));
        }
        // Uses one call for all retries, so that all retries share the same token and deadline.
        self.run(|call| {
            // Each attempt finds the library again: if another call clears the library before the write, the library
            // gets a new id, and `record_matches` returns `None`.
            for _ in 0..MAX_RETRIES {
                let find = |call: &Call<'_>| inner.sync.find_library(&library.selection, "record a match", call);
                let (view_id, row) = inner.run_renewing(call, find)?;
                // With `through`, reject a path that other hosts cannot translate to the same file.
                let is_local = |(path, _): &&(&[u8], &str)| !inner.sync.peers.is_path_shareable(&row.library, path);
                if self.through
                    && let Some((path, _)) = matches.iter().find(is_local)
                {
                    return invalid_argument_error(format!(
                        "cannot share the match of '{}': the path is not in a folder of library '{}', even after \
                         mappings; add a mapping, or record the match without through",
                        inner.queries.display.path(path),
                        library.selector().name()
                    ));
                }
                let unlisted = reading.unlisted(&row, &matches);
                let (start, deadline) = (Instant::now(), call.deadline.at_least_shortest());
                let limit = inner.store_writer.matches_limit;
                let written = RecordRows(&inner.store).record_matches(&row, &matches, &unlisted, limit, deadline);
                if matches.len() >= LARGE_BATCH {
                    // Otherwise the next write truncates the WAL, which takes longer than a small write.
                    inner.store.checkpoint();
                }
                inner.counters.add_time_of_call(Activity::Store, start);
                if let Some(written) = written? {
                    // Updates the snapshot now, so that fast lookups need not. If the write has also removed matches,
                    // `catch_up` reads the changes.
                    if !written.has_evicted {
                        let raised = written.at.1.0;
                        let doubted = unlisted.iter().map(|key| MemtableChange::doubted(b"", key, raised));
                        let paths = matches.iter().map(|(path, _)| *path);
                        reading.apply_committed(view_id, row.id, written.at, doubted.collect(), paths);
                    }
                    let caught_up = reading.catch_up(call.deadline);
                    // The matches are stored, so after a timeout, the next reader catches up.
                    caught_up.or_else(|error| if is_locked(&error) { Ok(()) } else { Err(error) })?;
                    return if self.through {
                        inner.sync.peers.deliver(call.deadline)
                    } else {
                        Ok(())
                    };
                }
            }
            Err(cleared_repeatedly_error(library.selector().name()))
        })
    }
}

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
        let find = |call: &Call<'_>| inner.sync.find_library(&library.selection, "import matches", call);
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
