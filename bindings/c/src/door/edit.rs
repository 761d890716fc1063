//! Batch edits: the method `edit`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Caller, LibraryName, MethodResult};
use crate::strings::LONGEST_FIELD;
use plexindex::error::{Result, Status, abridged, check_length, refuse};
use plexindex::inside::Edit;
use plexindex::source::{FieldChange, Lock};
use plexindex::{EditReport, Edited};

/// Gives many items the same values, with one request per hundred items of a type. Sends no request if an item does not
/// exist, and stops at the first failed request. plexindex verifies edited items before it returns them again. Without
/// a deadline, a request fails only after `options.read_timeout_ms` of silence.
///
/// Returns an answer even on failure, unless the request is invalid. NOT_ON_SERVER: items do not exist. TIMEOUT: the
/// deadline passed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditItems {
    /// The library of all the items.
    library: LibraryName,
    /// At least one key or rating key; without keys, a server would edit the whole library.
    keys: Vec<String>,
    /// At least one change.
    changes: Vec<EditChange>,
    /// What happens to the locks of the changed fields.
    #[serde(default)]
    lock: LockChange,
}

/// A change of one field. Without `set`, `add` and `remove`, only the lock changes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditChange {
    /// Plex's field name, such as `title` or `genre`. Plex ignores unknown names.
    field: String,
    /// The new value.
    set: Option<String>,
    /// A tag to add.
    add: Option<String>,
    /// A tag to remove.
    remove: Option<String>,
}

/// `lock`: the server's agents leave the fields alone. `unlock`: agents may change the fields. `leave`: locks do not
/// change.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LockChange {
    #[default]
    Lock,
    Unlock,
    Leave,
}

#[derive(Serialize, JsonSchema)]
pub struct EditedItems {
    /// One state per key, in order. `no`: no request was sent. `done`: edited. `failed`: the request failed; the item
    /// may be edited. `missing`: not on the server.
    states: Vec<Edited>,
    /// Number of edited items.
    done: usize,
    /// Number of keys in the failed request.
    failed: usize,
    /// Requests sent, without retries.
    requests: u64,
}

/// Runs `edit`: changes fields of many items on the server.
pub fn edit(caller: &Caller<'_>, request: EditItems) -> MethodResult<EditedItems> {
    let library = caller.library(Some(request.library))?;
    let keys: Vec<&str> = request.keys.iter().map(String::as_str).collect();
    let changes = request
        .changes
        .into_iter()
        .map(field_change)
        .collect::<Result<Vec<_>>>()?;
    let edit = Edit {
        keys: &keys,
        changes: &changes,
        lock: match request.lock {
            LockChange::Lock => Lock::Lock,
            LockChange::Unlock => Lock::Unlock,
            LockChange::Leave => Lock::Leave,
        },
    };
    let mut report = EditReport::default();
    let edited = caller.query(library.query(), false)?.edit_into(&edit, &mut report);
    let answer = EditedItems {
        done: report.count(Edited::Done),
        failed: report.count(Edited::Failed),
        requests: report.requests,
        states: report.states,
    };
    Ok((answer, edited.map(|()| Status::Ok)))
}

/// Converts a change of a request; rejects more than one of `set`, `add` and `remove`.
fn field_change(change: EditChange) -> Result<FieldChange> {
    let EditChange {
        field,
        set,
        add,
        remove,
    } = change;
    for text in [Some(&field), set.as_ref(), add.as_ref(), remove.as_ref()]
        .into_iter()
        .flatten()
    {
        check_length("a field or value of changes", text.len(), LONGEST_FIELD)?;
    }
    Ok(match (set, add, remove) {
        (Some(value), None, None) => FieldChange::set(field, value),
        (None, Some(tag), None) => FieldChange::add(field, tag),
        (None, None, Some(tag)) => FieldChange::remove(field, tag),
        (None, None, None) => FieldChange::keep(field),
        _ => {
            return refuse(format!(
                "changes: '{}' has more than one of set, add and remove; use one change for each",
                abridged(field.as_bytes())
            ));
        }
    })
}
