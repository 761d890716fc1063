//! The connections of a store, and of the other stores of this process in the same folder.

use std::any::Any;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use super::connection::{ConnectionRole, LazyConnection, WalIdentity};
use super::folder::StoreFolder;
use crate::platform::fork::{self, Forks, Release};
use crate::platform::mutex::{lock, try_lock};

/// The two connections of a store, so that a reader never waits for a writer of the same process.
pub struct Connections {
    pub reader: Mutex<LazyConnection>,
    pub writer: Mutex<LazyConnection>,
    pub here: Arc<FolderConnections>,
}

/// State shared by the stores of this process in one folder.
pub struct FolderConnections {
    path: Box<Path>,
    pub journal: Arc<WalIdentity>,
    /// This lock is held only while a store is added, or under the lock of a connection. A fork takes those locks
    /// first, so it finds this one free.
    all: Mutex<Vec<Weak<Connections>>>,
}

impl Connections {
    /// Makes the connections of a store, and registers them with others of this process in the same folder.
    pub fn new(folder: &StoreFolder) -> Arc<Self> {
        fork::watch_after(|watched| {
            let known = watched
                .iter()
                .filter_map(|one| (&**one as &dyn Any).downcast_ref::<Self>())
                .map(|one| &one.here)
                .find(|here| *here.path == *folder.path());
            let here = known.cloned().unwrap_or_else(|| {
                Arc::new(FolderConnections {
                    path: folder.path().into(),
                    journal: Arc::default(),
                    all: Mutex::default(),
                })
            });
            let slot = |role| Mutex::new(LazyConnection::new(folder, &here.journal, role));
            let connections = Arc::new(Self {
                reader: slot(ConnectionRole::Reader),
                writer: slot(ConnectionRole::Writer),
                here: Arc::clone(&here),
            });
            let mut all = lock(&here.all);
            all.retain(|one| one.strong_count() > 0);
            all.push(Arc::downgrade(&connections));
            drop(all);
            connections
        })
    }

    /// Closes the connections of this process's other stores in the same folder, all at once. Returns `false` if one is
    /// in use. The caller has closed its own and holds their locks.
    pub fn close_others(&self) -> bool {
        let all: Vec<Arc<Self>> = lock(&self.here.all).iter().filter_map(Weak::upgrade).collect();
        let others = all.iter().filter(|one| !std::ptr::eq(Arc::as_ptr(one), self));
        let mut locks = Vec::new();
        for slot in others.flat_map(|one| [&one.writer, &one.reader]) {
            let Some(guard) = try_lock(slot) else {
                return false;
            };
            locks.push(guard);
        }
        for slot in &mut locks {
            slot.close();
        }
        true
    }
}

impl Forks for Connections {
    fn before(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        let close = |slot: fn(&Self) -> &Mutex<LazyConnection>| {
            let mut locks = fork::hold(&self, slot);
            locks.get().close();
            Box::new(locks) as Box<dyn Release>
        };
        vec![close(|all| &all.writer), close(|all| &all.reader)]
    }
}
