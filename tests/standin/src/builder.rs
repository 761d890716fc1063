//! Making a server, and the handle to it.

use std::net::SocketAddr;
use std::sync::{Arc, RwLockReadGuard};

use serde::{Deserialize, Serialize};

use crate::config::{Config, Identity, Token};
use crate::counters::{Counters, LogEntry, Stats};
use crate::events::Event;
use crate::faults::{Action, Fault};
use crate::lock;
use crate::server::Shared;
use crate::spec::{ItemSpec, LibrarySpec};
use crate::state::{Outcome, State};

/// The default token.
const DEFAULT_TOKEN: &str = "standin-token";

/// Makes a server: everything that it starts with. Reads from JSON (`--spec`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Builder {
    /// The port on the loopback address; 0: any free one.
    pub port: u16,
    /// Who is let in; empty: the owner's token `standin-token`.
    pub tokens: Vec<Token>,
    /// No token is needed, as on an unclaimed server.
    pub open: bool,
    /// The generated libraries, in order; the first is section 1.
    pub libraries: Vec<LibrarySpec>,
    /// Items to add, by the section id as a string.
    pub items: std::collections::BTreeMap<u32, Vec<ItemSpec>>,
    /// The switches.
    pub config: Config,
    /// The answer of `/identity`.
    pub identity: Identity,
}

impl Builder {
    /// Adds a generated library.
    pub fn library(mut self, spec: LibrarySpec) -> Self {
        self.libraries.push(spec);
        self
    }

    /// Adds items to a library.
    pub fn items(mut self, library: u32, items: impl IntoIterator<Item = ItemSpec>) -> Self {
        self.items.entry(library).or_default().extend(items);
        self
    }

    /// Adds an owner's token.
    pub fn token(self, token: &str) -> Self {
        self.tokens([Token::owner(token)])
    }

    /// Adds tokens.
    pub fn tokens(mut self, tokens: impl IntoIterator<Item = Token>) -> Self {
        self.tokens.extend(tokens);
        self
    }

    /// No token is needed.
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// A fixed port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// As [`Builder::start`], which must be possible.
    pub fn serve(self) -> Standin {
        self.start().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts the server on the loopback address.
    pub fn start(self) -> std::io::Result<Standin> {
        let mut state = State::new(self.identity, self.tokens, self.config);
        if self.open {
            state.tokens.clear();
        } else if state.tokens.is_empty() {
            state.tokens.push(Token::owner(DEFAULT_TOKEN));
        }
        let fill = |state: &mut State| {
            for spec in self.libraries {
                state.add_library(spec)?;
            }
            for (library, items) in self.items {
                state.add_items(library, items, false)?;
            }
            Ok::<(), String>(())
        };
        fill(&mut state).map_err(std::io::Error::other)?;
        state.events.clear();
        Shared::start(state, self.port).map(Standin)
    }
}

/// A running server. It ends when this is dropped: every connection is closed, every thread gone.
pub struct Standin(Arc<Shared>);

impl Standin {
    /// Begins to make a server.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A server that answers one request after the other with these bytes, head and body, and ends the connection
    /// each time. What is asked beyond that is answered as the last one was.
    pub fn answering(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let server = Standin::builder().open().serve();
        let mut faults: Vec<Fault> = answers
            .into_iter()
            .map(|bytes| Fault::new(Action::write(move |out, _| out.write_all(&bytes).map(|()| false))))
            .collect();
        if let Some(last) = faults.last_mut() {
            last.count = 0;
        }
        faults.into_iter().for_each(|fault| server.fault(fault));
        server
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// The first token; empty when none is needed.
    pub fn token(&self) -> String {
        self.read().tokens.first().map(|t| t.token.clone()).unwrap_or_default()
    }

    /// The state, to look at. Do not keep it: requests that change something wait.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read()
    }

    /// Changes the state, between two requests. The events that come of it are pushed afterwards.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.0.change(change)
    }

    /// As [`Standin::change`], and the change must be possible.
    pub fn alter<T>(&self, change: impl FnOnce(&mut State) -> Outcome<T>) -> T {
        self.change(change).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Changes switches.
    pub fn config(&self, set: impl FnOnce(&mut Config)) {
        self.change(|state| set(&mut state.config));
    }

    /// Rating key and first path of the leaves of a library in the order of their keys. In a photo library
    /// clips are left out.
    pub fn paths(&self, library: u32) -> Vec<(u64, Option<String>)> {
        let state = self.read();
        let Some(library) = state.library(library) else {
            return Vec::new();
        };
        let kind = library.kind.leaf_type();
        (0..library.count(kind) as u32)
            .map(|at| (library.key_at(kind, at), library.first_path(kind, at)))
            .collect()
    }

    /// A simulated scan of a library.
    pub fn scan(&self, library: u32) {
        let _ = self.0.quiet_change(|state| state.scan(library));
    }

    /// Adds a fault for coming requests.
    pub fn fault(&self, fault: Fault) {
        lock(&self.0.faults).add(fault);
    }

    /// Forgets the faults that wait.
    pub fn clear_faults(&self) {
        lock(&self.0.faults).clear();
    }

    /// The counts since the start or the last reset.
    pub fn stats(&self) -> Stats {
        lock(&self.0.counters).stats.clone()
    }

    /// The log since the start or the last reset, oldest first; at most 20,000 requests.
    pub fn log(&self) -> Vec<LogEntry> {
        lock(&self.0.counters).log.iter().cloned().collect()
    }

    /// Zeroes counts and log.
    pub fn reset(&self) {
        *lock(&self.0.counters) = Counters::default();
    }

    /// Pushes an event to all listeners. Returns their number.
    pub fn push(&self, event: &Event) -> usize {
        self.0.hub.send(event)
    }

    /// How many event streams are open. A stream that its client closed counts until the next event or ping.
    pub fn listeners(&self) -> usize {
        self.0.hub.listeners()
    }

    /// Goes away: closes the listening socket, so that connecting is refused, and every connection.
    pub fn refuse(&self) {
        self.0.refuse();
        self.0.close_connections();
    }

    /// Listens again, on the same port.
    pub fn reopen(&self) {
        self.0.reopen();
    }

    /// Closes every open connection.
    pub fn close_connections(&self) {
        self.0.close_connections();
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.0.open_connections()
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.0.stop();
    }
}
