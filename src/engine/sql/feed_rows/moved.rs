//! Detects items whose rating keys changed.

use std::collections::HashMap;

use super::page::ItemChange;
use crate::model::{Item, ItemType, LibraryId};

/// Returns the changes, with one change instead of a removal and an addition with the same GUID and different rating
/// keys, because Plex gave the item a new key. Keeps both changes if a change between them has one of the keys.
pub fn merge_moves(changes: Vec<ItemChange>) -> Vec<ItemChange> {
    let mut merged: Vec<ItemChange> = Vec::with_capacity(changes.len());
    // `half_moves` contains the last change that only added or only removed an item, by library, type and GUID.
    // `last_changes` contains the last change for each rating key. Both maps contain indexes into `merged`.
    let mut half_moves: HashMap<(LibraryId, ItemType, String), usize> = HashMap::new();
    let mut last_changes: HashMap<(LibraryId, String), usize> = HashMap::new();
    for change in changes {
        let library = change.library.id;
        // A change that only adds or only removes an item can be half of a move.
        let guid_key = match (&change.was, &change.now) {
            (Some(item), None) | (None, Some(item)) if !item.guid.is_empty() => {
                Some((library, item.kind, item.guid.clone()))
            }
            _ => None,
        };
        let first_half = guid_key.as_ref().and_then(|guid_key| half_moves.get(guid_key).copied());
        let move_found = first_half.and_then(|index| {
            // One change must only add an item, and the other must only remove an item.
            let removed = merged[index].was.as_ref().xor(change.was.as_ref())?;
            let added = merged[index].now.as_ref().xor(change.now.as_ref())?;
            if removed.rating_key == added.rating_key {
                return None;
            }
            let is_last = |item: &Item| {
                let last = last_changes.get(&(library, item.rating_key.clone()));
                last.is_none_or(|last| *last <= index)
            };
            (is_last(removed) && is_last(added)).then(|| (index, removed.clone(), added.clone()))
        });
        // A merged change takes the place of its first half.
        let index = move_found.as_ref().map_or(merged.len(), |(index, ..)| *index);
        for item in change.was.iter().chain(&change.now) {
            last_changes.insert((library, item.rating_key.clone()), index);
        }
        if let Some((index, removed, added)) = move_found {
            guid_key.and_then(|guid_key| half_moves.remove(&guid_key));
            (merged[index].was, merged[index].now) = (Some(removed), Some(added));
            continue;
        }
        if let Some(guid_key) = guid_key {
            half_moves.insert(guid_key, index);
        }
        merged.push(change);
    }
    merged
}
