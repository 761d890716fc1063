use super::*;
use std::fs;
use std::time::Instant;

#[test]
fn a_folder_stamp_detects_every_later_name_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let stamp = || FolderStamp::of(folder.path()).expect("a folder");
    let names = ["a", "b"].map(|name| folder.path().join(name));
    for round in 0..20 {
        let end = Instant::now() + Duration::from_secs(10);
        while !stamp().detects_later_changes() {
            // On a file system without fractions of a millisecond the stamp never becomes reliable.
            if Instant::now() >= end {
                return;
            }
            std::thread::yield_now();
        }
        let before = stamp();
        match round % 4 {
            0 => fs::write(&names[0], "").expect("made"),
            1 => fs::rename(&names[0], &names[1]).expect("renamed"),
            2 => fs::write(&names[0], "")
                .and_then(|()| fs::rename(&names[0], &names[1]))
                .expect("replaced"),
            _ => fs::remove_file(&names[1]).expect("removed"),
        }
        assert_ne!(stamp(), before, "round {round}");
    }
    assert_eq!(stamp(), stamp());
}
