#![cfg(unix)]

use std::sync::mpsc::channel;

use super::*;

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
    // SAFETY: the child logs, drains and ends at once.
    let state = unsafe {
        let child = libc::fork();
        assert!(child >= 0, "forked");
        if child == 0 {
            log::warn!(target: "plexindex", "a line of the child");
            let has_it = drain().iter().any(|line| line.text == "a line of the child");
            libc::_exit(i32::from(!has_it));
        }
        let mut state = 0;
        assert_eq!(libc::waitpid(child, &raw mut state, 0), child);
        state
    };
    assert_eq!(state, 0, "it was silent");
    drainer.join().expect("no panic");
}
