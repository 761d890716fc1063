//! The connections of a store.

use std::sync::{Arc, Mutex};

use super::connection::{ConnectionRole, LazyConnection};
use super::folder::StoreFolder;
use crate::platform::fork::{self, Forks, Release};

/// The two connections of a store, so that a reader never waits for a writer of the same process.
pub struct Connections {
    pub reader: Mutex<LazyConnection>,
    pub writer: Mutex<LazyConnection>,
}

impl Connections {
    /// Makes the connections of a store. A fork closes them.
    pub fn new(folder: &StoreFolder) -> Arc<Self> {
        let slot = |role| Mutex::new(LazyConnection::new(folder, role));
        let connections = Arc::new(Self {
            reader: slot(ConnectionRole::Reader),
            writer: slot(ConnectionRole::Writer),
        });
        fork::watch(&connections);
        connections
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
