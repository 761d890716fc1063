//! Random calls have the same results in both logs: what is tested with the log in memory holds in `PostgreSQL` too.
//!
//! `PLEXINDEX_SEED` and `PLEXINDEX_SEEDS` choose the histories.

use plexindex_sharing::{EntryKind, HostId, LEASE, Lease, NewEntry, News, Position};

use crate::fixture::{Fixture, NONE, entry, memory, postgres};
use crate::support::number;

/// A small generator, so that a seed is one history for ever.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).expect("below")
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.next(all.len())].clone()
    }
}

struct Both {
    seed: u64,
    random: Random,
    logs: [Fixture; 2],
    /// What each log gave: marks and fences are its own.
    positions: Vec<[Position; 2]>,
    leases: Vec<[Lease; 2]>,
    calls: Vec<String>,
}

impl Both {
    /// Makes a call to both, and compares what they say.
    fn ask<T, S: PartialEq + std::fmt::Debug>(
        &mut self,
        what: String,
        call: impl Fn(&Fixture, usize) -> T,
        said: impl Fn(&T) -> S,
    ) -> [T; 2] {
        self.calls.push(what);
        let [one, two] = [0, 1].map(|at| call(&self.logs[at], at));
        assert_eq!(said(&one), said(&two), "seed {}: {:#?}", self.seed, self.calls);
        [one, two]
    }

    /// The same for a call whose result is compared as it is.
    fn same<T: Clone + PartialEq + std::fmt::Debug>(&mut self, what: String, call: impl Fn(&Fixture, usize) -> T) {
        let _ = self.ask(what, call, Clone::clone);
    }

    fn host(&mut self) -> HostId {
        HostId(i64::try_from(self.random.next(3)).expect("small") + 1)
    }

    fn entries(&mut self) -> Vec<NewEntry> {
        let entry = |random: &mut Random| {
            let kind = random.of(&EntryKind::ALL);
            let (library, key) = (random.of(&["movies", "shows"]), random.of(&["1", "2", "3"]));
            entry(kind, library, key, random.of(&["", "1", "2", "3"]))
        };
        let count = 1 + self.random.next(5);
        (0..count).map(|_| entry(&mut self.random)).collect()
    }

    /// What the host knows to have delivered, and entries with ascending numbers.
    fn delivery(&mut self) -> (u64, Vec<(u64, NewEntry)>) {
        let mut number = self.random.next(20) as u64;
        let mut numbered = Vec::new();
        for entry in self.entries() {
            number += 1 + self.random.next(3) as u64;
            numbered.push((number, entry));
        }
        if self.random.next(6) == 0 {
            numbered.clear();
        }
        (self.random.next(20) as u64, numbered)
    }

    fn step(&mut self) {
        let host = self.host();
        match self.random.next(12) {
            0 | 1 => {
                let entries = self.entries();
                let lease = (!self.leases.is_empty() && self.random.next(2) == 0).then(|| {
                    let nth = self.random.next(self.leases.len());
                    self.leases[nth].clone()
                });
                let what = format!("append {host:?} {entries:?} {lease:?}");
                let call = |log: &Fixture, at: usize| {
                    let lease = lease.as_ref().map(|both| &both[at]);
                    log.log.append(log.view, host, &entries, lease, NONE)
                };
                self.same(what, call);
            }
            2..=4 => {
                let (known, entries) = self.delivery();
                let what = format!("deliver {host:?} {known} {entries:?}");
                let call = |log: &Fixture, _| log.log.deliver(log.view, host, known, &entries, NONE);
                self.same(what, call);
            }
            5..=7 => self.read(),
            8 => {
                let what = self.random.of(&["probe", "fetch movies"]);
                let call = |log: &Fixture, _| log.log.lease(log.view, what, NONE).expect("asked");
                let [one, two] = self.ask(format!("lease {what}"), call, Option::is_some);
                self.leases.extend(one.zip(two).map(|(one, two)| [one, two]));
            }
            9 if !self.leases.is_empty() => {
                let lease = self.random.of(&self.leases.clone());
                let renews = self.random.next(2) == 0;
                let call = |log: &Fixture, at: usize| {
                    if renews {
                        return log.log.renew(&lease[at], NONE);
                    }
                    log.log.release(&lease[at], NONE).map(|()| true)
                };
                self.same(format!("renew {renews} {lease:?}"), call);
            }
            10 if !self.leases.is_empty() => self.publish(host),
            11 if self.random.next(10) == 0 => {
                self.same("clear".into(), |log, _| log.log.clear(NONE));
            }
            _ => {
                let names: Vec<_> = self.entries().into_iter().map(|entry| entry.name).collect();
                let call = |log: &Fixture, _| log.log.find(log.view, &names, NONE).expect("read");
                let said = |found: &Vec<plexindex_sharing::Entry>| {
                    let fact = |entry: &plexindex_sharing::Entry| (entry.number, entry.host, entry.body.clone());
                    let mut facts: Vec<_> = found.iter().map(fact).collect();
                    facts.sort();
                    facts.dedup();
                    facts
                };
                self.ask(format!("find {names:?}"), call, said);
            }
        }
    }

    fn publish(&mut self, host: HostId) {
        let lease = self.random.of(&self.leases.clone());
        let included = self.random.next(30) as u64;
        let number = u32::try_from(self.random.next(2)).expect("small");
        let call = |log: &Fixture, at: usize| log.log.put_chunk(&lease[at], "movies", number, b"chunk", NONE);
        self.same(format!("put chunk {number} {lease:?}"), call);
        let head = entry(EntryKind::Listing, "movies", "", "head");
        let call = |log: &Fixture, at: usize| log.log.publish_listing(&lease[at], host, &head, included, NONE);
        self.same(format!("publish {lease:?} {included}"), call);
        let lease = self.random.of(&self.leases.clone());
        let call = |log: &Fixture, at: usize| log.log.chunk(log.view, "movies", lease[at].fence, number, NONE);
        self.same(format!("chunk {number} {lease:?}"), call);
    }

    fn read(&mut self) {
        let from = self.random.of(&self.positions.clone());
        let limit = 1 + self.random.next(8);
        let call = |log: &Fixture, at: usize| log.log.read(log.view, from[at], limit, NONE).expect("read");
        let said = |news: &News| {
            let entries = news.entries.iter().map(|entry| {
                let name = (entry.name.clone(), entry.body.clone());
                (entry.number, entry.host, name)
            });
            (
                entries.collect::<Vec<_>>(),
                news.position.number,
                news.more,
                news.from_start,
            )
        };
        let [one, two] = self.ask(format!("read {limit} from {from:?}"), call, said);
        self.positions.push([one.position, two.position]);
    }

    fn end(&mut self) {
        let call = |log: &Fixture, _| log.log.read(log.view, Position::default(), 1_000, NONE).expect("read");
        let said = |news: &News| {
            let fact =
                |entry: &plexindex_sharing::Entry| (entry.number, entry.host, entry.name.clone(), entry.body.clone());
            news.entries.iter().map(fact).collect::<Vec<_>>()
        };
        self.ask("read all".into(), call, said);
        let call = |log: &Fixture, _| log.log.summary(NONE).expect("read");
        self.ask("summary".into(), call, |found| {
            let facts = |view: &plexindex_sharing::LogSummary| (view.last, view.hosts, view.entries.clone());
            // One of them has a view already that nothing was written to.
            let written = found.iter().filter(|view| view.last > 0);
            written.map(facts).collect::<Vec<_>>()
        });
    }
}

#[test]
fn random_calls_have_the_same_results_in_both() {
    let first = number("PLEXINDEX_SEED").unwrap_or(1);
    for seed in first..first + number("PLEXINDEX_SEEDS").unwrap_or(8) {
        let Some(other) = postgres("random_calls_have_the_same_results_in_both", LEASE) else {
            return;
        };
        let mut both = Both {
            seed,
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            logs: [memory(LEASE), other],
            positions: vec![[Position::default(); 2]],
            leases: Vec::new(),
            calls: Vec::new(),
        };
        for _ in 0..150 {
            both.step();
        }
        both.end();
    }
}
