//! Entries for the log that hosts share, about what this host writes.
//!
//! Paths are each host's own. A path is told in the server's spelling: as a mapping rewrites it, or as it is where the
//! item lists this very path. Any other path stays here: it may be another file on another host.

use std::borrow::Cow;

use super::data::places;
use super::reading::Reading;
use crate::engine::sql::{LibraryHint, LibraryRow};
use crate::error::Result;
use crate::matching::{Normal, Resolver, Scope};
use crate::model::{Hint, LibraryId, MatchKind};
use crate::shared::bodies::entry;
use crate::shared::{EntryKind, NewEntry};

/// The body of an invalidated item whose matches are removed too.
const WITH_MATCHES: &[u8] = b"1";

impl Reading {
    /// The path in the server's spelling; `None` if it is this host's own. `key`: the item that it is of.
    fn server_spelling(&self, row: &LibraryRow, path: &[u8], key: &str) -> Result<Option<Vec<u8>>> {
        if let Some(mapped) = self.mapped(path) {
            return Ok(Some(mapped));
        }
        Ok(self.lists(row, path, key)?.then(|| path.to_vec()))
    }

    /// The path as the first mapping that fits rewrites it.
    fn mapped(&self, path: &[u8]) -> Option<Vec<u8>> {
        Normal::with(path, |path| {
            self.mappings.to_server(path, |mapped| Some(mapped.to_vec()))
        })
    }

    /// Returns whether the item lists this very path.
    pub fn lists(&self, row: &LibraryRow, path: &[u8], key: &str) -> Result<bool> {
        let item = self.store.item(row.id, row.generation, key)?;
        Ok(item.is_some_and(|item| item.parts.iter().any(|part| part.as_bytes() == path)))
    }

    /// This host's spelling of a path that another host told; `None` if it says nothing about a file of this host.
    /// `key`: the item that it is of, if it is of one.
    pub fn own_spelling<'p>(
        &self,
        row: &LibraryRow,
        path: &'p [u8],
        key: Option<&str>,
    ) -> Result<Option<Cow<'p, [u8]>>> {
        let own = self.mappings.host_path(path);
        if *own != *path {
            return Ok(Some(own));
        }
        match key {
            Some(key) => Ok(self.lists(row, path, key)?.then_some(own)),
            None => Ok(Some(own)),
        }
    }

    /// The rating key that is recorded for a path.
    pub fn confirmed_key(&self, library: LibraryId, path: &[u8]) -> Option<String> {
        let snapshot = self.snapshot();
        let index = snapshot.rows.iter().position(|row| row.id == library)?;
        let resolved = Resolver::new(&snapshot.views, Scope::One(index), &self.mappings).resolve(path);
        let found = resolved
            .single()
            .filter(|_| resolved.match_kind == MatchKind::Confirmed)?;
        Some(found.item.rating_key.to_owned())
    }

    /// Entries about recorded matches.
    pub fn tell_matches(&self, row: &LibraryRow, pairs: &[(&[u8], &str)]) -> Result<Vec<NewEntry>> {
        if !self.shares {
            return Ok(Vec::new());
        }
        let mut told = Vec::new();
        for (path, key) in pairs {
            if let Some(path) = self.server_spelling(row, path, key)? {
                told.push(entry(
                    EntryKind::Match,
                    &row.library.uuid,
                    &path,
                    key.as_bytes().to_vec(),
                ));
            }
        }
        Ok(told)
    }

    /// Entries about invalidated paths: those of mappings, and those of items. Any other is of this host alone.
    pub(super) fn tell_paths(
        &self,
        row: &LibraryRow,
        paths: &[&[u8]],
        is_item: impl Fn(&[u8]) -> Result<bool>,
    ) -> Result<Vec<NewEntry>> {
        let mut told = Vec::new();
        for path in paths.iter().filter(|_| self.shares) {
            let path = match self.mapped(path) {
                Some(mapped) => mapped,
                None if is_item(path)? => path.to_vec(),
                None => continue,
            };
            told.push(entry(EntryKind::InvalidPath, &row.library.uuid, &path, Vec::new()));
        }
        Ok(told)
    }

    /// Entries about invalidated items. `with_matches`: their matches are removed too.
    pub fn tell_items(&self, libraries: &[LibraryId], keys: &[&str], with_matches: bool) -> Vec<NewEntry> {
        if !self.shares {
            return Vec::new();
        }
        let body = if with_matches { WITH_MATCHES } else { b"" };
        let snapshot = self.snapshot();
        let rows = snapshot.rows.iter().filter(|row| libraries.contains(&row.id));
        rows.flat_map(|row| {
            let of = |key: &&str| entry(EntryKind::InvalidItem, &row.library.uuid, key.as_bytes(), body.to_vec());
            keys.iter().map(of)
        })
        .collect()
    }

    /// Entries about events.
    pub fn tell_hints(&self, hints: &[LibraryHint]) -> Vec<NewEntry> {
        if !self.shares {
            return Vec::new();
        }
        let rows = &self.snapshot().rows;
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
    pub(super) fn tell_libraries(&self, library: Option<LibraryId>) -> Vec<NewEntry> {
        if !self.shares {
            return Vec::new();
        }
        let snapshot = self.snapshot();
        places(Scope::All, snapshot.rows.len())
            .map(|index| &snapshot.rows[index])
            .filter(|row| library.is_none_or(|library| library == row.id))
            .map(|row| entry(EntryKind::InvalidLibrary, &row.library.uuid, b"", Vec::new()))
            .collect()
    }
}
