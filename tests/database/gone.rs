//! What went leaves nothing: whatever came, moved and went before, it is missed by the next question.

use std::collections::BTreeMap;

use plexindex::error::Status;
use plexindex::index::{Index, QueryOptions};

use crate::alone::films;
use crate::plex_database::{self as written, kind};
use crate::support::clock;
use crate::{open, options};

fn key_of(index: &Index, path: &str) -> Option<i64> {
    let found = index
        .match_path(&QueryOptions::default(), path.as_bytes())
        .expect("an answer");
    let item = found.item.filter(|_| found.status == Status::Ok && !found.stale);
    item.map(|item| item.item.rating_key.parse().expect("a number"))
}

/// Numbers that look random, the same for a seed each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("small") % sides
    }
}

/// A server that changes at random, and two handles that are asked now and then.
fn history(seed: u64) {
    let (folder, server, first) = films(12);
    let second = server.library("Other films", kind::MOVIE, "/data/films");
    // Libraries that lose most of what they have are listed twice before that is believed.
    let others = server.write(|database| {
        let add = |film: u32| {
            let path = format!("/data/films/Other {film}.mkv");
            let id = written::add_film(database, second, &path, &path);
            (path, id)
        };
        (0..12).map(add).collect::<Vec<_>>()
    });
    let sections = [first, second];
    let store = folder.path().join("store");
    let clock = clock();
    let handles: Vec<Index> = (0..2).map(|_| open(options(&store, &server.folder), &clock)).collect();
    handles[0].refresh(&QueryOptions::default(), true).expect("listed");
    let mut dice = Dice(seed * 0x9e37_79b9 + 1);
    let mut there: BTreeMap<String, i64> = (0..12)
        .map(|film| (crate::alone::path(film), i64::from(film) + 1))
        .collect();
    there.extend(others);
    let mut once: Vec<String> = there.keys().cloned().collect();
    for step in 0..20 {
        for change in 0..=dice.roll(3) {
            let name = format!("/data/films/{seed} {step} {change}.mkv");
            let chosen = there
                .iter()
                .nth(dice.roll(there.len().max(1)))
                .map(|(path, id)| (path.clone(), *id));
            let (what, section) = (dice.roll(9), sections[dice.roll(2)]);
            let added = server.write(|database| match (what, &chosen) {
                (0..=2, Some((_, id))) => {
                    written::delete(database, *id);
                    None
                }
                (3, Some((_, id))) => {
                    written::rename(database, *id, &name);
                    Some(*id)
                }
                (4, Some((_, id))) => {
                    database
                        .execute(
                            "UPDATE metadata_items SET library_section_id = ?2 WHERE id = ?1",
                            [*id, section],
                        )
                        .expect("moved");
                    written::touch(database, *id);
                    None
                }
                _ => Some(written::add_film(database, section, &name, &name)),
            });
            if let (0..=3, Some((path, _))) = (what, &chosen) {
                there.remove(path);
            }
            if let Some(id) = added {
                there.insert(name.clone(), id);
                once.push(name);
            }
            // Found by its path alone, it may be gone before anything else is asked.
            if dice.roll(4) == 0
                && let Some((path, id)) = there.iter().nth(dice.roll(there.len().max(1)))
            {
                assert_eq!(
                    key_of(&handles[dice.roll(2)], path),
                    Some(*id),
                    "seed {seed}, step {step}: {path}"
                );
            }
        }
        let index = &handles[dice.roll(2)];
        for path in &once {
            assert_eq!(
                key_of(index, path),
                there.get(path).copied(),
                "seed {seed}, step {step}: {path}"
            );
        }
        assert_eq!(
            index.stats().expect("statistics").items,
            there.len() as u64,
            "seed {seed}, step {step}"
        );
    }
}

#[test]
fn what_goes_is_missed_whatever_came_before() {
    for seed in 1..=2 {
        history(seed);
    }
}
