//! Edits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answered, Caller, LibraryName};
use crate::strings::LONGEST_FIELD;
use plexindex::error::{Result, Status, abridged, check_length, refuse};
use plexindex::inside::Edit;
use plexindex::source::{FieldChange, Lock};
use plexindex::{EditReport, Edited};

/// Gives many items the same values, with one request for each hundred items of a type. Sends no request when one of the items
/// does not exist. The first failed request ends the call. Before an edited item is answered again, one request verifies it.
/// Recorded matches stay. Give a deadline: without one a request ends when the server is silent for `options.read_timeout_ms`.
///
/// This call has an answer also when it fails, unless the request is refused. NOT_ON_SERVER: items do not exist. TIMEOUT: the
/// deadline came first.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditItems {
    /// The items' library: one, not all.
    library: LibraryName,
    /// Keys or rating keys. Never empty: a server without keys would edit every item of the library.
    keys: Vec<String>,
    /// The changes. Never empty.
    changes: Vec<EditChange>,
    /// What happens to the locks of the fields that are named.
    #[serde(default)]
    lock: LockChange,
}

/// One change, with `set`, `add`, `remove` or none of them: then only the field's lock changes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditChange {
    /// The field's name, such as `title` or `genre`. The names are Plex's, which ignores those that it does not know.
    field: String,
    /// Its new value.
    set: Option<String>,
    /// A tag to add.
    add: Option<String>,
    /// A tag to remove.
    remove: Option<String>,
}

/// `lock`: the server's agents leave the fields alone. `unlock`: they may change them. `leave`: locks stay as they are.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LockChange {
    #[default]
    Lock,
    Unlock,
    Leave,
}

/// How far an edit came.
#[derive(Serialize, JsonSchema)]
pub struct EditedItems {
    /// For each key, in order. `no`: no request was sent for the item. `done`: it was edited. `failed`: its request failed;
    /// whether it was edited is not known. `missing`: the server has no such item; nothing was edited.
    states: Vec<Edited>,
    /// Keys whose items the server edited.
    done: usize,
    /// Keys of the request that failed.
    failed: usize,
    /// Requests, with the one that failed and without retries.
    requests: u64,
}

pub fn edit(caller: &Caller<'_>, request: EditItems) -> Answered<EditedItems> {
    let library = caller.library(Some(request.library))?;
    let keys: Vec<&str> = request.keys.iter().map(String::as_str).collect();
    let changes = request.changes.into_iter().map(change).collect::<Result<Vec<_>>>()?;
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

fn change(given: EditChange) -> Result<FieldChange> {
    let EditChange {
        field,
        set,
        add,
        remove,
    } = given;
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
                "changes: '{}' has more than one of set, add and remove: make a change of each",
                abridged(field.as_bytes())
            ));
        }
    })
}
