//! One story, told over each source: after each chapter an index over any of them gives the same answers.

use crate::support::index::{Match, QueryOptions};

use crate::source_contract::database::Database;
use crate::source_contract::in_memory::{Bare, Best, Usual};
use crate::source_contract::plex::Plex;
use crate::source_contract::rig::{FOLDER, HOUR_MS, Rig, Scene, TITLE};

/// A random number generator that is the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % most
    }
}

/// What of an answer does not depend on the source: all but the keys, and ages.
fn shown(asked: &str, found: &Match) -> String {
    let item = found.item.as_ref();
    format!(
        "{asked}: {:?} {:?} {:?} {:?} {} {}",
        found.status,
        found.match_kind,
        found.confidence,
        found.reason,
        item.map_or("-", |item| &item.item.title),
        item.map_or_else(String::new, |item| String::from_utf8_lossy(&item.path).into_owned()),
    )
}

fn told<R: Rig>(seed: u64) -> Vec<String> {
    let scene = Scene::<R>::listed(16);
    let library = scene.index.library(TITLE).expect("a handle");
    let mut dice = Dice(seed);
    let mut story = Vec::new();
    // Paths in the order in which they came: keys order differently in each source.
    let mut names: Vec<String> = (0..16).map(|number| format!("Film {number}")).collect();
    let mut asked: Vec<String> = names.clone();
    let path = |name: &str| format!("{FOLDER}/{name}.mkv");
    let key = |name: &str| {
        let found = scene.rig.paths().into_iter().find(|(_, one)| *one == path(name));
        found.expect("such a film").0
    };
    for chapter in 0..5 {
        for event in 0..=dice.below(4) {
            let name = format!("Chapter {chapter} {event}");
            match dice.below(3) {
                0 => {
                    scene.rig.add(&name, &path(&name));
                    names.push(name.clone());
                }
                1 => {
                    let gone = names.swap_remove(dice.below(names.len()));
                    scene.rig.remove(&[key(&gone)]);
                }
                _ => {
                    let place = dice.below(names.len());
                    scene.rig.rename(&key(&names[place]), &path(&name));
                    names[place].clone_from(&name);
                }
            }
            asked.push(name);
        }
        // Long enough for every token, and every listing.
        scene.clock.advance_ms(25 * HOUR_MS);
        for name in &asked {
            let found = library.match_path(path(name).as_bytes()).expect("an answer");
            assert!(!found.stale, "{name}");
            assert_eq!(
                found.item.is_some(),
                names.contains(name),
                "seed {seed}, chapter {chapter}: {name}"
            );
            story.push(shown(name, &found));
            let by_title = scene
                .index
                .search_title(&QueryOptions::default(), &format!("\"{name}\""));
            story.push(format!("{:?}", by_title.expect("an answer").status));
        }
        story.push(scene.index.stats().expect("statistics").items.to_string());
    }
    story
}

#[test]
fn the_same_story_has_the_same_answers_over_every_source() {
    for seed in 1..3 {
        let usual = told::<Usual>(seed);
        for (name, other) in [
            ("best", told::<Best>(seed)),
            ("bare", told::<Bare>(seed)),
            ("plex", told::<Plex>(seed)),
            ("database", told::<Database>(seed)),
        ] {
            for (line, expected) in other.iter().zip(&usual) {
                assert_eq!(line, expected, "seed {seed}, {name}");
            }
            assert_eq!(other.len(), usual.len());
        }
    }
}
