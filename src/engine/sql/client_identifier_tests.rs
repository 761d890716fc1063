use super::*;
use crate::engine::sql::for_tests::opened;

#[test]
fn a_complete_identifier_is_read_without_the_lock() {
    let (_kept, store) = opened();
    let made = store.folder().client_identifier().expect("made");
    let lock = store.folder().lock_path("client");
    let held = FileLock::acquire(&lock, Deadline::NONE, &|| false).expect("locks work");
    assert!(held.is_some());
    let begun = std::time::Instant::now();
    assert_eq!(store.folder().client_identifier().expect("read"), made);
    assert!(begun.elapsed() < LOCK_TIMEOUT / 2, "it waited for the lock");
}
