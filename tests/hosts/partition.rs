//! A real partition: the engine is in a network namespace, each host has a link to it, and packets of one link are dropped.

use std::io::{BufRead, BufReader, Read};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use plexindex_sharing::{EntryKind, Position, SharedIndex, SharedLog};

use crate::cluster::Cluster;
use crate::host::{Host, SHORT};
use crate::postgres::NONE;
use crate::support::index::QueryOptions;
use crate::support::{HOUR_MS, add, clock, movies, path_of};

/// An address that no link has.
const NOBODY: &str = "02:00:00:00:00:99";

fn ip(arguments: &str) -> bool {
    let status = Command::new("ip")
        .args(arguments.split(' '))
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

#[track_caller]
fn ip_must(arguments: &str) {
    assert!(ip(arguments), "ip {arguments}");
}

/// Two namespaces with two links between them; removed at the end.
struct Namespaces {
    hosts: String,
    engine: String,
}

impl Namespaces {
    /// `None` if this process may make none.
    fn new(test: &str) -> Option<Self> {
        let made = Self {
            hosts: format!("plexindex-{}-hosts", std::process::id()),
            engine: format!("plexindex-{}-engine", std::process::id()),
        };
        if !ip(&format!("netns add {}", made.hosts)) || !ip(&format!("netns add {}", made.engine)) {
            eprintln!("{test} is skipped: this user may make no network namespace");
            return None;
        }
        let Self { hosts, engine } = &made;
        for space in [hosts, engine] {
            ip_must(&format!("-n {space} link set lo up"));
        }
        for number in 0..2 {
            let [here, there] = [address(number, 1), address(number, 2)];
            ip_must(&format!(
                "-n {hosts} link add host{number} type veth peer engine{number} netns {engine}"
            ));
            ip_must(&format!("-n {hosts} addr add {here}/24 dev host{number}"));
            ip_must(&format!("-n {engine} addr add {there}/24 dev engine{number}"));
            ip_must(&format!("-n {hosts} link set host{number} up"));
            ip_must(&format!("-n {engine} link set engine{number} up"));
        }
        Some(made)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for space in [&self.hosts, &self.engine] {
            ip(&format!("netns del {space}"));
        }
    }
}

fn address(link: u8, end: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, link, end)
}

/// What passes a link.
#[derive(Clone, Copy, Debug)]
enum Passes {
    All,
    /// Answers are dropped.
    Requests,
    Nothing,
}

/// Sets what passes the link of a host. Nobody is told: packets are sent to an address that nobody has.
fn set(engine: &str, link: u8, passes: Passes) {
    let [here, there] = [address(link, 1), address(link, 2)];
    let sides = [
        (
            format!("neigh {{}} {there} dev host{link}"),
            matches!(passes, Passes::Nothing),
        ),
        (
            format!("-n {engine} neigh {{}} {here} dev engine{link}"),
            !matches!(passes, Passes::All),
        ),
    ];
    for (side, is_cut) in sides {
        if is_cut {
            ip_must(&format!(
                "{} lladdr {NOBODY} nud permanent",
                side.replace("{}", "replace")
            ));
        } else {
            ip(&side.replace("{}", "del")); // there may be none
        }
    }
}

fn timed<R>(what: &str, call: impl FnOnce() -> R) -> R {
    let begun = Instant::now();
    let result = call();
    assert!(begun.elapsed() < SHORT, "{what}: {:?}", begun.elapsed());
    result
}

/// A test of this file in a process in a namespace.
fn process(space: &str, test: &str, given: String) -> Child {
    Command::new("ip")
        .args(["netns", "exec", space])
        .arg(std::env::current_exe().expect("known"))
        .args([&*format!("partition::{test}"), "--exact", "--ignored", "--nocapture"])
        .env("PLEXINDEX_PARTITION", given)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("started")
}

#[test]
fn dropped_packets_cost_a_call_one_short_attempt_and_lose_nothing() {
    let test = "dropped_packets_cost_a_call_one_short_attempt_and_lose_nothing";
    let Some(spaces) = Namespaces::new(test) else { return };
    let mut engine = process(&spaces.engine, "the_engine", test.into());
    let mut lines = BufReader::new(engine.stdout.take().expect("piped"))
        .lines()
        .map_while(Result::ok);
    let database = lines.find_map(|line| Some(line.split_once("database ")?.1.to_owned()));
    if let Some(database) = database {
        let hosts = process(&spaces.hosts, "the_hosts", format!("{} {database}", spaces.engine));
        let ended = hosts.wait_with_output().expect("ended");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    }
    drop(engine.stdin.take());
    lines.for_each(drop);
    assert!(engine.wait().is_ok_and(|status| status.success()));
}

#[test]
#[ignore = "a process of the test before"]
fn the_engine() {
    let Ok(test) = std::env::var("PLEXINDEX_PARTITION") else {
        return;
    };
    let Some(cluster) = Cluster::start(&test, &["listen_addresses=*"]) else {
        return;
    };
    cluster.allow("host all all 10.77.0.0/16 trust");
    println!("\ndatabase {} {}", cluster.port, cluster.database().name);
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

#[test]
#[ignore = "a process of the test before"]
fn the_hosts() {
    let Ok(given) = std::env::var("PLEXINDEX_PARTITION") else {
        return;
    };
    let [engine, port, database] = given.split(' ').collect::<Vec<_>>()[..] else {
        return;
    };
    let (server, clock) = (movies(60), clock());
    let [one, two] = [0, 1].map(|link| {
        let there = address(link, 2);
        let address = format!("postgresql://postgres@{there}:{port}/{database}?sslmode=disable");
        Host::new(&server, &clock, &address, false)
    });
    // The log was away for a moment if the machine is busy.
    let exchange = |host: &Host| {
        let begun = Instant::now();
        while !host.index.exchange() {
            assert!(begun.elapsed().as_secs() < 60, "no answer");
            clock.advance_ms(6_000);
        }
    };
    for host in [&one, &two] {
        host.refresh();
        exchange(host);
    }
    let [first, second] = [5, 6].map(|nth| path_of(&server, 1, nth).1);
    for (nth, passes) in [Passes::Nothing, Passes::Requests, Passes::Nothing]
        .into_iter()
        .enumerate()
    {
        let path = |name: &str| format!("/mnt/{nth}/{name}.mkv");
        set(engine, 0, passes);
        one.record(&path("odd"), &first);
        timed("an exchange", || assert!(!one.index.exchange(), "{passes:?}"));
        timed("another one", || assert!(!one.index.exchange(), "{passes:?}"));
        let status = timed("the status", || one.index.shared_status());
        let why = status.expect("there").expect("shared").error.expect("away");
        assert!(
            why.contains("in time") || why.contains("timed out"),
            "dropped, not reset: {why}"
        );
        // The other host goes on.
        exchange(&two);
        two.record(&path("both"), &second);
        two.record(&path("odd"), &second);
        exchange(&two);
        // After a while this host asks the server itself.
        let new = format!("/media/new/{nth}.mkv");
        add(&server, std::slice::from_ref(&new));
        clock.advance_ms(2 * HOUR_MS);
        timed("a refresh", || {
            one.index.refresh(&QueryOptions::default(), false).expect("refreshed");
        });
        assert!(one.movies.match_path(new.as_bytes()).expect("answered").item.is_some());
        set(engine, 0, Passes::All);
        clock.advance_ms(6_000);
        for host in [&one, &two, &one] {
            exchange(host);
        }
        // The order of the log decides: where the request arrived, it was the first.
        let last = match passes {
            Passes::Requests => &second,
            _ => &first,
        };
        for host in [&one, &two] {
            assert_eq!(host.confirmed(&path("both")), Some(second.clone()), "{passes:?}");
            assert_eq!(host.confirmed(&path("odd")).as_ref(), Some(last), "{passes:?}");
        }
        let view = two.log.summary(NONE).expect("read")[0].view;
        let news = two.log.read(view, Position::default(), 1_000, NONE).expect("read");
        let name = format!("/media/{nth}/odd.mkv").into_bytes();
        let is_told = |entry: &&plexindex_sharing::Entry| entry.name.kind == EntryKind::Match && entry.name.key == name;
        assert_eq!(news.entries.iter().filter(is_told).count(), 1);
    }
}
