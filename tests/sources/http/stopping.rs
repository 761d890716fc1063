//! Deadlines, silence, and the host's wish to stop.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use plexindex::error::Status;
use plexindex::source::{Bounds, Source};
use plexindex_standin::{Action, Fault, Kind};

use crate::support::{stopped_by, within};

use super::support::{PAGE, client_with, standin};

/// Longer than any test takes.
const LONG: u64 = 600_000;

fn soon() -> Bounds<'static> {
    within(Duration::from_millis(200))
}

#[test]
fn a_deadline_within_a_page_keeps_the_rows_that_came() {
    let (server, client) = standin(1_000);
    // Once without haste, so that the server has the page at hand.
    client.plex.fetch_rows(&PAGE, Bounds::NONE, &mut Vec::new()).unwrap();
    server.fault(Fault::new(Action::stall(None, LONG)));
    let mut rows = Vec::new();
    let error = client.plex.fetch_rows(&PAGE, soon(), &mut rows).unwrap_err();
    assert_eq!(error.status, Status::Timeout, "{error}");
    assert!(error.message.contains("library section 1 from row 0"), "{error}");
    assert!((400..600).contains(&rows.len()), "{}", rows.len());
    assert_eq!(client.count(), 2);
}

#[test]
fn a_slow_answer_is_no_silence_but_the_deadline_holds() {
    let (server, client) = standin(1_000);
    server.fault(Fault::new(Action::Trickle { chunk: 100, ms: 10 }).times(0));
    let error = client.plex.fetch_rows(&PAGE, soon(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.status, Status::Timeout, "{error}");
}

#[test]
fn silence_has_a_limit_of_its_own_and_a_call_may_allow_less() {
    let (server, client) = standin(1_000);
    let patient = client_with(&server.url(), |options| {
        options.read_timeout = Duration::from_millis(100);
    });
    server.fault(Fault::delay(LONG).times(0));
    let within = |silence| Bounds {
        max_silence: Some(silence),
        ..Bounds::NONE
    };
    let error = client.plex.libraries(within(Duration::from_millis(100))).unwrap_err();
    assert_eq!(error.status, Status::Timeout);
    assert!(error.message.contains("silent for 0.1 s"), "{error}");
    assert!(!error.message.contains("read_timeout"), "it would not help: {error}");
    for bounds in [Bounds::NONE, within(Duration::from_secs(60))] {
        let error = patient.plex.libraries(bounds).unwrap_err();
        assert_eq!(error.status, Status::Timeout);
        assert!(error.message.contains("silent for 0.1 s"), "{error}");
        assert!(error.message.contains("read_timeout"), "{error}");
    }
    // A server too slow for one request is not helped by another.
    assert_eq!(patient.count(), 2);
}

#[test]
fn the_host_can_stop_before_and_between() {
    let (server, client) = standin(1_000);
    let stopped = stopped_by(&|| true);
    assert_eq!(client.plex.libraries(stopped).unwrap_err().status, Status::Aborted);
    assert_eq!(server.stats().total, 0);

    // The host is asked before the page, while it is read, and after each of its rows.
    let (looks, most) = (AtomicU32::new(0), AtomicU32::new(u32::MAX));
    let looks_again = || looks.fetch_add(1, Ordering::Relaxed) >= most.load(Ordering::Relaxed);
    let midway = stopped_by(&looks_again);
    client.plex.fetch_rows(&PAGE, midway, &mut Vec::new()).unwrap();
    most.store(looks.swap(0, Ordering::Relaxed) - 500, Ordering::Relaxed);
    let mut rows = Vec::new();
    let error = client.plex.fetch_rows(&PAGE, midway, &mut rows).unwrap_err();
    assert_eq!(error.status, Status::Aborted);
    assert!((300..700).contains(&rows.len()), "{}", rows.len());
    assert_eq!(client.count(), 2);
}

#[test]
fn an_interrupt_ends_the_waiting_of_those_who_want_to_stop() {
    let (server, client) = standin(1_000);
    server.fault(Fault::delay(LONG).on(Kind::Sections));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| client.plex.libraries(stopped_by(&|| stop.load(Ordering::SeqCst))));
        while server.stats().total == 0 {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::SeqCst);
        client.plex.interrupt();
        assert_eq!(waiting.join().unwrap().unwrap_err().status, Status::Aborted);
    });
    // Others are not disturbed for long.
    assert_eq!(client.plex.libraries(Bounds::NONE).unwrap().len(), 1);
}

#[test]
fn an_interrupt_is_no_failure_for_those_who_go_on() {
    let (server, client) = standin(1_000);
    server.fault(Fault::delay(LONG).on(Kind::Sections));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| client.plex.libraries(Bounds::NONE));
        while server.stats().total == 0 {
            std::thread::yield_now();
        }
        client.plex.interrupt();
        assert_eq!(waiting.join().unwrap().unwrap().len(), 1);
    });
    assert_eq!(server.stats().total, 2);
}
