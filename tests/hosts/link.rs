//! A link to an engine that can be cut: nothing passes any more, and neither side is told.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::cluster::Database;

/// A socket before that of an engine.
pub struct Link {
    folder: TempDir,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    is_cut: bool,
    /// Nothing passes any more after this many messages, and the next one is lost.
    cut_after: Option<u64>,
    ends: bool,
}

const PORT: u16 = 5432;

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the link is cut, or no longer is. Returns `false` at the end.
    fn wait_for(&self, is_cut: bool) -> bool {
        let waits = |state: &mut State| !state.ends && state.is_cut != is_cut;
        let state = self.changed.wait_while(self.state(), waits);
        !state.unwrap_or_else(PoisonError::into_inner).ends
    }

    /// Cuts the link if that was asked for at this message. Returns whether the message is lost.
    fn cut_if_asked(&self) -> bool {
        let mut state = self.state();
        let is_lost = state.cut_after.take_if(|left| *left == 0).is_some();
        state.cut_after = state.cut_after.map(|left| left - 1);
        if is_lost {
            state.is_cut = true;
            self.changed.notify_all();
        }
        is_lost
    }

    fn pump(&self, mut from: &UnixStream, mut to: &UnixStream) {
        let mut bytes = vec![0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            if self.cut_if_asked() || !self.wait_for(false) || to.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        // An end passes like the rest.
        if self.wait_for(false) {
            let _ = to.shutdown(Shutdown::Write);
        }
    }
}

impl Link {
    /// A link to an engine.
    pub fn to(database: &Database<'_>) -> Self {
        let cluster = database.cluster;
        let engine = cluster.folder().join(format!(".s.PGSQL.{}", cluster.port));
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join(format!(".s.PGSQL.{PORT}"))).expect("bound");
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                is_cut: false,
                cut_after: None,
                ends: false,
            }),
            changed: Condvar::new(),
        });
        let link = Self {
            folder,
            shared: Arc::clone(&shared),
        };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = shared.state();
                if state.ends {
                    return;
                }
                drop(state);
                let Ok(server) = UnixStream::connect(&engine) else {
                    continue;
                };
                let (client, server) = (Arc::new(client), Arc::new(server));
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (shared, from, to) = (Arc::clone(&shared), Arc::clone(from), Arc::clone(to));
                    std::thread::spawn(move || shared.pump(&from, &to));
                }
            }
        });
        link
    }

    /// The address of a database behind it.
    pub fn address(&self, database: &str) -> String {
        format!(
            "postgresql://postgres@/{database}?host={}",
            self.folder.path().display()
        )
    }

    /// Cuts the link now, or lets everything pass again.
    pub fn set_cut(&self, is_cut: bool) {
        self.shared.state().is_cut = is_cut;
        self.shared.changed.notify_all();
    }

    /// Cuts the link after this many more messages, in whichever direction. The next one is lost.
    pub fn cut_after(&self, messages: u64) {
        self.shared.state().cut_after = Some(messages);
    }

    /// Waits until the link is cut.
    pub fn wait_until_cut(&self) {
        assert!(self.shared.wait_for(true));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.state().ends = true;
        self.shared.changed.notify_all();
        let _ = UnixStream::connect(self.folder.path().join(format!(".s.PGSQL.{PORT}")));
    }
}
