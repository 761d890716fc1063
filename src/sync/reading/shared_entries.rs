//! Entries for the log that hosts share, about what this host writes.
//!
//! Paths are each host's own. A path is told in the server's spelling: as a mapping rewrites it, or as it is in a folder
//! of the library. Any other path stays here: it may be another file on another host.

use std::borrow::Cow;

use super::state::Reading;
use crate::engine::{LibraryHint, LibraryRow, places};
use crate::entries::{EntryKind, EntryName, NewEntry};
use crate::matching::normal::normal_form;
use crate::matching::{Normal, Resolver, Scope, lies_under};
use crate::model::{Hint, LibraryId, MatchKind};

/// The body of an invalidated item whose matches are removed too.
const WITH_MATCHES: &[u8] = b"1";

/// Makes entries for the log that hosts share; none if the index is not shared.
pub struct SharedEntries<'r>(pub &'r Reading);

impl SharedEntries<'_> {
    /// The path in the server's spelling; `None` if only this host has it.
    pub fn server_spelling(&self, row: &LibraryRow, path: &[u8]) -> Option<Vec<u8>> {
        let mapped = |path: &Normal<'_>| self.0.mappings().to_server(path, |mapped| Some(mapped.to_vec()));
        Normal::with(path, mapped).or_else(|| is_in_library(row, path).then(|| path.to_vec()))
    }

    /// This host's spelling of a path that another host told; `None` if it says nothing about a file of this host.
    pub fn own_spelling<'p>(&self, row: &LibraryRow, path: &'p [u8]) -> Option<Cow<'p, [u8]>> {
        let own = self.0.mappings().host_path(path);
        (*own != *path || is_in_library(row, path)).then_some(own)
    }

    /// The rating key that is recorded for a path.
    pub fn confirmed_key(&self, library: LibraryId, path: &[u8]) -> Option<String> {
        let snapshot = self.0.snapshot();
        let index = snapshot.rows.iter().position(|row| row.id == library)?;
        let resolved = Resolver::new(&snapshot.views, Scope::One(index), self.0.mappings()).resolve(path);
        let found = resolved
            .single()
            .filter(|_| resolved.match_kind == MatchKind::Confirmed)?;
        Some(found.item.rating_key.to_owned())
    }

    /// Entries about recorded matches.
    pub fn of_matches(&self, row: &LibraryRow, pairs: &[(&[u8], &str)]) -> Vec<NewEntry> {
        let told = |(path, key): &(&[u8], &str)| self.of_path(row, EntryKind::Match, path, key);
        pairs.iter().filter_map(told).collect()
    }

    /// Entries about invalidated paths.
    pub fn of_paths(&self, row: &LibraryRow, paths: &[&[u8]]) -> Vec<NewEntry> {
        let told = |path: &&[u8]| self.of_path(row, EntryKind::InvalidPath, path, "");
        paths.iter().filter_map(told).collect()
    }

    fn of_path(&self, row: &LibraryRow, kind: EntryKind, path: &[u8], body: &str) -> Option<NewEntry> {
        let path = self.0.shares.then(|| self.server_spelling(row, path))??;
        Some(entry(kind, &row.library.uuid, &path, body.into()))
    }

    /// Entries about invalidated items. `with_matches`: their matches are removed too.
    pub fn of_items(&self, libraries: &[LibraryId], keys: &[&str], with_matches: bool) -> Vec<NewEntry> {
        if !self.0.shares {
            return Vec::new();
        }
        let body = if with_matches { WITH_MATCHES } else { b"" };
        let snapshot = self.0.snapshot();
        let rows = snapshot.rows.iter().filter(|row| libraries.contains(&row.id));
        rows.flat_map(|row| {
            let of = |key: &&str| entry(EntryKind::InvalidItem, &row.library.uuid, key.as_bytes(), body.to_vec());
            keys.iter().map(of)
        })
        .collect()
    }

    /// Entries about events.
    pub fn of_hints(&self, hints: &[LibraryHint]) -> Vec<NewEntry> {
        if !self.0.shares {
            return Vec::new();
        }
        let rows = &self.0.snapshot().rows;
        let mut told = Vec::new();
        for LibraryHint { section, hint, deleted } in hints {
            let is_named = |row: &&LibraryRow| section.as_ref().is_none_or(|section| row.library.section == *section);
            for row in rows.iter().filter(is_named) {
                let uuid = &row.library.uuid;
                let of = |key: &String| entry(EntryKind::InvalidItem, uuid, key.as_bytes(), Vec::new());
                told.extend(deleted.iter().map(of));
                if *hint != Hint::None {
                    told.push(entry(EntryKind::Hint, uuid, b"", vec![*hint as u8]));
                }
            }
        }
        told
    }

    /// Entries about invalidated libraries; `None`: all.
    pub fn of_libraries(&self, library: Option<LibraryId>) -> Vec<NewEntry> {
        if !self.0.shares {
            return Vec::new();
        }
        let snapshot = self.0.snapshot();
        places(Scope::All, snapshot.rows.len())
            .map(|index| &snapshot.rows[index])
            .filter(|row| library.is_none_or(|library| library == row.id))
            .map(|row| entry(EntryKind::InvalidLibrary, &row.library.uuid, b"", Vec::new()))
            .collect()
    }
}

fn entry(kind: EntryKind, library: &str, key: &[u8], body: Vec<u8>) -> NewEntry {
    NewEntry {
        name: EntryName {
            kind,
            library: library.to_owned(),
            key: key.to_vec(),
        },
        body,
    }
}

/// Returns whether a path lies in a folder of the library, as the server has it.
fn is_in_library(row: &LibraryRow, path: &[u8]) -> bool {
    Normal::with(path, |path| {
        row.library.locations.iter().any(|folder| {
            let folder = folder.as_bytes();
            // The form of a path that is no text is not folded.
            if path.is_text() {
                lies_under(path.form(), &normal_form(folder))
            } else {
                lies_under(path.form(), folder)
            }
        })
    })
}
