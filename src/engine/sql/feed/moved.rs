//! Items that got another key.

use std::collections::HashMap;

use super::page::ItemChange;
use crate::model::{Item, ItemType, LibraryId};

/// Joins each removal and addition with the same GUID and different keys into one change: the item got another key.
/// They stay apart if another change in between has either key.
pub fn merged(changes: Vec<ItemChange>) -> Vec<ItemChange> {
    let mut merged: Vec<ItemChange> = Vec::with_capacity(changes.len());
    // The last change that only added or only removed an item, by library, type and GUID; and the last change of each
    // key.
    let mut single: HashMap<(LibraryId, ItemType, String), usize> = HashMap::new();
    let mut touched: HashMap<(LibraryId, String), usize> = HashMap::new();
    for one in changes {
        let library = one.library.id;
        let only = match (&one.was, &one.now) {
            (Some(item), None) | (None, Some(item)) if !item.guid.is_empty() => {
                Some((library, item.kind, item.guid.clone()))
            }
            _ => None,
        };
        let earlier = only.as_ref().and_then(|only| single.get(only).copied());
        let pair = earlier.and_then(|at| {
            // One of the two is an addition only, the other a removal only.
            let was = merged[at].was.as_ref().xor(one.was.as_ref())?;
            let now = merged[at].now.as_ref().xor(one.now.as_ref())?;
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
        for item in one.was.iter().chain(&one.now) {
            touched.insert((library, item.rating_key.clone()), at);
        }
        if let Some((at, was, now)) = pair {
            only.and_then(|only| single.remove(&only));
            (merged[at].was, merged[at].now) = (Some(was), Some(now));
            continue;
        }
        if let Some(only) = only {
            single.insert(only, at);
        }
        merged.push(one);
    }
    merged
}
