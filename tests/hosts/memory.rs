//! What goes wrong with the log in memory when a test says so.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use plexindex::error::Status;
use plexindex::inside::Deadline;
use plexindex_sharing::{HostId, Position, SharedLog};
use plexindex_tests::index::ManualClock;
use plexindex_tests::memory_log::{MemoryLog, Trouble};

use crate::fixture::item;

const NONE: Deadline = Deadline::NONE;

fn memory() -> MemoryLog {
    MemoryLog::new(Arc::new(ManualClock::new(1_700_000_000_000)))
}

#[test]
fn a_log_in_trouble_fails() {
    let log = memory();
    let view = log.view("server", b"viewer", NONE).expect("a view");
    let append = || {
        log.append(view, HostId(1), &[item("1", "a")], None, NONE)
            .map_err(|error| error.status)
    };
    let read = || {
        log.read(view, Position::default(), 10, NONE)
            .map_err(|error| error.status)
    };
    for (trouble, status, is_read) in [
        (Trouble::Away, Status::Connect, false),
        (Trouble::Silent, Status::Timeout, false),
        (Trouble::ReadOnly, Status::ServerError, true),
    ] {
        log.set_trouble(trouble);
        assert_eq!(append(), Err(status));
        assert_eq!(read().err(), (!is_read).then_some(status));
    }
    log.set_trouble(Trouble::None);
    assert_eq!(append(), Ok(true));
    assert_eq!(read().map(|news| news.entries.len()), Ok(1));
    let waited = thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wait(view, 1, Duration::from_secs(60)));
        log.set_trouble(Trouble::Away);
        waiting.join().expect("no panic")
    });
    assert_eq!(waited.map_err(|error| error.status), Err(Status::Connect));
}

#[test]
fn a_log_that_lost_writes_starts_over() {
    let log = memory().with_history(2);
    let view = log.view("server", b"viewer", NONE).expect("a view");
    let deliver = |number| {
        log.deliver(
            view,
            HostId(1),
            number - 1,
            &[(number, item(&number.to_string(), "a"))],
            NONE,
        )
    };
    let position = || log.read(view, Position::default(), 10, NONE).expect("read").position;
    for number in 1..=3 {
        assert_eq!(deliver(number), Ok(number));
    }
    let lost = position();
    log.lose_writes(2);
    assert_eq!(position().number, 1);
    assert_eq!((deliver(2), deliver(3)), (Ok(2), Ok(3)));
    let news = log.read(view, lost, 10, NONE).expect("read");
    assert_eq!((news.entries.len(), news.from_start), (3, true));
}
