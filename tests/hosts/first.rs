//! How long the first question of a new host takes, when the log has many confirmed matches.
//!
//! `cargo test --release -p plexindex-tests --test hosts first_question -- --ignored --nocapture` prints it.

use std::time::Instant;

use plexindex::options::{Mapping, Options};
use plexindex_sharing::SharedIndex;
use plexindex_standin::Standin;
use tempfile::TempDir;

use super::cluster::{Database, shared};
use super::support::index::{Index, QueryOptions};
use super::support::{movies, options};

/// Films of the library.
const ITEMS: u32 = 100_000;
/// Matches that another host has confirmed.
const MATCHES: usize = 150_000;

fn host(server: &Standin, database: &Database<'_>) -> (Index, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        shared: Some(database.address("postgres")),
        mappings: vec![Mapping::host_to_server("/mnt", "/media")],
        ..options(server, folder.path())
    };
    (Index::open(options).expect("opened"), folder)
}

/// Prints what the library logs.
struct Log;

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("  {} {}", record.level(), record.args());
    }

    fn flush(&self) {}
}

#[test]
#[ignore = "long: a measurement"]
fn the_first_question_of_a_new_host() {
    let Some(cluster) = shared("the_first_question_of_a_new_host") else {
        return;
    };
    let _ = log::set_logger(&Log).map(|()| log::set_max_level(log::LevelFilter::Info));
    let server = movies(ITEMS);
    let files = server.paths(1);
    for is_listed in [false, true] {
        let database = cluster.database();
        let (index, _folder) = host(&server, &database);
        let library = index.library("Movies").expect("a handle");
        index.refresh(&QueryOptions::default(), false).expect("refreshed");
        let matches: Vec<(String, String)> = (0..MATCHES)
            .map(|number| {
                let (key, path) = &files[number % files.len()];
                let own = || format!("/mnt/incoming/{}/{number}.mkv", number % 100);
                let path = path.clone().filter(|_| is_listed && number < files.len());
                (path.unwrap_or_else(own), key.to_string())
            })
            .collect();
        for some in matches.chunks(1_000) {
            let some: Vec<(&[u8], &str)> = some.iter().map(|(path, key)| (path.as_bytes(), &**key)).collect();
            library.record_matches(&some).expect("recorded");
        }
        let begun = Instant::now();
        while index.shared_deliver().is_err() {} // it waits for some seconds
        println!(
            "listed paths: {is_listed}; delivered in {:?} after the recording",
            begun.elapsed()
        );
        for round in 0..3 {
            let begun = Instant::now();
            let (other, _folder) = host(&server, &database);
            let movies = other.library("Movies").expect("a handle");
            let (path, key) = &matches[MATCHES - 1];
            let answer = movies.match_path(path.as_bytes()).expect("answered");
            println!("round {round}: first answer after {:?}", begun.elapsed());
            assert_eq!(answer.item.map(|item| item.item.rating_key).as_ref(), Some(key));
        }
    }
}
