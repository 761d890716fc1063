//! A process with a limit is killed.

use super::*;

/// Opens the folder with a limit of so many bytes, and asks for one library after another until it is told to end.
fn asker(words: &[&str]) {
    let options = options_at(words);
    let index = open(
        plexindex::options::Options {
            size_limit: words[3].parse().ok(),
            ..options
        },
        &clock(),
    );
    let mut dice = Dice::new(words[4].parse().expect("a number"));
    let files: Vec<&str> = words[5..].to_vec();
    say("ready");
    let ended = std::thread::spawn(told);
    let mut asked = 0;
    loop {
        let number = usize::try_from(dice.roll(3)).expect("small");
        let (path, key) = files[number].split_once('|').expect("a path and a key");
        let library = index.library(NAMES[number]).expect("a handle");
        let looked = library.lookup_key(path.as_bytes(), str::to_owned);
        assert!(looked.is_none() || looked.as_deref() == Some(key));
        let found = library.ask(path);
        let item = found.item.expect("an item").item;
        assert_eq!(item.rating_key, key, "{path}");
        for _ in 0..3 {
            let found = index.match_guid(&library.query(), &item.guid).expect("an answer");
            let is_it = |one: &crate::support::index::Candidate| one.item.rating_key == key;
            assert!(found.candidates.iter().any(is_it), "{path}: {}", found.message);
        }
        let own = format!("/{}/{asked}.mkv", words[4]);
        library.record(&own, key);
        asked += 1;
        say(&format!("{number}|{own}|{key}"));
        if ended.is_finished() {
            return say("over");
        }
    }
}

/// The words for an asker, but for its number.
fn words(server: &Standin, folder: &Path, limit: u64, number: u64) -> Vec<String> {
    let mut words: Vec<String> = place(folder, server).to_vec();
    words.extend([limit.to_string(), number.to_string()]);
    words.extend((1..=3).map(|number| {
        let (path, key) = path_of(server, number, 7);
        format!("{path}|{key}")
    }));
    words
}

#[test]
fn a_kill_while_libraries_go_loses_nothing() {
    let server = server([2_500; 3]);
    let limit = takes(&server)[0] + 200_000;
    let folder = tempfile::tempdir().expect("a folder");
    let mut dice = Dice::new(5);
    let mut told: Vec<String> = Vec::new();
    for round in 0..rounds("PLEXINDEX_KILLS", 3) {
        let mut worker = Worker::start_with("asker", &words(&server, folder.path(), limit, 100 + round));
        assert_eq!(worker.hear(), "ready");
        for _ in 0..dice.roll(3) {
            told.push(worker.hear());
        }
        std::thread::sleep(Duration::from_micros(dice.roll(150_000)));
        told.extend(worker.kill());
        let index = open(options(&server, folder.path()), &clock());
        for line in &told {
            let parts: Vec<&str> = line.split('|').collect();
            let library = index
                .library(NAMES[parts[0].parse::<usize>().expect("a number")])
                .expect("a handle");
            let found = index.ask(&support::offline(&library), parts[1]);
            let found = found.item.map(|item| item.item.rating_key);
            assert_eq!(found.as_deref(), Some(parts[2]), "{line} was acknowledged");
        }
        for number in [1, 2, 3] {
            ask(&index, &server, number);
        }
        index.close().expect("closes");
        assert_sound(folder.path());
        assert_eq!(shown(folder.path()), 7_500, "each item is listed once");
    }
}

#[test]
#[ignore = "deep: a minute"]
fn limits_for_long() {
    deeply(10, a_kill_while_libraries_go_loses_nothing);
}

/// What workers of these tests do.
pub const ROLES: &[Role] = &[("asker", asker)];
