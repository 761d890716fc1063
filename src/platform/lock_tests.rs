use super::trial;

#[test]
fn locks_work_where_the_tests_run() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(trial(&folder.path().join("lock")).expect("a lock"));
    trial(&folder.path().join("missing/lock")).expect_err("no such folder");
}
