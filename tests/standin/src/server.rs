//! Sockets and threads: one thread accepts, one serves each connection.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Condvar, Mutex, RwLock, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::ask::Ask;
use crate::cache::Cache;
use crate::counters::{Counters, Kind};
use crate::events::{Hub, PING};
use crate::faults::{Action, Faults};
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
    /// The thread that accepts; none while connecting is refused.
    accepting: Mutex<Option<thread::JoinHandle<()>>>,
    refuses: AtomicBool,
    stops: Mutex<bool>,
    stopped: Condvar,
}

impl Shared {
    /// Binds the loopback address and begins to serve.
    pub fn start(state: State, port: u16) -> io::Result<Arc<Self>> {
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
            accepting: Mutex::default(),
            refuses: AtomicBool::default(),
            stops: Mutex::default(),
            stopped: Condvar::new(),
        });
        shared.listen(listener)?;
        Ok(shared)
    }

    fn listen(self: &Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let shared = self.clone();
        let accepting = thread::Builder::new().name("standin-accept".to_owned());
        *lock(&self.accepting) = Some(accepting.spawn(move || accept(&shared, &listener))?);
        Ok(())
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
        let time = Duration::from_millis(ms);
        let waited = self
            .stopped
            .wait_timeout_while(lock(&self.stops), time, |stops| !*stops);
        waited.is_ok_and(|(stops, _)| !*stops)
    }

    /// Closes the listening socket: connecting is refused until [`Shared::reopen`]. Open connections stay.
    pub fn refuse(&self) {
        if let Some(accepting) = lock(&self.accepting).take() {
            self.refuses.store(true, Ordering::SeqCst);
            // Wakes the thread.
            let _ = TcpStream::connect(self.address);
            let _ = accepting.join();
        }
    }

    /// Listens again, on the same port.
    pub fn reopen(self: &Arc<Self>) {
        self.refuses.store(false, Ordering::SeqCst);
        while lock(&self.accepting).is_none() {
            let listens = TcpListener::bind(self.address).and_then(|listener| self.listen(listener));
            if listens.is_err() {
                thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Closes all connections.
    pub fn close_connections(&self) {
        for stream in lock(&self.connections).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        lock(&self.connections).len()
    }

    /// Ends everything; returns when no thread serves any more, or after two seconds.
    pub fn stop(&self) {
        self.refuse();
        *lock(&self.stops) = true;
        self.stopped.notify_all();
        self.hub.close();
        let until = Instant::now() + Duration::from_secs(2);
        while self.open_connections() > 0 && Instant::now() < until {
            self.close_connections();
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    for accepted in listener.incoming() {
        if shared.refuses.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = accepted else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        let id = shared.next_connection.fetch_add(1, Ordering::Relaxed);
        let Ok(copy) = stream.try_clone() else {
            continue;
        };
        lock(&shared.connections).insert(id, copy);
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
        let mut is_counted = false;
        loop {
            let _ = self.stream.set_read_timeout(Some(KEEP_ALIVE));
            let request = match reader.next() {
                Ok(request) => request,
                Err(ReadError::Closed) => return,
                Err(ReadError::Bad(status)) => {
                    self.send(&Reply::html(status), false);
                    return;
                }
            };
            let again = if request.path().starts_with(control::PREFIX) {
                self.send(&control::answer(self.shared, &request), request.keep_alive)
            } else {
                lock(&self.shared.counters).stats.connections += u64::from(!std::mem::replace(&mut is_counted, true));
                self.respond(&request)
            };
            if !again {
                return;
            }
        }
    }

    /// Sends a whole reply; `false`: the connection ends.
    fn send(&self, reply: &Reply, keep_alive: bool) -> bool {
        let head = reply.head(Some(reply.body.len()), keep_alive);
        write_both(self.stream, &head, &reply.body).is_ok() && keep_alive
    }

    /// Answers a client's request; `false`: the connection ends.
    fn respond(&self, request: &Request) -> bool {
        let shared = self.shared;
        let fewer;
        let mut ask = Ask::new(request);
        let kind = Kind::of(&ask);
        lock(&shared.counters).request(&ask, kind);
        let met = lock(&shared.faults).meet(kind, &request.target);
        if met.delay_ms > 0 && !shared.sleep(met.delay_ms) {
            return false;
        }
        match &met.action {
            Some(Action::Drop) => return false,
            Some(Action::Write(script)) => {
                let start = ask.window().map_or(0, |window| window.0);
                return (script.0)(&mut { self.stream }, start).unwrap_or(false);
            }
            Some(Action::Change(change)) => shared.quiet_change(&*change.0),
            Some(Action::Omit { names }) => ask.omitted.clone_from(names),
            Some(Action::Ignore { names }) => {
                fewer = request.without(names);
                ask = Ask::new(&fewer);
            }
            _ => {}
        }
        let rows = ask
            .window()
            .filter(|_| kind == Kind::Listing)
            .map_or(0, |(_, size)| size);
        let late_ms = rows * shared.read().config.row_us / 1_000;
        if late_ms > 0 && !shared.sleep(late_ms) {
            return false;
        }
        let answer = match met.reply(&request.target) {
            Some(reply) => Answer::Reply(reply),
            None => router::answer(shared, &ask, kind),
        };
        let reply = match answer {
            Answer::Reply(reply) => reply,
            Answer::Stream(filters) => {
                self.stream_events(filters);
                return false;
            }
        };
        let size = reply.body.len();
        // Where a reply is cut off or stops.
        let at = match &met.action {
            Some(Action::Cut { after } | Action::Stall { after, .. }) => after.map_or(size / 2, |at| at as usize),
            _ => size,
        };
        let (first, rest) = reply.body.split_at(at.min(size));
        let is_cut = matches!(met.action, Some(Action::Cut { .. }));
        lock(&shared.counters).answer(reply.status, if is_cut { first.len() } else { size });
        let keep_alive = request.keep_alive && !is_cut;
        let mut stream = self.stream;
        let mut write = |bytes: &[u8]| stream.write_all(bytes).is_ok();
        let mut write_head = || write(&reply.head(Some(size), request.keep_alive));
        keep_alive
            & match &met.action {
                Some(Action::Cut { .. }) => write_head() && write(first),
                Some(Action::Stall { ms, .. }) => write_head() && write(first) && shared.sleep(*ms) && write(rest),
                Some(Action::Trickle { chunk, ms }) => {
                    let mut chunks = first.chunks((*chunk).max(1) as usize);
                    write_head() && chunks.all(|chunk| write(chunk) && shared.sleep(*ms))
                }
                _ => self.send(&reply, keep_alive),
            }
    }

    /// Streams events until either side ends it.
    fn stream_events(&self, filters: Vec<String>) {
        let events = self.shared.hub.listen(filters);
        let reply = Reply::new(200, "text/event-stream", Vec::new());
        let mut stream = self.stream;
        let mut is_open = stream.write_all(&reply.head(None, false)).is_ok();
        while is_open {
            let received = events.recv_timeout(Duration::from_secs(10)); // between two pings (§7)
            let text: &str = match &received {
                Ok(text) => text,
                Err(RecvTimeoutError::Timeout) => PING,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            is_open = stream.write_all(text.as_bytes()).is_ok();
        }
    }
}
