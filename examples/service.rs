//! A small service: a fast thread, workers for what takes longer, and a thread that follows the feed.
//! `find /media -type f | cargo run --example service -- URL TOKEN FOLDER LIBRARY`
//!
//! Each line on the standard input is a path. Its end lets the workers finish; the line `quit` cancels running calls.

use std::error::Error as _;
use std::io::{self, stdin};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use plexindex::{Error, ErrorKind, Index, Library, Match, MatchStatus, Options, Query, Token, Waited};

/// Calls that may wait for the server at the same time.
const WORKERS: usize = 4;

/// Shared by all threads. An async service holds it in an `Arc`, and calls `answer` in `spawn_blocking`.
struct Service {
    index: Index,
    library: Library,
    stops: AtomicBool,
}

impl Service {
    /// Ends a call within a tenth of a second after `stops` is set.
    fn go_on(&self) -> ControlFlow<()> {
        if self.stops.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn query(&self) -> Query<'_> {
        self.library.query().progress(|_| self.go_on())
    }

    /// On the fast thread: never waits. `None` if a worker has to ask.
    fn answer_at_once(&self, path: &str) -> Option<String> {
        match self.library.match_path_at_once(path) {
            Ok(found) if found.status == MatchStatus::NotYet => None,
            Ok(found) => Some(describe(&found)),
            Err(error) => Some(explain(&error)),
        }
    }

    /// On a worker: waits for the server, as long as the deadline allows.
    fn answer(&self, path: &str) -> String {
        let found = self.query().deadline(Duration::from_secs(10)).match_path(path);
        found.map_or_else(|error| explain(&error), |found| describe(&found))
    }

    /// Prints the changes until the service stops.
    fn follow(&self) -> plexindex::Result<()> {
        // The feed begins with the first listing.
        self.query().refresh()?;
        let mut cursor = self.library.changes(None)?.cursor().map(str::to_owned);
        loop {
            if self.query().wait_for_changes(cursor.as_deref().unwrap_or_default())? != Waited::Something {
                continue;
            }
            match self.query().refresh() {
                Ok(_) => {}
                Err(error) if error.kind().is_transient() => eprintln!("{}", explain(&error)),
                Err(error) => return Err(error),
            }
            let mut changes = match self.library.changes(cursor.as_deref()) {
                // Too much has happened since: begin anew, with all items as added.
                Err(error) if error.kind() == ErrorKind::ListAgain => self.library.listing_and_changes()?,
                changes => changes?,
            };
            for change in &mut changes {
                println!("{}", change?);
            }
            // Kept after the changes are processed. A real service stores it: it outlives the process.
            cursor = changes.cursor().map(str::to_owned);
        }
    }
}

/// What an answer means to a user.
fn describe(found: &Match) -> String {
    let message = found.message.as_deref().unwrap_or_default();
    match (found.status, found.item()) {
        (_, Some(item)) => format!("{item}: {}", item.key),
        (MatchStatus::Ambiguous, _) => format!("one of {} items: {message}", found.total),
        (MatchStatus::NotYet | MatchStatus::NeedsWarm, _) => format!("not yet: {message}"),
        _ => format!("none: {message}"),
    }
}

/// What an error means to an operator.
fn explain(error: &Error) -> String {
    let remedy = match error.kind() {
        ErrorKind::Aborted => "the service stops",
        ErrorKind::Unauthorized => "a new token is needed",
        ErrorKind::Store | ErrorKind::StoreFull => "look at the disk",
        kind if kind.is_transient() => "a later call may succeed",
        _ => "this needs a person",
    };
    match error.source().and_then(|cause| cause.downcast_ref::<io::Error>()) {
        Some(cause) => format!("{error} ({remedy}; the system says {:?})", cause.kind()),
        None => format!("{error} ({remedy})"),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, folder, library] = given.as_slice() else {
        return Err("give URL, TOKEN, FOLDER and LIBRARY, and one path a line".into());
    };
    let index = Index::open(Options {
        server_url: Some(url.clone()),
        token: Token::new(token),
        ..Options::new(folder)
    })?;
    let service = Service {
        library: index.library(library)?,
        stops: AtomicBool::new(false),
        index,
    };
    // Events of the server end a wait for changes.
    let watch = service.index.watch()?;
    let (jobs, queue) = mpsc::channel::<String>();
    let queue = Mutex::new(queue);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    let work = || {
        while let Ok(path) = next() {
            println!("{path}: {}", service.answer(&path));
        }
    };
    thread::scope(|scope| {
        let feed = scope.spawn(|| service.follow());
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        for line in stdin().lines().map_while(Result::ok) {
            match line.as_str() {
                "quit" => {
                    service.stops.store(true, Ordering::Relaxed);
                    break;
                }
                path => match service.answer_at_once(path) {
                    Some(answer) => println!("{path}: {answer}"),
                    None => jobs.send(line).unwrap_or_default(),
                },
            }
        }
        drop(jobs); // the workers end when the queue is empty
        for worker in workers {
            let _ = worker.join();
        }
        service.stops.store(true, Ordering::Relaxed);
        service.index.wake_waiting(); // the wait for changes sees the flag now
        match feed.join() {
            Ok(Err(error)) if error.kind() != ErrorKind::Aborted => eprintln!("the feed ended: {}", explain(&error)),
            _ => {}
        }
    });
    // Handles keep the index open: the last one closes it, here with its error.
    drop(watch);
    drop(service.library);
    service.index.close()?;
    Ok(())
}
