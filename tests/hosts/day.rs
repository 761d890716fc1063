//! A day of the consumer's profile: what Plex is asked by one host, and by ten that share their matches.
//!
//! `cargo test -p plexindex-tests --test hosts a_day -- --ignored --nocapture` prints the counts that `make bench` reads.

use plexindex::options::Mapping;

use super::support::{add, movies, requests};
use super::world::{Host, World};

const HOSTS: usize = 10;
const HOURS: usize = 24;
/// Files that Plex has and that are asked for each hour. A new one and one that Plex lacks come on top.
const FILES: usize = 10;
const ITEMS: u32 = 600;
const MINUTE_MS: i64 = 60_000;

/// The path on a host.
fn path_here(path: &str) -> String {
    path.replacen("/data", "/mnt", 1)
}

impl Host {
    fn key_of(&self, path: &str) -> Option<String> {
        self.movies.ask(path_here(path)).key()
    }

    fn confirm(&self, path: &str, key: &str) {
        assert_eq!(self.key_of(path).as_deref(), Some(key), "{path}");
        self.record(&path_here(path), key);
    }
}

/// The requests of some hours. Each host asks each question; there is one every five minutes.
fn day(hours: usize, hosts: usize, is_shared: bool) -> Option<u64> {
    let world = World {
        server: movies(ITEMS),
        ..World::new()?
    };
    let server = &world.server;
    let hosts = (0..hosts).map(|_| {
        world.new_host(|options| {
            options.shared = options.shared.take().filter(|_| is_shared);
            options.mappings = vec![Mapping::host_to_server("/mnt", "/data")];
        })
    });
    let hosts: Vec<Host> = hosts.collect();
    server.reset();
    let listed: Vec<(u64, Option<String>)> = server.paths(1);
    let new = |hour: usize| format!("/data/movies/Of Hour {hour} (2020)/Of Hour {hour} (2020).mkv");
    for hour in 0..hours {
        if hour > 0 {
            // It was asked for before Plex had it.
            add(server, &[new(hour - 1)]);
        }
        for question in 0..FILES + 2 {
            for host in &hosts {
                if question < FILES {
                    let (key, path) = &listed[hour * FILES + question];
                    host.confirm(path.as_deref().expect("a file"), &key.to_string());
                } else if question > FILES {
                    assert_eq!(host.key_of(&new(hour)), None);
                } else if hour > 0 {
                    assert!(host.key_of(&new(hour - 1)).is_some(), "the file of hour {hour}");
                }
            }
            world.clock.advance_ms(5 * MINUTE_MS);
        }
    }
    Some(requests(server)[5])
}

/// Each host asks by itself, and sharing costs no request.
fn compare(hours: usize) {
    let (Some(one), Some(ten)) = (day(hours, 1, false), day(hours, HOSTS, true)) else {
        return;
    };
    println!("requests: one {one} ten {ten}");
    // A host whose first answer is another host's match probes once more before it lists.
    let count = HOSTS as u64;
    assert!(ten < count * (one + 1), "ten hosts {ten}, one {one}");
}

#[test]
fn some_hours_cost_ten_hosts_at_most_ten_times_as_much_as_one() {
    compare(3);
}

#[test]
#[ignore = "long: `make bench` runs it"]
fn a_day_costs_ten_hosts_at_most_ten_times_as_much_as_one() {
    compare(HOURS);
}
