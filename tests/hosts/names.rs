//! The name of the engine's host is resolved by a name server that does not answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use plexindex::error::Status;
use plexindex_sharing::postgres::{Postgres, parse};
use plexindex_sharing::{SharedIndex, SharedLog};

use crate::fixture::NONE;
use crate::host::{SHORT, host_of};
use crate::support::{clock, movies, path_of};

/// A resolver that waits until it is opened.
#[derive(Default)]
struct Names {
    is_open: Mutex<bool>,
    changed: Condvar,
    running: AtomicUsize,
    begun: AtomicUsize,
}

impl Names {
    fn look_up(&self, port: u16) -> Vec<SocketAddr> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        assert_eq!(self.running.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
        let open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_while(open, |is_open| !*is_open);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.running.fetch_sub(1, Ordering::SeqCst);
        vec![SocketAddr::from(([127, 0, 0, 1], port))]
    }

    fn open(&self) {
        *self.is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn log(self: &Arc<Self>, address: &str) -> Postgres {
        let names = Arc::clone(self);
        let log = Postgres::new(parse(address, |_| None).expect("valid"));
        log.with_lookup(Arc::new(move |_, port| Ok(names.look_up(port))))
    }
}

fn timed<R>(what: &str, call: impl FnOnce() -> R) -> R {
    let begun = Instant::now();
    let result = call();
    assert!(begun.elapsed() < SHORT, "{what}: {:?}", begun.elapsed());
    result
}

/// A thread that the system does not end is left behind.
#[test]
fn a_name_that_is_not_resolved_holds_up_no_closing() {
    for has_thread in [false, true] {
        let (server, clock, names) = (movies(60), clock(), Arc::new(Names::default()));
        let log = names.log("postgresql://u@engine.test/d?sslmode=disable");
        let host = host_of(&server, &clock, log, has_thread);
        timed("the first listing", || host.refresh());
        let (_, key) = path_of(&server, 1, 5);
        timed("recording", || host.record("/mnt/odd.mkv", &key));
        let delivered = timed("delivering", || host.index.shared_deliver());
        assert_eq!(delivered.expect_err("away").status, Status::Timeout);
        clock.advance_ms(6_000);
        timed("an exchange", || assert!(!host.index.exchange()));
        assert_eq!(names.begun.load(Ordering::SeqCst), 1, "all wait for the same answer");
        timed("closing", || drop(host));
        assert_eq!(names.running.load(Ordering::SeqCst), 1, "it runs on");
        names.open();
    }
}

#[test]
fn a_name_is_looked_up_anew_by_each_connection() {
    let (names, begun) = (Arc::new(Names::default()), Instant::now());
    names.open();
    // Nobody listens there.
    let log = names.log("postgresql://u@engine.test:1/d?sslmode=disable");
    for number in 1..4 {
        let error = log.secret(NONE).expect_err("nobody is there");
        assert_eq!(error.status, Status::Connect, "{error}");
        assert_eq!(names.begun.load(Ordering::SeqCst), number);
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
}
