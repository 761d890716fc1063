use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::platform::swap::SwapCell;

/// Counts living values, and detects a second drop.
struct Counted {
    value: usize,
    alive: Arc<AtomicUsize>,
}

impl Counted {
    fn new(value: usize, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self {
            value,
            alive: Arc::clone(alive),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.value = usize::MAX;
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn a_guard_keeps_only_its_own_value() {
    let alive = Arc::new(AtomicUsize::new(0));
    let swap = SwapCell::new(Counted::new(1, &alive));
    let guard = swap.read();
    swap.replace(Counted::new(2, &alive));
    assert_eq!((guard.value, swap.read().value), (1, 2));
    assert_eq!((swap.collect(), alive.load(Ordering::SeqCst)), (1, 2));
    drop(guard);
    assert_eq!((swap.collect(), alive.load(Ordering::SeqCst)), (0, 1));
    drop(swap);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn values_are_freed_once_and_never_read_afterwards() {
    let alive = Arc::new(AtomicUsize::new(0));
    let swap = SwapCell::new(Counted::new(0, &alive));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Acquire) {
                    let guard = swap.read();
                    assert!(guard.value >= last && guard.value != usize::MAX);
                    last = guard.value;
                }
            });
        }
        for value in 1..20_000 {
            swap.replace(Counted::new(value, &alive));
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!((swap.collect(), alive.load(Ordering::SeqCst)), (0, 1));
}
