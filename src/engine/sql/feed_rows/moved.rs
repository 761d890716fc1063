//! Detects items whose rating keys changed.

use std::collections::HashMap;

use super::page::ItemChange;
use crate::model::{Item, ItemType, LibraryId};

/// Merges a removal and an addition with the same GUID and different rating keys into one change, because Plex gave the
/// item a new key. Keeps the two changes separate if a change between them has one of the keys.
pub fn merge_moves(changes: Vec<ItemChange>) -> Vec<ItemChange> {
    let mut merged: Vec<ItemChange> = Vec::with_capacity(changes.len());
    // `single` contains the last change that only added or only removed an item, by library, type and GUID. `touched`
    // contains the last change for each rating key. Both maps contain indexes into `merged`.
    let mut single: HashMap<(LibraryId, ItemType, String), usize> = HashMap::new();
    let mut touched: HashMap<(LibraryId, String), usize> = HashMap::new();
    for change in changes {
        let library = change.library.id;
        // A change that only adds or only removes an item can be half of a move.
        let single_key = match (&change.was, &change.now) {
            (Some(item), None) | (None, Some(item)) if !item.guid.is_empty() => {
                Some((library, item.kind, item.guid.clone()))
            }
            _ => None,
        };
        let earlier = single_key
            .as_ref()
            .and_then(|single_key| single.get(single_key).copied());
        let pair = earlier.and_then(|at| {
            // One change must only add an item, and the other must only remove an item.
            let was = merged[at].was.as_ref().xor(change.was.as_ref())?;
            let now = merged[at].now.as_ref().xor(change.now.as_ref())?;
            if was.rating_key == now.rating_key {
                return None;
            }
            let is_last = |item: &Item| {
                let last = touched.get(&(library, item.rating_key.clone()));
                last.is_none_or(|last| *last <= at)
            };
            (is_last(was) && is_last(now)).then(|| (at, was.clone(), now.clone()))
        });
        // A merged change takes the place of its first half.
        let at = pair.as_ref().map_or(merged.len(), |(at, ..)| *at);
        for item in change.was.iter().chain(&change.now) {
            touched.insert((library, item.rating_key.clone()), at);
        }
        if let Some((at, was, now)) = pair {
            single_key.and_then(|single_key| single.remove(&single_key));
            (merged[at].was, merged[at].now) = (Some(was), Some(now));
            continue;
        }
        if let Some(single_key) = single_key {
            single.insert(single_key, at);
        }
        merged.push(change);
    }
    merged
}
