//! Converts edits from C, and reports to C.

use std::mem::{offset_of, size_of};

use super::constants as c;
use super::handles::library;
use super::query::within;
use super::strings::{LONGEST_FIELD, check_reserved, decoded, fill, null, sized, split};
use super::types;
use plexindex::error::{Result, abridged, check_length, refuse, room};
use plexindex::inside::Edit;
use plexindex::source::{FieldChange, Lock};
use plexindex::{EditReport, Edited, Library, Query};

/// A validated edit.
pub struct CheckedEdit<'h> {
    query: Query<'h>,
    keys: Vec<&'h str>,
    changes: Vec<FieldChange>,
    lock: Lock,
}

/// # Safety
/// `given` must be NULL or valid, and its library one of an open index.
pub unsafe fn edit<'h>(given: *const types::EditRecord) -> Result<CheckedEdit<'h>> {
    // Taken apart field by field: a new one that is not handled does not compile.
    // SAFETY: the caller's promise.
    let types::EditRecord {
        size: _,
        library: of,
        keys,
        keys_count,
        changes,
        changes_count,
        deadline_ms,
        lock,
        reserved,
    } = unsafe { sized(given, offset_of!(types::EditRecord, deadline_ms), "edit") }?;
    check_reserved(reserved, "edit")?;
    // SAFETY: the caller's promise, for all of these.
    let (library, keys, changes) = unsafe { (library(of)?, keys.get("edit.keys")?, changes.get("edit.changes")?) };
    let Some(pairs) = changes_count.checked_mul(2) else {
        return refuse(format!("edit.changes_count is {changes_count}"));
    };
    let changes = texts(changes, pairs, "edit.changes")?;
    Ok(CheckedEdit {
        query: within(Library::query(library), deadline_ms, "edit.deadline_ms")?,
        keys: texts(keys, keys_count, "edit.keys")?,
        changes: changes
            .chunks_exact(2)
            .map(|pair| change(pair[0], pair[1]))
            .collect::<Result<_>>()?,
        lock: match lock {
            c::PLEXINDEX_EDIT_LOCK => Lock::Lock,
            c::PLEXINDEX_EDIT_UNLOCK => Lock::Unlock,
            c::PLEXINDEX_EDIT_LEAVE => Lock::Leave,
            other => return refuse(format!("edit.lock is {other}: give one of PLEXINDEX_EDIT_*")),
        },
    })
}

fn texts<'h>(block: &'h [u8], count: usize, what: &str) -> Result<Vec<&'h str>> {
    let mut texts = room(count, what)?;
    for text in split(block, count, what)? {
        texts.push(decoded(text, what)?);
    }
    Ok(texts)
}

fn change(name: &str, value: &str) -> Result<FieldChange> {
    for text in [name, value] {
        check_length("a name or value of edit.changes", text.len(), LONGEST_FIELD)?;
    }
    let value = || value.to_owned();
    Ok(match name.split_at_checked(name.len().saturating_sub(1)) {
        Some((field, "+")) => FieldChange::add(field, value()),
        Some((field, "-")) => FieldChange::remove(field, value()),
        Some((field, "!")) if value().is_empty() => FieldChange::keep(field),
        Some((_, "!")) => {
            return refuse(format!(
                "edit.changes: '{}' changes a lock and takes no value, but one was given",
                abridged(name.as_bytes())
            ));
        }
        _ => FieldChange::set(name, value()),
    })
}

/// Edits the items, and fills in the report, also after an error.
///
/// # Safety
/// `report` must be NULL or valid.
pub unsafe fn run(given: &CheckedEdit<'_>, report: *mut types::EditReportRecord) -> Result<()> {
    // Checked before anything is sent.
    let place = if report.is_null() {
        None
    } else {
        // SAFETY: the caller's promise.
        Some(unsafe { sized(report.cast_const(), size_of::<usize>(), "out_report") }?)
    };
    if let Some(types::EditReportRecord {
        states,
        states_capacity,
        ..
    }) = place
        && states.is_null()
        && states_capacity > 0
    {
        return Err(null("out_report.states"));
    }
    let mut seen = EditReport::default();
    let edit = Edit {
        keys: &given.keys,
        changes: &given.changes,
        lock: given.lock,
    };
    let edited = given.query.edit_into(&edit, &mut seen);
    if let Some(place) = place {
        // SAFETY: the caller's promise.
        unsafe { tell(&seen, place, report) };
    }
    edited
}

/// # Safety
/// `report` must be valid for the size that `given`, its copy, says.
unsafe fn tell(seen: &EditReport, given: types::EditReportRecord, report: *mut types::EditReportRecord) {
    let count = |state| u64::try_from(seen.count(state)).unwrap_or(u64::MAX);
    let filled = types::EditReportRecord {
        done: count(Edited::Done),
        failed: count(Edited::Failed),
        requests: seen.requests,
        ..given
    };
    for (at, state) in seen.states.iter().enumerate().take(given.states_capacity) {
        // SAFETY: the caller says that there is room for so many.
        unsafe { given.states.add(at).write(*state as u8) };
    }
    // SAFETY: the caller's promise.
    unsafe { fill(&filled, report, given.size) };
}
