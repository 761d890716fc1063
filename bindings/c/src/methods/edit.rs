//! The methods `edit`, for batch edits, and `server.scan`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Caller, LibraryName, MethodResult, ok_answer};
use crate::strings::LONGEST_FIELD;
use plexindex::error::{Result, Status, check_length, invalid_argument_error, truncate_for_message};
use plexindex::inside::{ByteString, Edit, Scan};
use plexindex::source::{FieldChange, Lock};
use plexindex::{EditReport, Edited};

/// Sets the same values for many items, with one request per 100 items of a type. Edits nothing if an item does not
/// exist, and stops at the first failed request. plexindex verifies edited items before it returns them again. Without
/// a timeout, a request fails only after `options.read_timeout_ms` without data.
///
/// Returns an answer even after an error, unless the request is invalid. NOT_ON_SERVER: some items do not exist.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditItems {
    /// The library that contains all the items.
    library: LibraryName,
    /// At least one key or rating key; without keys, a server would edit the whole library.
    keys: Vec<String>,
    /// At least one change.
    changes: Vec<EditChange>,
    /// Whether to lock or unlock the changed fields.
    #[serde(default)]
    lock: LockChange,
}

/// A change to one field. If `set`, `add` and `remove` are all absent, only the field's lock changes.
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

/// `lock`: the server's agents do not change the fields. `unlock`: agents can change the fields. `leave`: no change.
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
    /// One state per key, in order. `no`: no request was sent for the item. `done`: the item was edited. `failed`: the
    /// request failed, but the server may have edited the item. `missing`: the server does not have the item.
    states: Vec<Edited>,
    /// Number of edited items.
    done: usize,
    /// Number of keys in the failed request.
    failed: usize,
    /// Number of edit requests, excluding retries.
    requests: u64,
}

/// Runs `edit`: changes fields of many items on the server. Returns each item's result even if the edit failed; the
/// status is then the error.
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

/// Tells the server to scan the folder of each path, with one request for each folder. The mappings translate the paths.
/// The server scans later: wait for the files with `match` and `check`. Refuses a path that no library's folder contains.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanFolders {
    /// Paths of files on this machine or on the server. A path that ends with a separator is a folder.
    paths: Vec<ByteString>,
}

#[derive(Serialize, JsonSchema)]
pub struct ScannedFolders {
    /// One entry per path, in order.
    paths: Vec<ScannedPath>,
}

#[derive(Default, Serialize, JsonSchema)]
pub struct ScannedPath {
    /// The folder that the server scans, as the server writes it; absent if the path was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<ByteString>,
    /// Title of the library.
    #[serde(skip_serializing_if = "Option::is_none")]
    library: Option<String>,
    /// Section id of the library.
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<String>,
    /// Why the path was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Runs `server.scan`: starts scans of folders on the server.
pub fn scan(caller: &Caller<'_>, request: ScanFolders) -> MethodResult<ScannedFolders> {
    let paths: Vec<&[u8]> = request.paths.iter().map(|path| path.0.as_slice()).collect();
    let scans = caller.query(caller.index()?.query(), false)?.scan(&paths)?;
    let refused = "no library has a folder that contains the path: correct the path, or add a mapping";
    let entry = |scan: Scan| match scan.target {
        Some((folder, library)) => ScannedPath {
            folder: Some(ByteString(folder)),
            library: Some(library.title),
            section: Some(library.section),
            message: None,
        },
        None => ScannedPath {
            message: Some(refused.to_owned()),
            ..ScannedPath::default()
        },
    };
    ok_answer(ScannedFolders {
        paths: scans.into_iter().map(entry).collect(),
    })
}

/// Converts a requested change; without `set`, `add` and `remove`, it changes only the field's lock. Fails for a change
/// with more than one of them, and for a text that is too long.
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
        check_length("a field or value in changes", text.len(), LONGEST_FIELD)?;
    }
    Ok(match (set, add, remove) {
        (Some(value), None, None) => FieldChange::set(field, value),
        (None, Some(tag), None) => FieldChange::add(field, tag),
        (None, None, Some(tag)) => FieldChange::remove(field, tag),
        (None, None, None) => FieldChange::keep(field),
        _ => {
            return invalid_argument_error(format!(
                "changes: '{}' has more than one of set, add and remove; use one change for each",
                truncate_for_message(field.as_bytes())
            ));
        }
    })
}
