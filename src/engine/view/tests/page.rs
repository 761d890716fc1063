use std::fs;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;

use crate::engine::version_page::VersionPage;

#[cfg(unix)]
#[test]
fn processes_share_one_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("counters");
    let one = VersionPage::open(&path, 7, true).expect("opens");
    let other = VersionPage::open(&path, 7, true).expect("opens");
    assert_eq!(one.counters().state(), Some(0));
    one.counters().begin(1);
    assert_eq!(other.counters().state(), None);
    one.counters().commit(1);
    assert_eq!(other.counters().state(), Some(1));
    // A writer died: another process repairs.
    one.counters().begin(2);
    other.counters().repair(1);
    assert_eq!(one.counters().state(), Some(1));
    one.counters().begin(2);
    other.counters().repair(2);
    assert_eq!(one.counters().state(), Some(2));
    assert!(one.is_at(&path) && other.is_at(&path));
    assert_eq!(
        fs::metadata(&path).expect("is there").permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_delayed_writer_never_lowers_the_counter() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = VersionPage::open(&folder.path().join("counters"), 7, true).expect("opens");
    page.counters().begin(1);
    page.counters().begin(2);
    page.counters().commit(2);
    page.counters().commit(1);
    assert_eq!(page.counters().state(), Some(2));
}

#[test]
#[cfg_attr(windows, ignore = "a file cannot be replaced there while it is mapped")]
fn a_page_of_another_store_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("counters");
    let old = VersionPage::open(&path, 7, true).expect("opens");
    old.counters().repair(40);
    let new = VersionPage::open(&path, 8, false).expect("opens");
    old.counters().repair(41);
    assert_eq!(new.counters().state(), Some(0));
    assert!(new.is_at(&path) && !old.is_at(&path));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn concurrent_first_opens_share_one_page() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("counters");
        let pages: Vec<VersionPage> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| VersionPage::open(&path, 7, true).expect("opens")))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect()
        });
        pages[0].counters().repair(5);
        assert!(pages.iter().all(|page| page.counters().state() == Some(5)));
    }
}

#[test]
fn a_page_without_its_folder_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = VersionPage::open(&folder.path().join("absent/counters"), 7, true)
        .err()
        .expect("is refused");
    assert!(error.message.contains("counters"), "{error}");
    // A file with the folder's name would stay for ever.
    assert!(!folder.path().join("absent").exists());
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_to_the_page_is_not_the_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("counters");
    let page = VersionPage::open(&path, 7, true).expect("opens");
    assert!(page.is_at(&path));
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&path, &elsewhere).expect("renamed");
    std::os::unix::fs::symlink(&elsewhere, &path).expect("linked");
    assert!(
        !page.is_at(&path),
        "those who look for it find a link, and make another"
    );
}
