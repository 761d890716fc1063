//! Records matches for the host.

use std::path::Path;

use super::opened::Library;
use super::query_builder::Query;
use crate::engine::{MemtableChange, is_locked};
use crate::error::{Result, invalid_argument_error, try_with_capacity};
use crate::matching::remove_redundant_components;
use crate::platform::files::bytes_of;
use crate::sync::{Call, MAX_RETRIES, cleared_repeatedly_error};

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
            matches.push((tidied.as_deref().unwrap_or(path), reading.kind().rating_key(key)?));
        }
        // Uses one call for all retries, so that all retries share the same token and deadline.
        self.run(|call| {
            // Each attempt finds the library again: if another call clears the library before the write, the library
            // gets a new id, and `record_matches` returns `None`.
            for _ in 0..MAX_RETRIES {
                let find = |call: &Call<'_>| inner.sync.find_library(library.selection(), "record a match", call);
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
                if let Some(written) = inner
                    .store_writer
                    .record_matches(&row, &matches, &unlisted, call.deadline)?
                {
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
