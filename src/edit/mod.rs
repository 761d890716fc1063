//! Batch edits, which set the same values for many items with few requests.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::{LibraryRow, LibraryRows};
use crate::error::{
    Error, Result, Status, check_length, invalid_argument_error, out_of_memory_error, try_with_capacity,
};
use crate::events::Events;
use crate::matching::{Mappings, NormalPath, Relation};
use crate::model::{ItemType, Library};
use crate::source::{Deadline, EditRequest, FieldChange, Lock, SourceKind};
use crate::sync::{Call, IndexReader, Synchronizer};

/// Maximum number of items per request. Servers reject requests with thousands of items, because the URL is too long;
/// other clients send 100.
const ITEMS_PER_REQUEST: usize = 100;
const KEYS: &str = "keys"; // the item list's name in error messages
const MAX_FIELD_NAME: usize = 255;
const MAX_NAMED: usize = 5; // items in an error message

/// An edit of items in one library.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    /// At least one key or rating key. plexindex edits an item with duplicate keys once.
    pub keys: &'a [&'a str],
    /// At least one change of a field.
    pub changes: &'a [FieldChange],
    /// Whether to lock or unlock the fields.
    pub lock: Lock,
}

/// The result of an edit for one item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Edited {
    /// plexindex sent no request for the item.
    #[default]
    No = 0,
    /// The server accepted the request.
    Done = 1,
    /// The request failed, but the server may have edited the item.
    Failed = 2,
    /// The server does not have the item. plexindex edited nothing.
    Missing = 3,
}

enum_names! { Edited: No "no", Done "done", Failed "failed", Missing "missing" }

/// The result of an edit for each item, available even after an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EditReport {
    /// The result for each key, in order.
    pub states: Vec<Edited>,
    /// Number of edit requests, including a failed request but excluding retries.
    pub requests: u64,
}

impl EditReport {
    /// Returns the number of keys with this state.
    #[must_use]
    pub fn count(&self, state: Edited) -> usize {
        self.states.iter().filter(|other| **other == state).count()
    }

    /// Sets the state of the keys at these indexes in the host's list of keys.
    fn set_states(&mut self, indexes: &[usize], state: Edited) {
        for index in indexes {
            if let Some(slot) = self.states.get_mut(*index) {
                *slot = state;
            }
        }
    }
}

struct EditTarget<'k> {
    rating_key: &'k str,
    indexes: Vec<usize>,         // of the item's key in the host's list, which can contain duplicates
    item_type: Option<ItemType>, // `None` until it is known
}

/// Edits items on the server, and invalidates them in the store.
pub struct Editing {
    reading: Arc<IndexReader>,
    sync: Arc<Synchronizer>,
    events: Arc<Events>,
}

/// What became of a path in [`Query::scan`](crate::Query::scan).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scan {
    /// The server's folder that the server was told to scan, as the server writes it, and the library that contains it.
    /// `None` if no library's folder contains the path.
    pub target: Option<(Vec<u8>, Library)>,
}

impl Editing {
    pub fn new(reading: Arc<IndexReader>, sync: Arc<Synchronizer>, events: Arc<Events>) -> Self {
        Self { reading, sync, events }
    }

    /// Edits items of one library on the server. Sets `report` to the result for each item, even if the edit fails. The
    /// first failed request ends the edit.
    pub fn edit_items(&self, call: &Call<'_>, edit: &Edit<'_>, report: &mut EditReport) -> Result<()> {
        let mut states = try_with_capacity(edit.keys.len(), KEYS)?;
        states.resize(edit.keys.len(), Edited::No);
        *report = EditReport { states, requests: 0 };
        // Reject an invalid edit before the first request.
        check_changes(edit.changes)?;
        let mut targets = edit_targets(self.reading.kind(), edit.keys)?;
        let Some(library) = call.library else {
            return invalid_argument_error("cannot edit items of all libraries at once: specify one library");
        };
        self.sync.check_online(call, "edit items")?;
        if !self.sync.capabilities().is_some_and(|can| can.edits) {
            let kind = self.reading.kind();
            return Err(kind.unsupported("cannot be edited", "it accepts no edits"));
        }
        let (_, row) = self.sync.find_library(library, "edit items", call)?;
        // Edit each type of item separately, since a request can contain only one type.
        self.find_types(call, &row, &mut targets, report)?;
        let mut kinds: Vec<ItemType> = Vec::new();
        for kind in targets.iter().filter_map(|target| target.item_type) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        for kind in kinds {
            let targets_of_kind: Vec<&EditTarget<'_>> =
                targets.iter().filter(|target| target.item_type == Some(kind)).collect();
            for batch in targets_of_kind.chunks(ITEMS_PER_REQUEST) {
                self.edit_batch(call, edit, (&row, kind), batch, report)?;
            }
        }
        self.reading.catch_up(call.deadline)
    }

    /// Tells the server to scan the folder of each path, with one request for each folder. A path that ends with a
    /// separator is a folder, and other paths are files. The mappings translate the paths. A path that no library's
    /// folder contains is left out, after a look at the server's current libraries. Fails at the first failed request.
    pub fn scan(&self, call: &Call<'_>, paths: &[&[u8]]) -> Result<Vec<Scan>> {
        self.sync.check_online(call, "start a scan")?;
        if !self.sync.capabilities().is_some_and(|can| can.edits) {
            let kind = self.reading.kind();
            return Err(kind.unsupported("cannot scan folders", "it accepts no requests"));
        }
        self.reading.catch_up(call.deadline)?;
        let find_all = || -> Vec<Scan> {
            let snapshot = self.reading.snapshot();
            let find = |path: &&[u8]| scan_target(path, &snapshot.rows, self.reading.mappings());
            paths.iter().map(|path| Scan { target: find(path) }).collect()
        };
        let mut scans = find_all();
        if scans.iter().any(|scan| scan.target.is_none()) {
            self.sync.probe(call, self.reading.snapshot().probed_at())?;
            self.reading.catch_up(call.deadline)?;
            scans = find_all();
        }
        let mut sent: Vec<(&[u8], &str)> = Vec::new();
        for (folder, library) in scans.iter().filter_map(|scan| scan.target.as_ref()) {
            if !sent.contains(&(folder, &library.section)) {
                self.sync
                    .job(call, |job| job.source.scan(&library.section, folder, job.bounds))?;
                sent.push((folder, &library.section));
            }
        }
        Ok(scans)
    }

    /// Edits items of one type with one request, and invalidates the items in the store, so that plexindex verifies
    /// them before it returns them again. `row`: the library. `batch` has at most [`ITEMS_PER_REQUEST`] items.
    fn edit_batch(
        &self,
        call: &Call<'_>,
        edit: &Edit<'_>,
        (row, kind): (&LibraryRow, ItemType),
        batch: &[&EditTarget<'_>],
        report: &mut EditReport,
    ) -> Result<()> {
        let ids: Vec<&str> = batch.iter().map(|target| target.rating_key).collect();
        let indexes: Vec<usize> = batch.iter().flat_map(|target| target.indexes.iter().copied()).collect();
        let request = EditRequest {
            section: &row.library.section,
            kind,
            rating_keys: &ids,
            changes: edit.changes,
            lock: edit.lock,
        };
        // If the store is locked, fails before the edit.
        let rows = LibraryRows(&self.reading.store);
        rows.invalidate_items(row.id, &ids, call.deadline)?;
        report.requests += 1;
        // The edit itself causes events, which need no refresh.
        self.events.ignore_events_of(request.section, &ids);
        let edited = self.sync.job(call, |job| job.source.edit(&request, job.bounds));
        let state = if edited.is_ok() { Edited::Done } else { Edited::Failed };
        report.set_states(&indexes, state);
        // Invalidates the items even after a failure, since the server may have edited them, and without a deadline: a
        // reply from before the edit may have ended the first invalidation.
        let invalidated = rows.invalidate_items(row.id, &ids, Deadline::NONE);
        edited.map_err(|error| {
            let (done, all) = (report.count(Edited::Done), report.states.len());
            error.with_operation(&format!(
                "edited {done} of {all} items, then stopped: the request for {} items ({}) in '{}' failed",
                ids.len(),
                kind.name(),
                row.library.title
            ))
        })?;
        invalidated
    }

    /// Sets the type of each item in `targets`, which an edit request must contain: first from the listing of the
    /// library `row`, then with one request for the remaining items. Fails if an item does not exist or has a type that
    /// cannot be edited. Marks missing items in `report`.
    fn find_types(
        &self,
        call: &Call<'_>,
        row: &LibraryRow,
        targets: &mut [EditTarget<'_>],
        report: &mut EditReport,
    ) -> Result<()> {
        let snapshot = self.reading.snapshot();
        let library = snapshot
            .rows
            .iter()
            .position(|other| other.id == row.id && other.generation.is_fetched());
        for target in targets.iter_mut() {
            let item = library.and_then(|library| snapshot.libraries[library].stored_item(target.rating_key));
            target.item_type = item.map(|item| item.kind);
        }
        drop(snapshot);
        self.fetch_types(call, row, targets)?;
        check_types(row, targets, report)
    }

    /// Requests from the server the items whose type is unknown, and sets their types. An item that the library `row`
    /// does not have keeps the type `None`.
    fn fetch_types(&self, call: &Call<'_>, row: &LibraryRow, targets: &mut [EditTarget<'_>]) -> Result<()> {
        let unknown = targets.iter().filter(|target| target.item_type.is_none());
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
        for target in targets.iter_mut().filter(|target| target.item_type.is_none()) {
            target.item_type = kinds.get(target.rating_key).copied();
        }
        Ok(())
    }
}

/// Returns the server's folder to scan for a path, and the first library that contains the folder: tries the path as it
/// is, and then as each mapping rewrites it.
fn scan_target(path: &[u8], rows: &[LibraryRow], mappings: &Mappings) -> Option<(Vec<u8>, Library)> {
    let find = |raw: &[u8]| {
        let end = raw.iter().rposition(|byte| matches!(byte, b'/' | b'\\'))?;
        let folder = &raw[..end];
        let contains = |row: &&LibraryRow| {
            row.library.locations.iter().any(|location| {
                let relation = NormalPath::with(folder, |folder| Relation::of(folder, location.as_bytes()));
                relation.is_equal || relation.is_under
            })
        };
        let row = rows.iter().find(contains)?;
        Some((folder.to_vec(), row.library.clone()))
    };
    find(path).or_else(|| NormalPath::with(path, |path| mappings.to_server(path, find)))
}

/// Fails if an item is missing or has a type that the server cannot edit. Marks missing items in `report`. `row`: the
/// items' library, for the message.
fn check_types(row: &LibraryRow, targets: &[EditTarget<'_>], report: &mut EditReport) -> Result<()> {
    let mut missing = Vec::new();
    for target in targets {
        match target.item_type {
            Some(ItemType::Other) => {
                return invalid_argument_error(format!(
                    "cannot edit item {}: it is not a movie, episode, track, clip or photo",
                    target.rating_key
                ));
            }
            Some(_) => {}
            None => {
                report.set_states(&target.indexes, Edited::Missing);
                missing.push(target.rating_key);
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    // Name only the first missing items, to keep the message short.
    let unnamed = missing.len().saturating_sub(MAX_NAMED);
    missing.truncate(MAX_NAMED);
    Err(Error::new(
        Status::NotOnServer,
        format!(
            "edited nothing: library '{}' has no item {}{}; omit missing items",
            row.library.title,
            missing.join(", "),
            if unnamed > 0 {
                format!(" and {unnamed} more")
            } else {
                String::new()
            }
        ),
    ))
}

/// Validates the keys, and returns one target per item, in the order of the keys. A duplicate key adds its index to the
/// item's target, so that the server edits the item once. The targets have no item type yet.
fn edit_targets<'k>(kind: &SourceKind, keys: &[&'k str]) -> Result<Vec<EditTarget<'k>>> {
    if keys.is_empty() {
        return invalid_argument_error(
            "the list of items is empty, so the server would edit the whole library: specify at least one item",
        );
    }
    let mut targets: Vec<EditTarget<'k>> = try_with_capacity(keys.len(), KEYS)?;
    let mut target_indexes: HashMap<&str, usize> = HashMap::new();
    target_indexes
        .try_reserve(keys.len())
        .map_err(|_| out_of_memory_error(keys.len(), KEYS))?;
    for (key_index, key) in keys.iter().enumerate() {
        let rating_key = kind.rating_key(key)?;
        let target_index = *target_indexes.entry(rating_key).or_insert_with(|| {
            targets.push(EditTarget {
                rating_key,
                indexes: Vec::new(),
                item_type: None,
            });
            targets.len() - 1
        });
        if let Some(target) = targets.get_mut(target_index) {
            target.indexes.push(key_index);
        }
    }
    Ok(targets)
}

/// Fails without changes, for an invalid field name or empty tag, or if two changes of a field contradict each other.
fn check_changes(changes: &[FieldChange]) -> Result<()> {
    if changes.is_empty() {
        return invalid_argument_error("the list of fields is empty: give the fields to change, such as title");
    }
    for (index, change) in changes.iter().enumerate() {
        let field = change.field();
        check_length("the name of a field", field.len(), MAX_FIELD_NAME)?;
        let is_identifier =
            field.starts_with(|c: char| c.is_ascii_alphabetic()) && field.chars().all(|c| c.is_ascii_alphanumeric());
        // The request itself uses the parameter names `id` and `type`.
        if !is_identifier || matches!(field, "id" | "type") {
            return invalid_argument_error(format!(
                "'{field}' is not a valid field name: give Plex's name, such as title, summary, genre or label"
            ));
        }
        // A field has either one value, or any number of tags to add and remove. `Keep` changes only the lock.
        let earlier_changes = || changes.iter().take(index).filter(|earlier| earlier.field() == field);
        let contradicts_earlier = match change {
            FieldChange::Set { .. } => earlier_changes().any(|earlier| !matches!(earlier, FieldChange::Keep { .. })),
            FieldChange::Add { .. } | FieldChange::Remove { .. } => {
                earlier_changes().any(|earlier| matches!(earlier, FieldChange::Set { .. }))
            }
            FieldChange::Keep { .. } => false,
        };
        if contradicts_earlier {
            return invalid_argument_error(format!(
                "field '{field}' has two values: give one value, or only tags to add and remove"
            ));
        }
        if let FieldChange::Add { tag, .. } | FieldChange::Remove { tag, .. } = change
            && tag.trim().is_empty()
        {
            return invalid_argument_error(format!("a tag of '{field}' is empty: omit the tag"));
        }
    }
    Ok(())
}
