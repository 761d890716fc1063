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

#[test]
fn listing_names_round_trip() {
    let name = ListingName {
        library: LibraryId(7 << 32),
        generation: Generation(3),
        sequence: Sequence(u64::MAX),
        number: 0xAB,
    };
    let text = listing_text(&name);
    assert_eq!(text, format!("{NAME}-l30064771072-3-18446744073709551615-ab"));
    assert_eq!(listing_name(&text), Some(name));
    for other in [
        "",
        "l1-2-3-4",
        "plexindex-2-l1-2-3-4",
        &format!("{text}-5"),
        &text.replace("-l", "-k"),
    ] {
        assert_eq!(listing_name(other), None, "{other}");
    }
}
