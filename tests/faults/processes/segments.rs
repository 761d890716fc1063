//! Index files of past generations go at once, while other processes open the folder and ask.

use crate::support::index::QueryOptions;

use crate::support::worker::{Worker, choice, open_at, place, rounds, say, told};
use crate::support::{movies, path_of};

/// Opens the index anew for each question about a file that stays, and says when an answer is another one.
pub fn newcomer(words: &[&str]) {
    let (path, key) = (words[3].as_bytes(), words[4]);
    say("ready");
    told();
    let mut asked = 0_u64;
    // The other end closes our input when it is done.
    let end = std::thread::spawn(told);
    while !end.is_finished() {
        let index = open_at(words);
        let library = index.library("Movies").expect("a handle");
        let offline = QueryOptions {
            offline: true,
            ..library.query()
        };
        let found = index.match_path(&offline, path).expect("an answer");
        let found = found.item.map(|item| item.item.rating_key);
        assert_eq!(found.as_deref(), Some(key), "after {asked} answers");
        let looked = library.lookup_key(path, str::to_owned);
        assert!(looked.is_none() || looked.as_deref() == Some(key));
        asked += 1;
    }
    say(&asked.to_string());
}

#[test]
pub fn newcomers_find_an_index_file_while_others_are_published_and_removed() {
    let server = movies(300);
    let folder = tempfile::tempdir().expect("a folder");
    let at = place(folder.path(), &server);
    let index = open_at(&at.each_ref().map(String::as_str));
    let library = index.library("Movies").expect("a handle");
    let (path, key) = path_of(&server, 1, 5);
    library.match_path(path.as_bytes()).expect("fetched");
    let mut workers: Vec<Worker> = (0..choice("PLEXINDEX_PROCESSES", 3))
        .map(|_| Worker::start("newcomer", [&at[0], &at[1], &at[2], &path, &key].map(String::as_str)))
        .collect();
    for worker in &mut workers {
        worker.hear();
        worker.tell("go");
    }
    // Wine keeps each file open that a newcomer has closed.
    let part = if cfg!(windows) { 4 } else { 1 };
    for round in 0..rounds("PLEXINDEX_REFRESHES", 60) / part {
        crate::support::add(&server, &[format!("/data/Movies/new {round}.mkv")]);
        index.refresh(&library.query(), true).expect("listed");
    }
    for mut worker in workers {
        worker.tell("end");
        assert!(worker.hear().parse::<u64>().expect("a number") > 0);
        worker.end();
    }
}
