//! What there is of a database between questions: where it is, and what was read ahead.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use crate::platform::mutex::lock;

use super::ahead::Ahead;
use super::place::Place;
use super::tally::Tally;

/// The library database of a Plex Media Server.
#[derive(Debug)]
pub struct PlexDatabase {
    pub(super) place: Place,
    pub(super) ahead: Mutex<Ahead>,
    pub(super) tally: Mutex<Tally>,
}

impl PlexDatabase {
    /// The database that a host named: the file, its folder, or the folder 'Plex Media Server'. Touches nothing yet.
    #[must_use]
    pub fn new(named: &Path) -> Self {
        Self {
            place: Place::new(named),
            ahead: Mutex::default(),
            tally: Mutex::default(),
        }
    }

    pub(super) fn ahead(&self) -> MutexGuard<'_, Ahead> {
        lock(&self.ahead)
    }

    /// Held for no longer than a look at it takes.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }
}
