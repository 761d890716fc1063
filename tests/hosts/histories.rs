//! Random histories of several hosts, each a process: whatever is recorded, taken back, killed, lost, copied and restored, in
//! the end all hosts agree with a map in which the last call counts.
//!
//! `PLEXINDEX_SEED` and `PLEXINDEX_SEEDS` choose the histories.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use plexindex::options::{Mapping, Options};
use tempfile::TempDir;

use crate::cluster::alone;
use crate::link::Link;
use crate::support::worker::{Dice, Role, Worker, choice, options_at, place, rounds, say, told, until};
use crate::support::{clock, copy_of};
use crate::world::{Host, World};

pub const ROLES: &[Role] = &[("host", host)];

const HOSTS: usize = 3;
const STEPS: usize = 30;
/// Paths that hosts record, below their own mapped root.
const NAMES: usize = 6;

/// In a worker: a host that makes the calls that it is told.
fn host(words: &[&str]) {
    let root = words[4];
    let options = Options {
        shared: Some(words[3].to_owned()),
        mappings: vec![Mapping::host_to_server(root, "/media")],
        ..options_at(words)
    };
    let host = Host::open(options, None, clock());
    host.refresh();
    say("");
    while let Some(line) = told() {
        let path = |name: &str| format!("{root}/odd/{name}.mkv");
        let mut found = None;
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["record", name, key] => host.record(&path(name), key),
            ["invalidate", name] => host.movies.invalidate_path(path(name)).expect("invalidated"),
            ["invalidate_item", key] => host.movies.invalidate_item(key).expect("invalidated"),
            ["invalidate_library"] => host.movies.invalidate().expect("invalidated"),
            ["deliver"] => host.deliver(),
            ["recorded", name] => found = host.recorded(&path(name)),
            _ => panic!("{line}"),
        }
        say(&found.unwrap_or_default());
    }
    host.end();
}

/// A folder, and the process that has it open. Without one, the host is away.
struct Place {
    folder: TempDir,
    root: usize,
    worker: Option<Worker>,
}

struct History {
    random: Dice,
    world: World,
    link: Link,
    places: Vec<Place>,
    /// The last call about each name: what it recorded, or that it took it back.
    model: BTreeMap<usize, Option<String>>,
    /// At first, a database without tables.
    backup: Option<String>,
    is_killed: bool,
}

impl History {
    fn new(seed: u64) -> Option<Self> {
        let world = World::over(alone()?.database());
        let place = |root| Place {
            folder: tempfile::tempdir().expect("a folder"),
            root,
            worker: None,
        };
        Some(Self {
            random: Dice::new(seed),
            link: Link::to(&world.database),
            places: (0..HOSTS).map(place).collect(),
            model: BTreeMap::new(),
            backup: Some(world.backup()),
            is_killed: false,
            world,
        })
    }

    /// A number below `limit`.
    fn roll(&mut self, limit: usize) -> usize {
        usize::try_from(self.random.roll(limit as u64)).expect("small")
    }

    /// Tells a host to make a call, and returns what that finds. A host that is away comes back.
    fn ask(&mut self, at: usize, call: &str) -> String {
        let Place { folder, root, worker } = &mut self.places[at];
        let worker = worker.get_or_insert_with(|| {
            let mut words = place(folder.path(), &self.world.server).to_vec();
            words.extend([self.link.address(&self.world.database.name), format!("/mnt/{root}")]);
            let mut worker = Worker::start_with("host", &words);
            worker.hear();
            worker
        });
        worker.ask(call)
    }

    fn record(&mut self, at: usize, name: usize, key: &str) {
        self.ask(at, &format!("record {name} {key}"));
        self.model.insert(name, Some(key.to_owned()));
    }

    fn start_database(&mut self) {
        if std::mem::take(&mut self.is_killed) {
            self.world.database.cluster.restart();
        }
    }

    /// Waits until all hosts have what the model has.
    fn settle(&mut self) {
        self.start_database();
        for at in 0..HOSTS {
            self.ask(at, "deliver");
        }
        let begun = Instant::now();
        for (name, recorded) in self.model.clone() {
            let (call, recorded) = (format!("recorded {name}"), recorded.unwrap_or_default());
            for at in 0..HOSTS {
                until("the hosts agree with the model", || self.ask(at, &call) == recorded);
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }

    fn step(&mut self) {
        let [at, other] = [HOSTS; 2].map(|hosts| self.roll(hosts));
        let (name, nth) = (self.roll(NAMES), self.roll(30));
        let key = self.world.key(nth);
        match self.roll(16) {
            0..5 => self.record(at, name, &key),
            5..7 => {
                self.ask(at, &format!("invalidate {name}"));
                self.model.insert(name, None);
            }
            7 => {
                if let Some(key) = self.model.values().flatten().next().cloned() {
                    self.ask(at, &format!("invalidate_item {key}"));
                    let of_item = |recorded: &&mut Option<String>| recorded.as_ref() == Some(&key);
                    self.model
                        .values_mut()
                        .filter(of_item)
                        .for_each(|recorded| *recorded = None);
                }
            }
            8 => {
                self.ask(at, "invalidate_library");
                self.model.values_mut().for_each(|recorded| *recorded = None);
            }
            // A process ends, perhaps before it delivered.
            9 => self.places[at].worker.take().into_iter().for_each(Worker::end),
            is_host @ 10..13 => {
                // A host or PostgreSQL is killed when a message is on its way.
                self.start_database();
                self.link.cut_after(self.random.roll(12));
                until("the link is cut", || {
                    self.record(at, name, &key);
                    self.link.is_cut()
                });
                if is_host == 10 {
                    self.places[other].worker = None;
                } else {
                    self.world.database.cluster.kill();
                    self.is_killed = true;
                }
                self.link.set_cut(false);
            }
            13 => {
                // A folder is restored, or copied to another host, perhaps with another mapping. What was recorded since is
                // only in the database and with the others.
                self.places[at].worker = None;
                let copy = Place {
                    folder: copy_of(self.places[at].folder.path()),
                    root: self.roll(HOSTS),
                    worker: None,
                };
                self.record(at, name, &key);
                self.settle();
                self.places[other] = copy;
                self.settle();
            }
            14 => {
                self.start_database();
                self.backup = Some(self.world.backup());
            }
            _ => {
                self.start_database();
                if let Some(backup) = self.backup.take() {
                    self.world.restore(&backup);
                }
            }
        }
    }
}

fn history(seed: u64) {
    let Some(mut history) = History::new(seed) else { return };
    for _ in 0..STEPS {
        history.step();
    }
    history.settle();
}

#[test]
fn all_hosts_agree_with_the_last_call() {
    let first = choice("PLEXINDEX_SEED", 0);
    let seeds: Vec<u64> = (first..first + rounds("PLEXINDEX_SEEDS", 4, 12)).collect();
    for seeds in seeds.chunks(4) {
        thread::scope(|scope| {
            for seed in seeds {
                let named = thread::Builder::new().name(format!("seed {seed}"));
                named.spawn_scoped(scope, || history(*seed)).expect("started");
            }
        });
    }
}
