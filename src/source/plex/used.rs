//! Items that are needed no more, while a library is listed: the next page is read into their memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::Item;

/// How many lists are kept: what is under way between reading and storing.
const KEPT: usize = 16;

/// `None`: nothing is listed, and none is kept.
#[derive(Default)]
pub(super) struct Used(pub(super) Mutex<Option<Kept>>);

#[derive(Default)]
pub(super) struct Kept {
    items: Vec<Vec<Item>>,
    /// Lists without items, whose memory is as large as pages are: the system gives and takes it page by page.
    rooms: Vec<Vec<Item>>,
}

impl Used {
    /// Some that are there, and a list for new ones. From now on more are taken.
    pub fn begin(&self) -> (Vec<Item>, Vec<Item>) {
        let mut kept = self.kept();
        let kept = kept.get_or_insert_default();
        let mut one = |of: fn(&mut Kept) -> &mut Vec<Vec<Item>>| of(kept).pop().unwrap_or_default();
        (one(|kept| &mut kept.items), one(|kept| &mut kept.rooms))
    }

    /// Takes some, or a list without any.
    pub fn give(&self, items: Vec<Item>) {
        if let Some(kept) = &mut *self.kept() {
            let lists = if items.is_empty() {
                &mut kept.rooms
            } else {
                &mut kept.items
            };
            if lists.len() < KEPT && items.capacity() > 0 {
                lists.push(items);
            }
        }
    }

    /// The last page was read.
    pub fn end(&self) {
        *self.kept() = None;
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
