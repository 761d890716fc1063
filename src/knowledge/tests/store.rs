//! What is stored of the library, and how it is written.

use super::super::*;
use super::server::{KEYS, Shape};

#[derive(Clone, Hash)]
pub struct Store {
    pub shape: Shape,
    pub knowledge: Knowledge,
    pub doubts: Vec<Doubt>,
    pub base: [Option<u8>; KEYS],
    pub rows: [Option<StoredItem<u8>>; KEYS],
    /// Where the next delta begins.
    pub cursor: u8,
    /// Number of items after the last delta or listing.
    pub told: usize,
    /// The last ticket.
    pub last: Ticket,
}

pub fn key_of(index: usize) -> String {
    ["0", "1"][index].to_owned()
}

pub fn index_of(key: &str) -> usize {
    usize::from(key == "1")
}

impl ItemStore<u8> for Store {
    fn get(&self, rating_key: &str) -> StoredItem<u8> {
        self.item(index_of(rating_key))
    }

    fn singles(&self) -> Vec<(String, StoredItem<u8>)> {
        let row = |key: usize| Some((key_of(key), self.rows[key].clone()?));
        (0..KEYS).filter_map(row).collect()
    }

    fn rivals(&self, rating_key: &str, value: &u8) -> Vec<String> {
        let key = index_of(rating_key);
        let is_rival = |other: &usize| *other != key && self.path(*other) == Some(self.shape.path(key, *value));
        (0..KEYS).filter(is_rival).map(key_of).collect()
    }
}

impl Store {
    pub fn item(&self, key: usize) -> StoredItem<u8> {
        self.rows[key].clone().unwrap_or(StoredItem {
            value: self.base[key],
            interval: self.knowledge.base,
            is_single: false,
        })
    }

    pub fn content(&self, key: usize) -> Option<u8> {
        self.item(key).value
    }

    /// The path at which an item is answered.
    pub fn path(&self, key: usize) -> Option<usize> {
        Some(self.shape.path(key, self.content(key)?))
    }

    pub fn commit(&mut self) -> Ticket {
        self.last.0 += 1;
        self.last
    }

    pub fn raise(&mut self, doubt: Doubt) {
        let mut doubts = self.doubts.iter_mut();
        match doubts.find(|old| old.scope == doubt.scope && old.cause == doubt.cause) {
            Some(old) => old.merge(&doubt),
            None => self.doubts.push(doubt),
        }
    }

    /// Writes what `fold` says, in one commit. `listed`: the observed listing.
    pub fn write(&mut self, effects: Effects<u8>, listed: [Option<u8>; KEYS]) {
        self.knowledge = effects.knowledge;
        self.doubts.retain(|doubt| !effects.end.contains(doubt));
        effects.raise.into_iter().for_each(|doubt| self.raise(doubt));
        if effects.publishes {
            (self.base, self.rows) = (listed, [None, None]);
        }
        for (key, row) in effects.put {
            self.rows[index_of(&key)] = Some(row);
        }
        let items = (0..KEYS).filter(|key| self.content(*key).is_some()).count() as u64;
        if let Some(listing) = &mut self.knowledge.listing {
            listing.items = items;
        }
    }

    pub fn evict(&mut self) {
        let at = self.commit();
        self.knowledge.discard_listing(at);
        (self.base, self.rows) = ([None; KEYS], [None, None]);
    }

    /// Moves rows into the listing's segment. `unfinished`: when an unfinished listing began.
    pub fn compact(&mut self, unfinished: Option<Ticket>) {
        for key in 0..KEYS {
            let Some(row) = &self.rows[key] else { continue };
            let is_old = unfinished.is_none_or(|begun| row.interval.came < begun);
            if self.knowledge.listing.is_some() && is_old && self.knowledge.had_at_last_sync(row) {
                self.base[key] = row.value;
                self.knowledge.compact(row.interval.came);
                self.rows[key] = None;
            }
        }
    }
}
