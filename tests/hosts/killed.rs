//! A host is killed at each step of an exchange: when a message to or from the database is on its way.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use plexindex::options::{Mapping, Options};

use crate::link::Link;
use crate::support::clock;
use crate::support::index::Index;
use crate::support::worker::{Role, Worker, options_at, place, rounds, say};
use crate::world::World;

pub const ROLES: &[Role] = &[("records", records)];

/// The path of a call, and the place of the key that it records. Without one, it takes the path back.
fn call(number: usize) -> (String, Option<usize>) {
    let path = format!("/mnt/odd/{}.mkv", number % 7);
    (path, (number % 3 < 2).then_some(number % 5))
}

/// In a worker: calls, each of which it says when it returns, from a number on.
fn records(words: &[&str]) {
    let options = Options {
        shared: Some(words[3].to_owned()),
        mappings: vec![Mapping::host_to_server("/mnt", "/media")],
        ..options_at(words)
    };
    let index = Index::open_with_clock(options, clock()).expect("opened");
    let movies = index.movies();
    for number in words[4].parse().expect("a number").. {
        let (path, key) = call(number);
        match key {
            Some(key) => movies.record(&path, words[5 + key]),
            None => movies.invalidate_path(path.as_bytes()).expect("invalidated"),
        }
        say(&number.to_string());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_host_that_is_killed_at_any_step_loses_nothing_and_brings_nothing_back() {
    let Some(world) = World::new() else { return };
    let link = Link::to(&world.database);
    let address = link.address(&world.database.name);
    let two = world.host();
    let one = world.host_with(|options| options.shared = Some(address.clone()));
    let (options, _folder) = one.end();
    let keys: Vec<String> = (5..10).map(|nth| world.key(nth)).collect();
    let mut model: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut next = 0;
    for step in 0..rounds("PLEXINDEX_KILLS", 40, 4) {
        let path = format!("/mnt/two/{step}.mkv");
        two.record(&path, &keys[0]);
        model.insert(path, Some(keys[0].clone()));
        link.cut_after(step);
        let mut words = place(&options.cache_dir, &world.server).to_vec();
        words.extend([address.clone(), next.to_string()]);
        words.extend(keys.iter().cloned());
        let worker = Worker::start_with("records", &words);
        link.wait_until_cut();
        let result = |number| {
            let (path, key) = call(number);
            (path, key.map(|key| keys[key].clone()))
        };
        for said in worker.kill() {
            assert_eq!(said, next.to_string());
            let (path, recorded) = result(next);
            model.insert(path, recorded);
            next += 1;
        }
        link.set_cut(false);
        let begun = Instant::now();
        let one = world.open(options.clone(), None);
        world.exchange(&[&one, &two]);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        // The call that did not return may have had its effect.
        let (path, recorded) = result(next);
        if one.recorded(&path) == recorded {
            model.insert(path, recorded);
        }
        next += 1;
        for (path, recorded) in &model {
            assert_eq!(
                [one.recorded(path), two.recorded(path)],
                [(); 2].map(|()| recorded.clone()),
                "{step} {path}"
            );
        }
        one.end();
    }
    let three = world.host();
    world.exchange(&[&three]);
    for (path, recorded) in &model {
        assert_eq!(three.recorded(path), *recorded, "{path}");
    }
}
