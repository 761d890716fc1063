use std::time::{Duration, Instant};

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
fn a_call_that_hangs_keeps_nobody_waiting_longer_than_its_own_caller() {
    /// A file system that hangs for one path.
    fn read(path: &[u8]) -> u64 {
        if path == b"/dead" {
            std::thread::sleep(Duration::from_millis(600));
        }
        7
    }
    let reader = SizeReader::new(read);
    let start = Instant::now();
    assert_eq!(
        reader.size_of(b"/dead", Deadline::after(Duration::from_millis(50))),
        None
    );
    // Others get no size at once, until the call returns.
    assert_eq!(reader.size_of(b"/alive", Deadline::NONE), None);
    assert!(start.elapsed() < Duration::from_millis(500));
    while reader.size_of(b"/alive", Deadline::NONE) != Some(7) {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(start.elapsed() >= Duration::from_millis(600));
}
