//! Sockets and threads: one thread accepts, one serves each connection.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Condvar, Mutex, RwLock, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::ask::Ask;
use crate::cache::Cache;
use crate::counters::{Counters, Kind};
use crate::events::{Hub, PING};
use crate::faults::{Action, Faults, Met};
use crate::http::{ReadError, Reader, Reply, Request, write_both};
use crate::router::{self, Answer};
use crate::state::State;
use crate::{control, lock};

/// An idle connection is closed after this time (Plex API notes §1).
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// State shared by the threads of one server.
pub(crate) struct Shared {
    state: RwLock<State>,
    pub counters: Mutex<Counters>,
    pub faults: Mutex<Faults>,
    pub cache: Mutex<Cache>,
    pub hub: Hub,
    pub address: SocketAddr,
    connections: Mutex<HashMap<u64, TcpStream>>,
    next_connection: AtomicU64,
    gate: Mutex<Gate>,
    changed: Condvar,
}

#[derive(Default)]
struct Gate {
    stop: bool,
    refuse: bool,
    listening: bool,
}

impl Shared {
    /// Binds the loopback address and begins to serve.
    pub fn start(state: State, port: u16) -> io::Result<(Arc<Self>, thread::JoinHandle<()>)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let shared = Arc::new(Shared {
            state: RwLock::new(state),
            counters: Mutex::default(),
            faults: Mutex::default(),
            cache: Mutex::default(),
            hub: Hub::default(),
            address: listener.local_addr()?,
            connections: Mutex::default(),
            next_connection: AtomicU64::new(1),
            gate: Mutex::new(Gate {
                listening: true,
                ..Gate::default()
            }),
            changed: Condvar::new(),
        });
        let threads = shared.clone();
        let accepting = thread::Builder::new()
            .name("standin-accept".to_owned())
            .spawn(move || accept(&threads, listener))?;
        Ok((shared, accepting))
    }

    /// The state, to look at.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Changes the state and pushes the resulting events. Rendered pages of libraries that did not
    /// change stay valid.
    pub fn quiet_change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let result = change(&mut state);
        let events = std::mem::take(&mut state.events);
        drop(state);
        for event in &events {
            self.hub.send(event);
        }
        result
    }

    /// As [`Shared::quiet_change`], for changes of anything: no rendered page stays valid.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.quiet_change(|state| {
            state.version += 1;
            change(state)
        })
    }

    /// Waits, but not beyond the end of the server; `false` when that has come.
    pub fn sleep(&self, ms: u64) -> bool {
        let until = Instant::now() + Duration::from_millis(ms);
        let mut gate = lock(&self.gate);
        while !gate.stop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            gate = self
                .changed
                .wait_timeout(gate, left)
                .map_or_else(|e| e.into_inner().0, |(gate, _)| gate);
        }
        false
    }
}

impl Shared {
    /// Closes the listening socket: connecting is refused until [`Shared::reopen`]. Open connections stay.
    pub fn refuse(&self) {
        let mut gate = lock(&self.gate);
        gate.refuse = true;
        while gate.listening && !gate.stop {
            drop(gate);
            // Wakes the accepting thread.
            let _ = TcpStream::connect(self.address);
            gate = lock(&self.gate);
            gate = self
                .changed
                .wait_timeout(gate, Duration::from_millis(50))
                .map_or_else(|e| e.into_inner().0, |(gate, _)| gate);
        }
    }

    /// Listens again, on the same port.
    pub fn reopen(&self) {
        let mut gate = lock(&self.gate);
        gate.refuse = false;
        self.changed.notify_all();
        while !gate.listening && !gate.stop {
            gate = self
                .changed
                .wait_timeout(gate, Duration::from_millis(50))
                .map_or_else(|e| e.into_inner().0, |(gate, _)| gate);
        }
    }

    /// Closes all connections but one.
    pub fn close_connections(&self, except: u64) {
        for (id, stream) in lock(&self.connections).iter() {
            if *id != except {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        lock(&self.connections).len()
    }

    /// Ends everything; returns when no thread serves any more, or after two seconds.
    pub fn stop(&self) {
        lock(&self.gate).stop = true;
        self.changed.notify_all();
        self.hub.close();
        let _ = TcpStream::connect(self.address);
        let until = Instant::now() + Duration::from_secs(2);
        while self.open_connections() > 0 && Instant::now() < until {
            self.close_connections(0);
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn accept(shared: &Arc<Shared>, mut listener: TcpListener) {
    loop {
        let accepted = listener.accept();
        let mut gate = lock(&shared.gate);
        if gate.stop {
            return;
        }
        if gate.refuse {
            drop(accepted);
            drop(listener);
            gate.listening = false;
            shared.changed.notify_all();
            while gate.refuse && !gate.stop {
                gate = shared
                    .changed
                    .wait(gate)
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
            }
            listener = loop {
                if gate.stop {
                    return;
                }
                match TcpListener::bind(shared.address) {
                    Ok(listener) => break listener,
                    Err(_) => {
                        drop(gate);
                        thread::sleep(Duration::from_millis(10));
                        gate = lock(&shared.gate);
                    }
                }
            };
            gate.listening = true;
            shared.changed.notify_all();
            continue;
        }
        let Ok((stream, _)) = accepted else {
            drop(gate);
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        let id = shared.next_connection.fetch_add(1, Ordering::Relaxed);
        let Ok(copy) = stream.try_clone() else {
            continue;
        };
        lock(&shared.connections).insert(id, copy);
        drop(gate);
        let mine = shared.clone();
        let spawned = thread::Builder::new()
            .name(format!("standin-{id}"))
            .stack_size(1 << 20)
            .spawn(move || {
                let connection = Connection {
                    shared: &mine,
                    stream: &stream,
                    id,
                };
                connection.serve();
            });
        if spawned.is_err() {
            lock(&shared.connections).remove(&id);
        }
    }
}

struct Connection<'a> {
    shared: &'a Arc<Shared>,
    stream: &'a TcpStream,
    id: u64,
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        lock(&self.shared.connections).remove(&self.id);
    }
}

impl Connection<'_> {
    fn serve(&self) {
        let _ = self.stream.set_nodelay(true);
        let mut reader = Reader::new(self.stream);
        let mut counted = false;
        loop {
            let _ = self.stream.set_read_timeout(Some(KEEP_ALIVE));
            let request = match reader.next() {
                Ok(request) => request,
                Err(ReadError::Closed) => return,
                Err(ReadError::Bad(status)) => {
                    let reply = Reply::html(status);
                    let head = reply.head(Some(reply.body.len()), false);
                    let _ = write_both(self.stream, &head, &reply.body);
                    return;
                }
            };
            let again = if request.path().starts_with(control::PREFIX) {
                let reply = control::answer(self.shared, &request);
                self.send(&request, &reply, request.keep_alive).is_ok() && request.keep_alive
            } else {
                if !counted {
                    counted = true;
                    lock(&self.shared.counters).stats.connections += 1;
                }
                self.respond(&request)
            };
            if !again {
                return;
            }
        }
    }

    /// Sends a whole reply. Returns the bytes of its body.
    fn send(&self, request: &Request, reply: &Reply, keep_alive: bool) -> io::Result<u64> {
        let head = reply.head(Some(reply.body.len()), keep_alive);
        let body: &[u8] = if request.method == "HEAD" { &[] } else { &reply.body };
        write_both(self.stream, &head, body)?;
        Ok(body.len() as u64)
    }

    /// Answers a client's request; `false`: the connection ends.
    fn respond(&self, request: &Request) -> bool {
        let shared = self.shared;
        let mut ask = Ask::new(request);
        let kind = Kind::of(&ask);
        let seq = lock(&shared.counters).request(&ask, kind, self.id);
        let met = lock(&shared.faults).meet(kind, &request.target);
        let count = |status: u16, sent: u64| lock(&shared.counters).sent(seq, status, sent);
        if met.delay_ms > 0 && !shared.sleep(met.delay_ms) {
            return false;
        }
        if met.action == Some(Action::Drop) {
            count(0, 0);
            return false;
        }
        if let Some(Action::Write(script)) = &met.action {
            count(0, 0);
            let start = ask.window(&shared.read().config).map_or(0, |window| window.0);
            return (script.0)(&mut { self.stream }, start).unwrap_or(false);
        }
        if let Some(Action::Omit { names }) = &met.action {
            ask.omitted.clone_from(names);
        }
        if shared.read().config.always_xml {
            ask.format = crate::tree::Format::Xml;
        }
        let answer = match met.reply(&request.target) {
            Some(reply) => Answer::Reply(reply),
            None => router::answer(shared, &ask, kind),
        };
        let reply = match answer {
            Answer::Reply(reply) => reply,
            Answer::Stream(filters) => {
                let sent = self.stream_events(filters);
                count(200, sent);
                return false;
            }
        };
        let keep_alive = request.keep_alive;
        let sent = match &met.action {
            Some(Action::Cut { .. } | Action::Stall { .. } | Action::Trickle { .. }) => {
                let (sent, whole) = self.send_slowly(&reply, &met, keep_alive);
                count(reply.status, sent);
                return whole && keep_alive;
            }
            _ => self.send(request, &reply, keep_alive),
        };
        match sent {
            Ok(sent) => {
                count(reply.status, sent);
                keep_alive
            }
            Err(_) => {
                count(reply.status, 0);
                false
            }
        }
    }

    /// Sends a reply with a pause or an early end. Returns the bytes of the body sent and whether it was all.
    fn send_slowly(&self, reply: &Reply, met: &Met, keep_alive: bool) -> (u64, bool) {
        let head = reply.head(Some(reply.body.len()), keep_alive);
        let size = reply.body.len();
        let half = |at: &Option<u64>| at.map_or(size / 2, |a| a as usize).min(size);
        let mut sent = 0;
        let mut stream = self.stream;
        let mut write = |bytes: &[u8]| {
            let done = stream.write_all(bytes).is_ok();
            if done {
                sent += bytes.len() as u64;
            }
            done
        };
        let mut whole = write(&head);
        match &met.action {
            Some(Action::Cut { after }) => {
                let _ = whole && write(&reply.body[..half(after)]);
                whole = false;
            }
            Some(Action::Stall { after, ms }) => {
                let at = half(after);
                whole = whole && write(&reply.body[..at]) && self.shared.sleep(*ms) && write(&reply.body[at..]);
            }
            Some(Action::Trickle { chunk, ms }) => {
                for chunk in reply.body.chunks((*chunk).max(1) as usize) {
                    whole = whole && write(chunk) && self.shared.sleep(*ms);
                }
            }
            _ => whole = whole && write(&reply.body),
        }
        (sent.saturating_sub(head.len() as u64), whole)
    }

    /// Streams events until either side ends it. Returns the bytes sent.
    fn stream_events(&self, filters: Vec<String>) -> u64 {
        let events = self.shared.hub.listen(filters);
        let reply = Reply::new(200, &self.shared.read().config.events_type, Vec::new());
        let head = reply.head(None, false);
        let mut stream = self.stream;
        if stream.write_all(&head).is_err() {
            return 0;
        }
        let mut sent = 0;
        loop {
            let ping = Duration::from_millis(self.shared.read().config.ping_ms.max(1));
            let received = events.recv_timeout(ping);
            let text: &str = match &received {
                Ok(text) => text,
                Err(RecvTimeoutError::Timeout) => PING,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if stream.write_all(text.as_bytes()).is_err() {
                break;
            }
            sent += text.len() as u64;
        }
        sent
    }
}
