use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::SizeReader;
use crate::platform::deadline::Deadline;

#[test]
fn sizes_of_regular_files_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).into_os_string().into_encoded_bytes();
    std::fs::write(folder.path().join("film.mkv"), [7; 1234]).expect("a file");
    std::fs::write(folder.path().join("empty.mkv"), b"").expect("a file");
    let reader = SizeReader::default();
    let size_of = |name: &str| reader.size_of(&path(name), Deadline::NONE);
    assert_eq!(size_of("film.mkv"), Some(1234));
    assert_eq!(size_of("empty.mkv"), None);
    assert_eq!(size_of("missing.mkv"), None);
    assert_eq!(size_of(""), None, "a folder");
    assert_eq!(reader.size_of(b"/a\0b", Deadline::NONE), None);
    assert_eq!(reader.size_of(&path("film.mkv"), Deadline::after(Duration::ZERO)), None);
}

#[test]
fn threads_share_one_reader() {
    let folder = tempfile::tempdir().expect("a folder");
    let reader = SizeReader::default();
    std::thread::scope(|scope| {
        for thread in 1..=4_usize {
            let path = folder.path().join(thread.to_string());
            std::fs::write(&path, vec![0; thread]).expect("a file");
            let (reader, path) = (&reader, path.into_os_string().into_encoded_bytes());
            scope.spawn(move || {
                for _ in 0..200 {
                    assert_eq!(reader.size_of(&path, Deadline::NONE), Some(thread as u64));
                }
            });
        }
    });
}

#[test]
fn while_a_call_hangs_no_other_is_made() {
    static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
    static MAY_END: AtomicBool = AtomicBool::new(false);
    /// A file system that hangs for one path.
    fn read(path: &[u8]) -> u64 {
        HAS_BEGUN.fetch_or(path == b"/dead", Ordering::SeqCst);
        while path == b"/dead" && !MAY_END.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        7
    }
    let reader = SizeReader::new(read);
    while !HAS_BEGUN.load(Ordering::SeqCst) {
        let dead = reader.size_of(b"/dead", Deadline::after(Duration::from_millis(20)));
        assert_eq!(dead, None);
    }
    // Others get no size, until the call returns.
    assert_eq!(reader.size_of(b"/alive", Deadline::NONE), None);
    MAY_END.store(true, Ordering::SeqCst);
    while reader.size_of(b"/alive", Deadline::NONE) != Some(7) {
        std::thread::yield_now();
    }
}
