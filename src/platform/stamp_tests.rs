use super::*;
use std::time::Instant;

#[test]
fn a_folder_s_stamp_tells_each_change_of_a_name_once_it_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let stamp = || FolderStamp::of(folder.path()).expect("a folder");
    let names = ["a", "b"].map(|name| folder.path().join(name));
    for round in 0..20 {
        let end = Instant::now() + Duration::from_secs(10);
        while !stamp().detects_later_changes() {
            // A file system that counts no parts of a millisecond never tells.
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
