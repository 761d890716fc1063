//! Random histories of several hosts: whatever is recorded, taken back, lost and restored, in the end all hosts agree with
//! a map in which the last call counts.
//!
//! `PLEXINDEX_SEED` and `PLEXINDEX_SEEDS` choose the histories of `histories_for_long`.

use std::collections::BTreeMap;

use plexindex::options::Mapping;

use crate::cluster::shared;
use crate::support::copy_of;
use crate::support::worker::{Dice, until};
use crate::world::{Host, World};

const HOSTS: usize = 3;
const STEPS: usize = 50;
/// Paths that hosts record, below their own mapped root.
const NAMES: usize = 6;

/// A path of the host at this place.
fn path(at: usize, name: usize) -> String {
    format!("/mnt/{at}/odd/{name}.mkv")
}

struct History {
    random: Dice,
    world: World,
    hosts: Vec<Option<Host>>,
    /// The last call about each name: what it recorded, or that it took it back.
    model: BTreeMap<usize, Option<String>>,
}

impl History {
    fn new(seed: u64) -> Option<Self> {
        let world = World::over(shared()?.database());
        let host = |at: usize| {
            let root = format!("/mnt/{at}");
            Some(world.host_with(|options| options.mappings = vec![Mapping::host_to_server(root, "/media")]))
        };
        Some(Self {
            random: Dice::new(seed),
            hosts: (0..HOSTS).map(host).collect(),
            world,
            model: BTreeMap::new(),
        })
    }

    /// A number below `limit`.
    fn roll(&mut self, limit: usize) -> usize {
        usize::try_from(self.random.roll(limit as u64)).expect("small")
    }

    fn step(&mut self) {
        let (at, name) = (self.roll(HOSTS), self.roll(NAMES));
        let host = self.hosts[at].take().expect("there");
        let host = match self.roll(12) {
            0..5 => {
                let key = self.roll(30);
                let key = self.world.key(key);
                host.record(&path(at, name), &key);
                self.model.insert(name, Some(key));
                host
            }
            5..7 => {
                host.movies
                    .invalidate_path(path(at, name).as_bytes())
                    .expect("invalidated");
                self.model.insert(name, None);
                host
            }
            7 => {
                // What this host knows of the item, which may be less than others know.
                host.deliver();
                self.agree(&[(at, &host)]);
                let keys: Vec<String> = self.model.values().flatten().cloned().collect();
                if let Some(key) = keys.first() {
                    host.movies.invalidate_item(key).expect("invalidated");
                    for recorded in self
                        .model
                        .values_mut()
                        .filter(|recorded| recorded.as_ref() == Some(key))
                    {
                        *recorded = None;
                    }
                }
                host
            }
            8 => {
                host.movies.invalidate().expect("invalidated");
                (0..NAMES).for_each(|name| drop(self.model.insert(name, None)));
                host.refresh();
                host
            }
            9 => {
                // A process ends, perhaps before it delivered, and another one begins.
                self.world.reopened(host, |_| {})
            }
            10 => {
                let (mut options, folder) = host.end();
                let copied = copy_of(&options.cache_dir);
                let host = self.world.open(options.clone(), folder);
                let key = self.world.key(name);
                host.record(&path(at, name), &key);
                self.model.insert(name, Some(key));
                // What was recorded since the copy is only in the database.
                host.deliver();
                let (_, _old) = host.end();
                copied.path().clone_into(&mut options.cache_dir);
                self.world.open(options, Some(copied))
            }
            _ => {
                // The database forgets what was delivered last.
                host.deliver();
                self.world.database.sql(
                    "DO $$ DECLARE kept bigint; BEGIN \
                     LOCK TABLE plexindex_shared.views IN EXCLUSIVE MODE; \
                     SELECT coalesce(max(m.seq), 0) INTO kept FROM plexindex_shared.marks m, plexindex_shared.views v \
                     WHERE m.seq <= v.seq - 3; \
                     DELETE FROM plexindex_shared.marks WHERE seq > kept; \
                     DELETE FROM plexindex_shared.matches WHERE seq > kept; \
                     UPDATE plexindex_shared.views SET seq = kept; END $$",
                );
                host
            }
        };
        self.hosts[at] = Some(host);
    }

    /// Waits until a host has what the model has.
    fn agree(&self, hosts: &[(usize, &Host)]) {
        for (at, host) in hosts {
            for (name, recorded) in &self.model {
                let path = path(*at, *name);
                until("the hosts agree with the model", || host.recorded(&path) == *recorded);
            }
        }
    }
}

fn history(seed: u64) {
    let Some(mut history) = History::new(seed) else { return };
    for _ in 0..STEPS {
        history.step();
    }
    let hosts: Vec<(usize, &Host)> = history.hosts.iter().flatten().enumerate().collect();
    for (_, host) in &hosts {
        host.deliver();
    }
    history.agree(&hosts);
}

#[test]
fn all_hosts_agree_with_the_last_call() {
    (0..6).for_each(history);
}

#[test]
#[ignore = "long: PLEXINDEX_SEED and PLEXINDEX_SEEDS choose the histories"]
fn histories_for_long() {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .map_or(default, |text| text.parse().expect("a number"))
    };
    let first = number("PLEXINDEX_SEED", 0);
    for seed in first..first + number("PLEXINDEX_SEEDS", 100) {
        println!("seed {seed}");
        history(seed);
    }
}
