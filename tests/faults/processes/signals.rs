//! Signals during calls: a host's timers and handlers, which interrupt system calls, disturb nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::worker::{assert_sound, open_at, say, told};
use crate::support::{Scene, path_of};

static CAUGHT: AtomicU64 = AtomicU64::new(0);

extern "C" fn caught(_: libc::c_int) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
}

/// In a worker: does everything while a signal comes every half a millisecond, and system calls are not restarted.
pub fn interrupted(words: &[&str]) {
    // SAFETY: plain calls; the handler only counts.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = caught as *const () as usize;
        let done = libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut());
        assert_eq!(done, 0);
        let mut timer: libc::itimerval = std::mem::zeroed();
        (timer.it_interval.tv_usec, timer.it_value.tv_usec) = (500, 500);
        let done = libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut());
        assert_eq!(done, 0);
    }
    let mut rounds = 0;
    while rounds < 3 || CAUGHT.load(Ordering::Relaxed) < 500 {
        let index = open_at(words);
        let library = index.movies();
        index.list();
        for number in 0..20 {
            let path = format!("/host/{rounds}/{number}.mkv");
            library.record(&path, words[4]);
            for path in [&path, words[3]] {
                let found = library.ask(path);
                assert_eq!(found.item.expect("an item").rating_key, words[4]);
            }
        }
        index.watch_start(<_>::default()).expect("watches");
        index.watch_stop();
        index.close().expect("closes");
        rounds += 1;
    }
    // SAFETY: a plain call.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &std::mem::zeroed(), std::ptr::null_mut()) };
    say(&format!("{} signals", CAUGHT.load(Ordering::Relaxed)));
    told();
}

#[test]
fn signals_disturb_no_call() {
    let at = Scene::movies(60);
    let (path, key) = path_of(&at.server, 1, 3);
    let mut worker = at.worker("interrupted", &[&path, &key]);
    println!("{}", worker.hear());
    worker.end();
    assert_sound(at.folder());
}
