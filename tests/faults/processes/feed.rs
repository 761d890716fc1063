//! Writers that list are killed at counted steps, while a reader in another process follows the feed: it has what is listed.
#![allow(clippy::cast_possible_truncation)] // small numbers of our own

use std::collections::BTreeMap;

use crate::support::index::{Candidate, ChangeKind, Index, QueryOptions, shown};
use plexindex::model::Item;

use crate::processes::kills::die_after;
use crate::support::worker::{Dice, Worker, assert_sound, open_at, place, rounds, say, told};
use crate::support::{add, clock, movies, offline, open, options, remove};

/// In a worker: lists what there is, and dies after so many steps.
pub fn list(words: &[&str]) {
    die_after(words[3].parse().expect("a number"));
    let index = open_at(words);
    index.refresh(&QueryOptions::default(), true).expect("listed");
    say("listed");
    told();
}

/// What a reader has, and its token.
#[derive(Default)]
struct Reader {
    token: String,
    items: BTreeMap<String, Item>,
    told: usize,
}

impl Reader {
    /// Reads a page; gives whether there is more.
    fn read(&mut self, index: &Index, limit: usize) -> bool {
        let library = index.library("Movies").expect("a handle");
        let page = index
            .changes(&offline(&library), &self.token, self.token.is_empty(), limit)
            .expect("no change is lost");
        for change in page.changes {
            self.told += 1;
            if let Some(key) = change.from_key {
                self.items.remove(&key);
            }
            let item = change.item.expect("nothing has to be listed again");
            if change.kind == ChangeKind::Removed {
                self.items.remove(&item.rating_key);
            } else {
                self.items.insert(item.rating_key.clone(), Candidate::from(item).item);
            }
        }
        self.token = page.cursor;
        page.more
    }

    fn read_all(&mut self, index: &Index, limit: usize) {
        while self.read(index, limit) {}
    }
}

fn listed(index: &Index) -> BTreeMap<String, Item> {
    let library = index.library("Movies").expect("a handle");
    let page = index.items(&library, 0, 10_000).expect("the items");
    page.into_iter()
        .map(|(_, item)| (item.rating_key.clone(), shown(item)))
        .collect()
}

#[test]
fn a_reader_misses_nothing_of_writers_that_are_killed() {
    let server = movies(60);
    let folder = tempfile::tempdir().expect("a folder");
    let at = place(folder.path(), &server);
    let index = open(options(&server, folder.path()), &clock());
    index.refresh(&QueryOptions::default(), true).expect("listed");
    let mut reader = Reader::default();
    reader.read_all(&index, 100);
    assert_eq!(reader.items, listed(&index));
    let mut dice = Dice::new(7);
    let mut died = 0;
    for round in 0..rounds("PLEXINDEX_KILLS", 10) {
        let known = server.paths(1);
        let gone = known[usize::try_from(dice.roll(known.len() as u64)).expect("a place")].0;
        remove(&server, &[gone]);
        let moved = server
            .paths(1)
            .into_iter()
            .find(|(_, path)| path.is_some())
            .expect("one");
        let (key, from) = (moved.0, moved.1.expect("a file"));
        let to = format!("/data/movies/moved {round}.mkv");
        server
            .change(|state| state.rename_file(key, &from, &to))
            .expect("renamed");
        add(&server, &[format!("/data/movies/new {round}.mkv")]);
        let steps = (1 + dice.roll(200)).to_string();
        let mut writer = Worker::start("feed: list", [&*at[0], &at[1], &at[2], &steps]);
        for _ in 0..dice.roll(3) {
            reader.read(&index, 1 + dice.roll(3) as usize); // while it writes
        }
        died += usize::from(writer.next().is_none());
        writer.kill();
        if dice.roll(2) == 0 {
            reader.read_all(&index, 1 + dice.roll(4) as usize);
            assert_eq!(reader.items, listed(&index), "after writer {round}");
        }
    }
    index.refresh(&QueryOptions::default(), true).expect("listed");
    reader.read_all(&index, 2);
    assert_eq!(reader.items, listed(&index));
    assert!(died > 0, "some writers are killed");
    println!("{died} writers died, {} changes were told", reader.told);
    index.close().expect("closes");
    assert_sound(folder.path());
}
