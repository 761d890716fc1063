//! A link to an engine that can be cut: nothing passes any more, and neither side is told.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::cluster::Database;

/// What passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    All,
    /// Requests arrive, and answers are lost.
    Requests,
    Nothing,
}

/// A socket before that of an engine, or of none.
pub struct Link {
    folder: TempDir,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    passes: Passes,
    /// Nothing passes any more from a request on that has this text.
    cut_at: Option<&'static str>,
    /// Nothing passes any more after this many messages, and the next one is lost.
    cut_after: Option<u64>,
    ends: bool,
}

const PORT: u16 = 5432;

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this passes. Returns `false` at the end.
    fn wait_for(&self, passes: impl Fn(Passes) -> bool) -> bool {
        let waits = |state: &mut State| !state.ends && !passes(state.passes);
        let state = self.changed.wait_while(self.state(), waits);
        !state.unwrap_or_else(PoisonError::into_inner).ends
    }

    /// Cuts the link if that was asked for at this message. Returns whether the message is lost.
    fn cut_if_asked(&self, bytes: &[u8]) -> bool {
        let mut state = self.state();
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        let is_lost = state.cut_after.take_if(|left| *left == 0).is_some();
        state.cut_after = state.cut_after.map(|left| left - 1);
        if is_lost || state.cut_at.take_if(|text| has(text)).is_some() {
            state.passes = Passes::Nothing;
            self.changed.notify_all();
        }
        is_lost
    }

    fn pump(&self, mut from: &UnixStream, mut to: &UnixStream, passes: impl Fn(Passes) -> bool) {
        let mut bytes = vec![0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            if self.cut_if_asked(&bytes[..length]) || !self.wait_for(&passes) || to.write_all(&bytes[..length]).is_err()
            {
                break;
            }
        }
        // An end passes like the rest.
        if self.wait_for(&passes) {
            let _ = to.shutdown(Shutdown::Write);
        }
    }
}

impl Link {
    /// A link to an engine.
    pub fn to(database: &Database<'_>) -> Self {
        let cluster = database.cluster;
        Self::new(Some(cluster.folder().join(format!(".s.PGSQL.{}", cluster.port))))
    }

    /// What accepts connections, and never says anything.
    pub fn to_nobody() -> Self {
        Self::new(None)
    }

    fn new(engine: Option<PathBuf>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join(format!(".s.PGSQL.{PORT}"))).expect("bound");
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                passes: Passes::All,
                cut_at: None,
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
            let mut silent = Vec::new();
            for client in listener.incoming().flatten() {
                let state = shared.state();
                if state.ends {
                    return;
                }
                drop(state);
                let Some(engine) = &engine else {
                    silent.push(client);
                    continue;
                };
                let Ok(server) = UnixStream::connect(engine) else {
                    continue;
                };
                let (client, server) = (Arc::new(client), Arc::new(server));
                for is_request in [true, false] {
                    let (shared, client, server) = (Arc::clone(&shared), Arc::clone(&client), Arc::clone(&server));
                    std::thread::spawn(move || {
                        if is_request {
                            shared.pump(&client, &server, |passes| passes != Passes::Nothing);
                        } else {
                            shared.pump(&server, &client, |passes| passes == Passes::All);
                        }
                    });
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

    pub fn set(&self, passes: Passes) {
        self.shared.state().passes = passes;
        self.shared.changed.notify_all();
    }

    /// Cuts the link at the next request with this text.
    pub fn cut_at(&self, text: &'static str) {
        self.shared.state().cut_at = Some(text);
    }

    /// Cuts the link after this many more messages, in whichever direction. The next one is lost.
    pub fn cut_after(&self, messages: u64) {
        self.shared.state().cut_after = Some(messages);
    }

    /// Waits until the link is cut.
    pub fn wait_until_cut(&self) {
        assert!(self.shared.wait_for(|passes| passes == Passes::Nothing));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.state().ends = true;
        self.shared.changed.notify_all();
        let _ = UnixStream::connect(self.folder.path().join(format!(".s.PGSQL.{PORT}")));
    }
}
