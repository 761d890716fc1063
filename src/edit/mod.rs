//! Batch edits: sets the same values for many items, with as few requests as item types and server limits allow.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::{LibraryRow, LibraryRows, Store};
use crate::error::{Error, Result, Status, check_length, no_room, refuse, room};
use crate::events::Events;
use crate::model::{IdentityId, ItemType};
use crate::source::{Deadline, EditRequest, FieldChange, Kind, Lock};
use crate::sync::{Call, Reading, Syncing};

/// Number of items per request. Servers refuse thousands, because of the length of the address; other clients use 100.
const BATCH: usize = 100;
/// Name of the input in error texts.
const KEYS: &str = "keys";
/// Longest name of a field in bytes.
const LONGEST_NAME: usize = 255;
/// Maximum number of items named in an error text.
const NAMED: usize = 5;

/// An edit of items of one library.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    /// Keys or rating keys. Never empty; duplicates are edited once.
    pub keys: &'a [&'a str],
    /// The changes. Never empty.
    pub changes: &'a [FieldChange],
    /// What to do with the locks of the fields.
    pub lock: Lock,
}

/// The result of an edit for one item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Edited {
    /// No request was sent for it.
    #[default]
    No = 0,
    /// The server accepted its request.
    Done = 1,
    /// Its request failed: the edit may have been applied.
    Failed = 2,
    /// The server has no such item: no request was sent at all.
    Missing = 3,
}

enum_names! { Edited: No "no", Done "done", Failed "failed", Missing "missing" }

/// The progress of an edit, whether it succeeded or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EditReport {
    /// The result for each key, in order.
    pub states: Vec<Edited>,
    /// Number of edit requests, including a failed one; retries are not counted.
    pub requests: u64,
}

impl EditReport {
    /// Number of keys in this state.
    #[must_use]
    pub fn count(&self, state: Edited) -> usize {
        self.states.iter().filter(|one| **one == state).count()
    }

    fn set(&mut self, indexes: &[usize], state: Edited) {
        for index in indexes {
            if let Some(one) = self.states.get_mut(*index) {
                *one = state;
            }
        }
    }
}

/// An item to edit, with its indexes in the host's list.
struct EditTarget<'k> {
    rating_key: &'k str,
    indexes: Vec<usize>,
    kind: Option<ItemType>,
}

/// Edits items on the server, and invalidates them in the store.
pub struct Editing {
    store: Arc<Store>,
    reading: Arc<Reading>,
    sync: Arc<Syncing>,
    events: Arc<Events>,
}

impl Editing {
    pub fn new(store: Arc<Store>, reading: Arc<Reading>, sync: Arc<Syncing>, events: Arc<Events>) -> Self {
        Self {
            store,
            reading,
            sync,
            events,
        }
    }

    /// Edits items; `report` has the progress, also after an error.
    pub fn edit_items(&self, call: &Call<'_>, edit: &Edit<'_>, report: &mut EditReport) -> Result<()> {
        let mut states = room(edit.keys.len(), KEYS)?;
        states.resize(edit.keys.len(), Edited::No);
        *report = EditReport { states, requests: 0 };
        check_changes(edit.changes)?;
        let mut targets = edit_targets(self.reading.kind(), edit.keys)?;
        let Some(library) = call.library else {
            return refuse("can edit items of one library at a time only: name the library");
        };
        if !self.sync.may_ask(call) {
            return Err(Error::new(
                Status::Offline,
                "cannot edit: the index has no server_url, or the index or this call is offline",
            ));
        }
        if !self.sync.abilities().is_some_and(|can| can.edits) {
            let kind = self.reading.kind();
            return Err(kind.unsupported("cannot be edited", "it accepts no edits"));
        }
        let (identity, row) = self.sync.find_library(library, "edit items", call)?;
        self.find_kinds(call, &row, &mut targets, report)?;
        let mut kinds: Vec<ItemType> = Vec::new();
        for kind in targets.iter().filter_map(|one| one.kind) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        for kind in kinds {
            let of_kind: Vec<&EditTarget<'_>> = targets.iter().filter(|one| one.kind == Some(kind)).collect();
            for batch in of_kind.chunks(BATCH) {
                self.edit_batch(call, edit, (identity, &row, kind), batch, report)?;
            }
        }
        self.reading.catch_up(call.deadline)
    }

    fn edit_batch(
        &self,
        call: &Call<'_>,
        edit: &Edit<'_>,
        (identity, row, kind): (IdentityId, &LibraryRow, ItemType),
        batch: &[&EditTarget<'_>],
        report: &mut EditReport,
    ) -> Result<()> {
        let ids: Vec<&str> = batch.iter().map(|one| one.rating_key).collect();
        let indexes: Vec<usize> = batch.iter().flat_map(|one| one.indexes.iter().copied()).collect();
        let request = EditRequest {
            section: &row.library.section,
            kind,
            ids: &ids,
            changes: edit.changes,
            lock: edit.lock,
        };
        report.requests += 1;
        self.events.expect_edited(request.section, &ids);
        let done = self.sync.edit(call, &request);
        let state = if done.is_ok() { Edited::Done } else { Edited::Failed };
        report.set(&indexes, state);
        // Also after a failure, since the edit may have been applied.
        let invalidated = LibraryRows(&self.store).invalidate_items(identity, row.id, &ids, Deadline::NONE);
        done.map_err(|error| {
            let (done, all) = (report.count(Edited::Done), report.states.len());
            error.while_doing(&format!(
                "edited {done} of {all} items; the request for {} more ({}) of '{}' failed, and no further request \
                 was sent",
                ids.len(),
                kind.name(),
                row.library.title
            ))
        })?;
        invalidated
    }

    /// Finds the type of each item: in the index, else with a request for the missing ones.
    fn find_kinds(
        &self,
        call: &Call<'_>,
        row: &LibraryRow,
        targets: &mut [EditTarget<'_>],
        report: &mut EditReport,
    ) -> Result<()> {
        let snapshot = self.reading.snapshot();
        let index = snapshot
            .rows
            .iter()
            .position(|own| own.id == row.id && own.generation.is_fetched());
        for target in targets.iter_mut() {
            let item = index.and_then(|index| snapshot.views[index].stored_item(target.rating_key));
            target.kind = item.map(|item| item.kind);
        }
        drop(snapshot);
        self.fetch_kinds(call, row, targets)?;
        check_kinds(row, targets, report)
    }

    /// Requests the items whose type is unknown, and sets it.
    fn fetch_kinds(&self, call: &Call<'_>, row: &LibraryRow, targets: &mut [EditTarget<'_>]) -> Result<()> {
        let unknown = targets.iter().filter(|target| target.kind.is_none());
        let unknown: Vec<&str> = unknown.map(|target| target.rating_key).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let items = self.sync.items(call, &unknown)?;
        let kinds: HashMap<&str, ItemType> = items
            .iter()
            .filter(|located| located.is_in(&row.library.section))
            .map(|located| (located.item.rating_key.as_str(), located.item.kind))
            .collect();
        for target in targets.iter_mut().filter(|target| target.kind.is_none()) {
            target.kind = kinds.get(target.rating_key).copied();
        }
        Ok(())
    }
}

/// Fails if an item has no type that can be edited. Marks items that the library does not have in `report`.
fn check_kinds(row: &LibraryRow, targets: &[EditTarget<'_>], report: &mut EditReport) -> Result<()> {
    let mut missing = Vec::new();
    for target in targets {
        match target.kind {
            Some(ItemType::Other) => {
                return refuse(format!(
                    "item {} is not a film, episode, track, clip or photo: shows, seasons, artists and albums cannot \
                     be edited here",
                    target.rating_key
                ));
            }
            Some(_) => {}
            None => {
                report.set(&target.indexes, Edited::Missing);
                missing.push(target.rating_key);
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let more = missing.len().saturating_sub(NAMED);
    missing.truncate(NAMED);
    Err(Error::new(
        Status::NotOnServer,
        format!(
            "nothing was edited: library '{}' has no item {}{}: leave them out",
            row.library.title,
            missing.join(", "),
            if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            }
        ),
    ))
}

/// Validates the keys and removes duplicates.
fn edit_targets<'k>(kind: &Kind, keys: &[&'k str]) -> Result<Vec<EditTarget<'k>>> {
    if keys.is_empty() {
        return refuse("no items given: nothing was sent, because the server would edit the whole library");
    }
    let mut targets: Vec<EditTarget<'k>> = room(keys.len(), KEYS)?;
    let mut known: HashMap<&str, usize> = HashMap::new();
    known.try_reserve(keys.len()).map_err(|_| no_room(keys.len(), KEYS))?;
    for (index, key) in keys.iter().enumerate() {
        let rating_key = kind.rating_key(key)?;
        let target_index = *known.entry(rating_key).or_insert_with(|| {
            targets.push(EditTarget {
                rating_key,
                indexes: Vec::new(),
                kind: None,
            });
            targets.len() - 1
        });
        if let Some(target) = targets.get_mut(target_index) {
            target.indexes.push(index);
        }
    }
    Ok(targets)
}

fn check_changes(changes: &[FieldChange]) -> Result<()> {
    if changes.is_empty() {
        return refuse("no fields given: give the fields to change, such as title");
    }
    for (index, change) in changes.iter().enumerate() {
        let field = change.field();
        check_length("the name of a field", field.len(), LONGEST_NAME)?;
        let plain =
            field.starts_with(|c: char| c.is_ascii_alphabetic()) && field.chars().all(|c| c.is_ascii_alphanumeric());
        if !plain || matches!(field, "id" | "type") {
            return refuse(format!(
                "'{field}' is not a valid field name: give Plex's name, such as title, summary, genre or label"
            ));
        }
        let before = || changes.iter().take(index).filter(|one| one.field() == field);
        let twice = match change {
            FieldChange::Set { .. } => before().any(|one| !matches!(one, FieldChange::Keep { .. })),
            FieldChange::Add { .. } | FieldChange::Remove { .. } => {
                before().any(|one| matches!(one, FieldChange::Set { .. }))
            }
            FieldChange::Keep { .. } => false,
        };
        if twice {
            return refuse(format!(
                "field '{field}' has two values: give one, or tags to add and to remove"
            ));
        }
        if let FieldChange::Add { tag, .. } | FieldChange::Remove { tag, .. } = change
            && tag.trim().is_empty()
        {
            return refuse(format!("a tag of '{field}' is empty: omit it"));
        }
    }
    Ok(())
}
