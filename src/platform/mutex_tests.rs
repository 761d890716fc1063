use super::*;

#[test]
fn a_short_lock_waits_in_vain_only_once() {
    let (short, mutex) = (ShortWait::default(), Mutex::new(()));
    let (begun, held) = (std::sync::Barrier::new(2), lock(&mutex));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            begun.wait();
            short.lock(&mutex).is_some()
        });
        begun.wait();
        drop(held);
        assert!(waits.join().expect("no panic"));
    });
    let _held = lock(&mutex);
    assert!(short.lock(&mutex).is_none(), "kept for ever");
    assert!(short.no_wait_until_ms.load(Ordering::Relaxed) > coarse_ms());
    assert!(short.lock(&mutex).is_none(), "at once");
}
