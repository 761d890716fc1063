#![cfg(unix)]

use std::sync::mpsc::channel;

use super::*;
use crate::for_tests::is_true_in_child;

#[test]
fn a_child_has_a_log_though_a_thread_drained_it_at_the_fork() {
    install(LevelFilter::Warn);
    let (say, said) = channel();
    let drainer = std::thread::spawn(move || {
        let _ring = lock_ring();
        say.send(()).expect("heard");
        std::thread::sleep(Duration::from_millis(100));
    });
    said.recv().expect("the ring is held");
    let is_logged = is_true_in_child(|| {
        log::warn!(target: "plexindex", "a line of the child");
        drain().iter().any(|line| line.text == "a line of the child")
    });
    assert!(is_logged, "it was silent");
    drainer.join().expect("no panic");
}
