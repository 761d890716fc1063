//! A small service: a fast thread, workers for what takes longer, and a thread that follows the feed.
//! `find /media -type f | cargo run --example service -- URL TOKEN CACHE LIBRARY`
//!
//! Each line on the standard input is a path. Its end lets the workers finish; the line `quit` cancels running calls.

use std::error::Error as _;
use std::io::{self, stdin};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use plexindex::{ChangeKind, Error, ErrorKind, Index, Library, Match, MatchStatus, Options, Query, Token};

/// Calls that may wait for the server at the same time.
const WORKERS: usize = 4;

/// Between two attempts of the feed. An attempt takes `Options::retry_for` itself where no server answers.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

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

    /// On a worker: waits for the server, as long as the timeout allows.
    fn answer(&self, path: &str) -> String {
        let found = self.query().timeout(Duration::from_secs(10)).match_path(path);
        found.map_or_else(|error| explain(&error), |found| describe(&found))
    }

    /// Prints the changes until the service stops. A server that is away, or a library that is gone, may come back: an
    /// error ends no feed.
    fn follow(&self) {
        // A real service begins with the cursor that it stored.
        let mut cursor = None;
        let mut pause = SHORTEST_PAUSE;
        while !self.stops.load(Ordering::Relaxed) {
            match self.follow_once(&mut cursor) {
                Ok(()) => pause = SHORTEST_PAUSE,
                Err(error) if error.kind() == ErrorKind::Aborted => {}
                // Too much has happened since, or it is another store's: begin anew.
                Err(error) if error.kind() == ErrorKind::ListAgain => cursor = None,
                Err(error) => {
                    eprintln!("the feed pauses: {}", explain(&error));
                    thread::park_timeout(pause); // `main` ends it
                    pause = LONGEST_PAUSE.min(2 * pause);
                }
            }
        }
    }

    /// Prints the changes since the cursor, and waits for more. Without a cursor all items are printed, as added.
    fn follow_once(&self, cursor: &mut Option<String>) -> plexindex::Result<()> {
        // Asks the server where it has to be asked. What came before a timeout is told, the rest by the next round.
        let _ = self.query().refresh()?;
        let mut changes = match cursor {
            Some(cursor) => self.library.changes(Some(cursor))?,
            None => self.library.listing_and_changes()?,
        };
        for change in &mut changes {
            let change = change?;
            println!("{change}");
            if change.kind == ChangeKind::ListAgain {
                *cursor = None;
                return Ok(());
            }
        }
        // Kept after the changes are processed. A real service stores it: it outlives the process.
        *cursor = changes.cursor().map(str::to_owned);
        if let Some(cursor) = cursor {
            let _ = self.query().wait_for_changes(cursor)?; // or until a refresh is due
        }
        Ok(())
    }
}

/// What an answer means to a user.
fn describe(found: &Match) -> String {
    let message = found.message.as_deref().unwrap_or_default();
    if let Some(item) = found.likely() {
        return format!("perhaps {item}: {message}");
    }
    match (found.status, found.sure()) {
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
        return Err("give URL, TOKEN, CACHE and LIBRARY, and one path a line".into());
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
        feed.thread().unpark(); // and the pause
    });
    // Handles keep the index open: the last one closes it, here with its error.
    drop(watch);
    drop(service.library);
    service.index.close()?;
    Ok(())
}
