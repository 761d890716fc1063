use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[test]
fn on_worker_returns_the_result_and_may_borrow() {
    let text = String::from("seen");
    assert_eq!(on_worker(|| text.len(), Duration::from_secs(1), || ()), 4);
}

#[test]
fn on_worker_ticks_during_the_work() {
    let stop = AtomicBool::new(false);
    let ticks = AtomicUsize::new(0);
    on_worker(
        || {
            while !stop.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        },
        Duration::from_millis(1),
        || {
            if ticks.fetch_add(1, Ordering::SeqCst) == 2 {
                stop.store(true, Ordering::SeqCst);
            }
        },
    );
    // One more may come while the thread ends.
    assert!(ticks.load(Ordering::SeqCst) >= 3);
}

#[test]
fn a_worker_runs_until_signalled_and_is_joined() {
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let ended = std::sync::Arc::new(AtomicBool::new(false));
    let worker = Worker::spawn({
        let (stop, ended) = (stop.clone(), ended.clone());
        move || {
            while !stop.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            ended.store(true, Ordering::SeqCst);
        }
    });
    stop.store(true, Ordering::SeqCst);
    drop(worker.expect("a thread"));
    assert!(ended.load(Ordering::SeqCst));
    drop(Worker::spawn(|| panic!("goes no further")).expect("a thread"));
}

#[test]
#[should_panic(expected = "as it was")]
fn a_panic_continues_in_the_caller() {
    on_worker(|| panic!("as it was"), Duration::from_secs(1), || ());
}

#[test]
fn on_several_shares_work_and_passes_on_a_panic() {
    let (next, sum) = (AtomicUsize::new(0), AtomicUsize::new(0));
    on_workers(3, || {
        loop {
            let own = next.fetch_add(1, Ordering::Relaxed);
            if own >= 1000 {
                break;
            }
            sum.fetch_add(own, Ordering::Relaxed);
        }
    });
    assert_eq!(sum.into_inner(), 499_500);
    let me = std::thread::current().id();
    let failed = std::panic::catch_unwind(|| {
        on_workers(1, || assert_eq!(std::thread::current().id(), me, "another thread"));
    });
    assert!(failed.is_err());
}
