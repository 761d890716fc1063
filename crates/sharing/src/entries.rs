//! Converts this host's writes to entries for the shared log, and translates paths between hosts.
//!
//! Each host can have a different path for a file, so entries contain the server's path: the path that a mapping gives,
//! or an unchanged path in one of the library's folders. Other paths are not shared, since they may belong to different
//! files on other hosts.

use std::borrow::Cow;

use crate::contract::{EntryKind, NewEntry};
use crate::engine::LocalWrite;
use crate::matching::{NormalPath, lies_under, normal_form};
use crate::model::{Library, LibraryId};
use crate::sync::IndexReader;

/// The body of an item invalidation that also removes the item's matches.
const WITH_MATCHES: &[u8] = b"1";

/// Converts between this host's writes and log entries, with the mappings and libraries of an index.
pub struct SharedEntries<'r>(pub &'r IndexReader);

impl SharedEntries<'_> {
    /// Converts one of this host's writes to the log entries that tell other hosts about it. `libraries`: all libraries
    /// in the view, to which ids in the write refer.
    pub fn entries_for(&self, libraries: &[(LibraryId, Library)], write: &LocalWrite<'_>) -> Vec<NewEntry> {
        let of_each = |is_selected: &dyn Fn(&LibraryId) -> bool, entries: &dyn Fn(&Library) -> Vec<NewEntry>| {
            let selected = libraries.iter().filter(|(id, _)| is_selected(id));
            selected.flat_map(|(_, library)| entries(library)).collect()
        };
        match *write {
            LocalWrite::Matches(library, pairs) => self.match_entries(library, pairs),
            LocalWrite::Paths(ids, paths) => of_each(&|id| ids.contains(id), &|library| {
                let invalid_path = |path: &&[u8]| self.path_entry(library, EntryKind::InvalidPath, path, "");
                paths.iter().filter_map(invalid_path).collect()
            }),
            LocalWrite::Items {
                libraries: ids,
                rating_keys,
                with_matches,
            } => of_each(&|id| ids.contains(id), &|library| {
                let body = if with_matches { WITH_MATCHES } else { b"" };
                let invalid_item =
                    |key: &&str| NewEntry::new(EntryKind::InvalidItem, &library.uuid, key.as_bytes(), body.into());
                rating_keys.iter().map(invalid_item).collect()
            }),
            LocalWrite::Library(only) => of_each(&|id| only.is_none_or(|only| only == *id), &|library| {
                vec![NewEntry::new(EntryKind::InvalidLibrary, &library.uuid, b"", Vec::new())]
            }),
        }
    }

    /// Translates a path on this host to the server's path, which entries contain; `None` if the path cannot be shared,
    /// because no mapping rewrites it and it lies in none of the library's folders.
    pub fn to_server_path(&self, library: &Library, path: &[u8]) -> Option<Vec<u8>> {
        let mapped = |path: &NormalPath<'_>| self.0.mappings().to_server(path, |mapped| Some(mapped.to_vec()));
        NormalPath::with(path, mapped).or_else(|| is_in_library(library, path).then(|| path.to_vec()))
    }

    /// Translates the server's path in an entry to this host's path; `None` if this host cannot have the file, because
    /// no mapping translates the path, and it lies in none of the library's folders.
    pub fn to_host_path<'p>(&self, library: &Library, path: &'p [u8]) -> Option<Cow<'p, [u8]>> {
        let host_path = self.0.mappings().host_path(path);
        (*host_path != *path || is_in_library(library, path)).then_some(host_path)
    }

    /// Converts confirmed matches, given as pairs of host path and rating key, to entries. Skips paths that cannot be
    /// shared.
    pub fn match_entries(&self, library: &Library, pairs: &[(&[u8], &str)]) -> Vec<NewEntry> {
        let match_entry = |(path, key): &(&[u8], &str)| self.path_entry(library, EntryKind::Match, path, key);
        pairs.iter().filter_map(match_entry).collect()
    }

    /// Creates an entry about a path on this host; `None` if the path cannot be shared. `body`: the rating key for a
    /// match; otherwise empty.
    fn path_entry(&self, library: &Library, kind: EntryKind, path: &[u8], body: &str) -> Option<NewEntry> {
        let path = self.to_server_path(library, path)?;
        Some(NewEntry::new(kind, &library.uuid, &path, body.into()))
    }
}

/// Returns whether a server path lies in one of the library's folders.
fn is_in_library(library: &Library, path: &[u8]) -> bool {
    NormalPath::with(path, |path| {
        library.locations.iter().any(|folder| {
            let folder = folder.as_bytes();
            // Compare a path that is not UTF-8 byte by byte.
            if path.is_utf8() {
                lies_under(path.form(), &normal_form(folder))
            } else {
                lies_under(path.form(), folder)
            }
        })
    })
}
