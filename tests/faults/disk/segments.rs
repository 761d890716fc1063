//! Whatever becomes of segments costs no right answer: listings are fetched again.

use std::fs;
use std::path::PathBuf;

use super::broken::answer;
use super::{OTHER, become_other, is_root};
use crate::support::index::{Ask as _, Index, Library};
use crate::support::worker::{options_at, say, told};
use crate::support::{Scene, clock, files_in, open, path_of, requests, segments};
use plexindex::error::{Error, Status};

#[test]
fn a_listing_that_another_handle_has_fetched_again_is_not_lost_again() {
    let at = Scene::movies(100);
    let (path, key) = path_of(&at.server, 1, 5);
    let first = at.open();
    let library = first.movies();
    assert_eq!(answer(&library, &path).expect("an answer"), key);
    let before = segments(at.folder());
    fs::remove_file(&before[0]).expect("removed");
    at.server.reset();
    let late = [(); 2].map(|()| at.open());
    let both = late.each_ref().map(Index::movies);
    for library in &both {
        assert_eq!(library.lookup_key(path.as_bytes(), |_| ()), None, "it is missing");
    }
    for library in &both {
        assert_eq!(answer(library, &path).expect("an answer"), key);
    }
    assert_eq!(segments(at.folder()).len(), before.len());
    assert_eq!(requests(&at.server)[2], 1, "the listing is fetched again, once");
}

/// In a worker: a user who is not root, and to whom files without permissions are closed.
pub fn without_permission(words: &[&str]) {
    if is_root() {
        become_other();
    }
    let index = open(options_at(words), &clock());
    let library = index.movies();
    let said = |outcome: Result<Status, Error>| match outcome {
        Ok(status) => format!("{status:?}"),
        Err(error) => format!("{:?}: {}", error.status, error.message),
    };
    let (path, key) = (words[3], words[4]);
    let ask = |library: &Library| library.query().matched(path).map(|found| found.status);
    let recorded = library.record_match("/host/a.mkv", key).map(|()| Status::Ok);
    say(&said(ask(&library)));
    say(&said(recorded));
    say(&said(library.query().refreshed(false)));
    say(&said(library.query().checked()));
    // A full listing needs nothing of the old one.
    say(&said(library.query().refreshed(true)));
    say(&said(ask(&library)));
    told();
}

#[test]
fn a_listing_that_cannot_be_read_is_never_up_to_date() {
    let at = Scene::movies(60);
    drop(at.listed());
    let (path, key) = path_of(&at.server, 1, 7);
    if is_root() {
        for file in files_in(at.folder()).iter().map(PathBuf::as_path).chain([at.folder()]) {
            std::os::unix::fs::chown(file, Some(OTHER), Some(OTHER)).expect("given");
        }
    }
    let unreadable = segments(at.folder()).pop().expect("a listing");
    let none = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    fs::set_permissions(&unreadable, none).expect("closed");
    let mut worker = at.worker("without permission", &[&path, &key]);
    for what in ["match", "record", "refresh", "check"] {
        let said = worker.hear();
        if what == "record" {
            assert_eq!(said, "Ok", "a record needs no listing");
            continue;
        }
        assert!(said.starts_with("Store: "), "{what}: {said}");
        assert!(said.contains(&unreadable.display().to_string()), "{what}: {said}");
        assert!(said.contains("chmod"), "{what}: {said}");
    }
    assert_eq!(worker.hear(), "Ok", "a full refresh");
    assert_eq!(worker.hear(), "Ok", "a match");
    worker.end();
}
