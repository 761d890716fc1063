//! Finds items that got another key.

use std::collections::HashMap;

use super::page::ItemChange;
use crate::model::{Item, ItemType, LibraryId};

/// Joins a removal and an addition with the same GUID and different keys into one change, because the item got another
/// key. They stay separate if a change between them has either key.
pub fn merged(changes: Vec<ItemChange>) -> Vec<ItemChange> {
    let mut merged: Vec<ItemChange> = Vec::with_capacity(changes.len());
    // The last change that only added or only removed an item, by library, type and GUID; and the last change of each
    // key.
    let mut single: HashMap<(LibraryId, ItemType, String), usize> = HashMap::new();
    let mut touched: HashMap<(LibraryId, String), usize> = HashMap::new();
    for change in changes {
        let library = change.library.id;
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
            // One of the two must be only an addition, the other only a removal.
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
