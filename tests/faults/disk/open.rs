//! A database that is damaged, removed or replaced while processes have it open: outside of what can be promised, but all
//! go on, and together.

use std::fs;
use std::path::Path;

use crate::support::index::{Ask as _, Index};
use plexindex_standin::Standin;

use super::broken::{DAMAGES, answer, spoil, used};
use super::{become_other, is_root};
use crate::processes::coherence::look;
use crate::support::worker::{Worker, ask_all, assert_sound, fork, hear_all, limit, options_at, say, told, wait_for};
use crate::support::{self, Scene, clock, movies, options, path_of};

/// What is done to the folder of a store, given another store's.
type Trick = fn(&Path, &Path);

const TRICKS: [(&str, Trick); 5] = [
    ("removed", |folder, _| {
        fs::remove_file(folder.join("plexindex-1.db")).expect("removed");
    }),
    ("removed with all", |folder, _| {
        for entry in fs::read_dir(folder).expect("the folder") {
            fs::remove_file(entry.expect("an entry").path()).expect("removed");
        }
    }),
    ("replaced by another store's", |folder, other| {
        // Renamed into place, as a careful restore does it.
        fs::copy(other.join("plexindex-1.db"), folder.join("copy")).expect("copied");
        fs::rename(folder.join("copy"), folder.join("plexindex-1.db")).expect("renamed");
    }),
    ("replaced by garbage", |folder, _| {
        fs::write(folder.join("copy"), vec![7; 50_000]).expect("written");
        fs::rename(folder.join("copy"), folder.join("plexindex-1.db")).expect("renamed");
    }),
    ("gone with the folder", |folder, _| {
        fs::remove_dir_all(folder).expect("removed");
    }),
];

/// A host that opens nothing until it is told to.
pub fn host(words: &[&str]) {
    obey(words, None);
}

/// Does as it is told until its input ends.
pub fn obey(words: &[&str], mut index: Option<Index>) {
    say("ready");
    while let Some(order) = told() {
        let (verb, rest) = order.split_once(' ').unwrap_or((&order, ""));
        let (path, key) = rest.split_once('|').unwrap_or((rest, ""));
        let done = |()| "done".to_owned();
        let said = match verb {
            "open" => {
                index = Some(support::open(options_at(words), &clock()));
                Ok(done(()))
            }
            "starve" => {
                limit(libc::RLIMIT_NOFILE, 3);
                Ok(done(()))
            }
            // Its connections are closed until they are needed again.
            "fork" => {
                assert_eq!(wait_for(fork(|| 0)), 0);
                Ok(done(()))
            }
            _ => index
                .as_ref()
                .expect("it is open")
                .library("Movies")
                .and_then(|library| match verb {
                    "record" => library.record_match(path, key).map(done),
                    "invalidate" => library.invalidate_path(path).map(done),
                    "fast" => Ok(library.fast(&path).unwrap_or_default()),
                    "both" => Ok(look(&library, path)),
                    "look" => {
                        let lookup = library.fast(&path);
                        answer(&library, path).inspect(|found| {
                            assert!(lookup.is_none_or(|lookup| lookup == *found), "the lookup knew better");
                        })
                    }
                    "refresh" => library.query().refreshed(true).map(|status| format!("{status:?}")),
                    other => panic!("what is '{other}'?"),
                }),
        };
        say(&said.unwrap_or_else(|error| format!("{:?}: {error}", error.status)));
    }
}

fn hosts(folder: &Path, server: &Standin) -> Vec<Worker> {
    let mut hosts: Vec<Worker> = (0..3).map(|_| Worker::at("host", folder, server, &[])).collect();
    hear_all(&mut hosts, "ready");
    ask_all(&mut hosts, "open", "done", "open");
    hosts
}

/// Asserts that all go on, and see what each of them commits.
fn assert_all_go_on(hosts: &mut [Worker], server: &Standin, what: &str) {
    let (path, key) = path_of(server, 1, 7);
    if what.contains("all") || what.contains("folder") {
        // The page that they shared is gone: each finds out when it writes.
        ask_all(hosts, &format!("record /host/any.mkv|{key}"), "done", what);
    }
    // Elsewhere it is enough that one of them does.
    let first = format!("/host/{what} 0.mkv");
    assert_eq!(hosts[0].ask(&format!("record {first}|{key}")), "done", "{what}");
    ask_all(hosts, &format!("look {path}"), &key, what);
    for writer in 0..hosts.len() {
        let own = format!("/host/{what} {writer}.mkv");
        assert_eq!(hosts[writer].ask(&format!("record {own}|{key}")), "done", "{what}");
        ask_all(hosts, &format!("look {own}"), &key, what);
    }
    assert_eq!(hosts[1].ask("refresh"), "Ok", "{what}");
    for path in [first, path] {
        ask_all(hosts, &format!("look {path}"), &key, what);
    }
    assert_eq!(hosts[2].ask(&format!("look /host/{what} none.mkv")), "NoLocation");
}

#[test]
fn a_database_that_is_removed_or_replaced_while_open_is_made_anew_for_all() {
    let server = movies(60);
    let other = tempfile::tempdir().expect("a folder");
    used(&server, other.path());
    for (what, trick) in TRICKS {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("cache");
        used(&server, &folder);
        let mut hosts = hosts(&folder, &server);
        let (path, key) = path_of(&server, 1, 9);
        ask_all(&mut hosts, &format!("fast {path}"), &key, what);
        trick(&folder, other.path());
        // No host may go on with what it has in memory: the next fast lookup sees a write.
        assert_eq!(hosts[0].ask(&format!("invalidate {path}")), "done", "{what}");
        ask_all(&mut hosts, &format!("fast {path}"), "", what);
        assert_eq!(hosts[0].ask(&format!("record /host/new.mkv|{key}")), "done", "{what}");
        ask_all(&mut hosts, "fast /host/new.mkv", &key, what);
        assert_all_go_on(&mut hosts, &server, what);
        hosts.into_iter().for_each(Worker::end);
        // Who opens now sees the same.
        let index = support::open(options(&server, &folder), &clock());
        let library = index.movies();
        let (_, key) = path_of(&server, 1, 7);
        for writer in 0..3 {
            let own = format!("/host/{what} {writer}.mkv");
            assert_eq!(answer(&library, &own).expect("an answer"), key);
        }
        index.close().expect("closes");
        assert_sound(&folder);
    }
}

#[test]
fn a_database_that_is_damaged_while_open_is_made_anew_for_all() {
    let server = movies(60);
    for what in DAMAGES {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("cache");
        used(&server, &folder);
        let mut hosts = hosts(&folder, &server);
        spoil(&folder.join("plexindex-1.db"), what);
        // What it holds in memory may hide the damage for a while, so more than one call may be needed to meet it.
        let (path, key) = path_of(&server, 1, 7);
        ask_all(&mut hosts, &format!("look {path}"), &key, what);
        assert_all_go_on(&mut hosts, &server, what);
        hosts.into_iter().for_each(Worker::end);
        let index = support::open(options(&server, &folder), &clock());
        let library = index.movies();
        assert_eq!(answer(&library, &path).expect("an answer"), key);
        index.close().expect("closes");
        assert_sound(&folder);
    }
}

/// In a worker: another user, in a folder that all may write.
pub fn another_user(words: &[&str]) {
    become_other();
    let error = support::try_open(options_at(words), &clock())
        .map(drop)
        .expect_err("another user's");
    say(&error.to_string());
    told();
}

#[test]
fn the_store_of_another_user_is_refused_with_what_to_do() {
    if !is_root() {
        return; // no other user can become a third
    }
    let at = Scene::movies(20);
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(at.folder(), all).expect("for all");
    used(&at.server, at.folder());
    let mut worker = at.worker("another user", &[]);
    let said = worker.hear();
    assert!(said.contains("plexindex-1.db"), "{said}");
    assert!(said.contains("belong to this user"), "{said}");
    worker.end();
}
