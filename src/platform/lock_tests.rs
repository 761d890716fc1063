use super::{Deadline, FileLock, do_locks_work};

#[test]
fn locks_work_where_the_tests_run() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(do_locks_work(&folder.path().join("lock")).expect("a lock"));
    do_locks_work(&folder.path().join("missing/lock")).expect_err("no such folder");
}

#[test]
fn a_folder_that_is_missing_is_not_made_and_a_file_in_its_place_is_no_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("store");
    let lock = || FileLock::on_folder(&place, Deadline::NONE, &|| false);
    lock().expect_err("no such folder");
    assert!(!place.exists(), "a file in its place would stay there");
    std::fs::write(&place, "").expect("written");
    lock().expect_err("no folder");
    std::fs::remove_file(&place).expect("removed");
    std::fs::create_dir(&place).expect("made");
    assert!(lock().expect("a lock").is_some());
}
