//! What a host keeps itself: exact names, values, expiry and a limit. No server is asked, and every process sees what another
//! stored.
#![allow(unsafe_code)] // fork has no safe door

use crate::support::worker::Role;

use crate::support;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::index::{Index, QueryOptions, failpoint};
use crate::support::worker::{Worker, choice, rounds, say, told, until};
use plexindex::error::Status;
use plexindex::options::{Options, Ttl};
use plexindex::tables::{LONGEST_NAME, Op, Table, Terms};

const KEEP: Terms = Terms {
    ttl: Ttl::Forever,
    limit: None,
};

fn open(folder: &Path) -> Index {
    Index::open(Options {
        cache_dir: folder.into(),
        ..Options::default()
    })
    .expect("it opens")
}

fn table(index: &Index, name: &str) -> Table {
    index.tables().table(name.as_bytes(), false).expect("a table")
}

fn put(table: &Table, name: &str, value: &str) {
    table.put(name.as_bytes(), value.as_bytes(), &KEEP).expect("stored");
}

fn get(table: &Table, name: &str) -> Option<String> {
    let mut found = None;
    let mut take = |value: &[u8]| found = Some(String::from_utf8_lossy(value).into_owned());
    let length = table.get(name.as_bytes(), usize::MAX, &mut take).expect("asked");
    assert_eq!(length.is_some(), found.is_some());
    found
}

fn lookup(table: &Table, name: &str) -> Option<String> {
    table.lookup(name.as_bytes(), |value| String::from_utf8_lossy(value).into_owned())
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).expect("a folder");
    files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|end| end == "segment"))
        .collect()
}

/// Enough for a segment.
fn fill(table: &Table, from: u32) {
    let names: Vec<String> = (from..from + 3_000).map(|n| format!("/films/{n}.mkv\u{e9}")).collect();
    let ops: Vec<Op<'_>> = names
        .iter()
        .map(|name| Op::Put(table, name.as_bytes(), name.as_bytes()))
        .collect();
    table.tables().write(&ops, &KEEP).expect("stored");
}

#[test]
fn names_equal_themselves_only_and_all_handles_see_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (open(folder.path()), open(folder.path()));
    let (films, same) = (table(&one, "Films"), table(&other, "Films"));
    assert_eq!((get(&films, "/a"), lookup(&films, "/a")), (None, None));
    for (name, value) in [
        ("/a", "1"),
        ("/b", "2"),
        ("", "empty"),
        ("\0", "nul"),
        ("/e\u{301}", ""),
    ] {
        put(&films, name, value);
        assert_eq!(get(&same, name).as_deref(), Some(value));
        assert_eq!(lookup(&same, name).as_deref(), Some(value));
    }
    for name in ["/A", "/a/", "/a\0", "/\u{e9}"] {
        assert_eq!((get(&same, name), lookup(&same, name)), (None, None), "{name}");
    }
    assert_eq!(get(&table(&one, "films"), "/a"), None, "tables are apart");
    same.remove(b"/a").expect("removed");
    same.remove(b"/never").expect("removed");
    assert_eq!((lookup(&films, "/a"), get(&films, "/a")), (None, None));
    put(&films, "/a", "3");
    assert_eq!(lookup(&films, "/a").as_deref(), Some("3"));
    assert_eq!(
        (
            films.count().expect("counted"),
            other.tables().count().expect("counted")
        ),
        (5, 5)
    );
    assert_eq!(one.stats().expect("counted").matches, 0, "they are no matches");
}

#[test]
fn case_of_ascii_is_folded_where_that_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    let folding = index.tables().table(b"Films", true).expect("a table");
    put(&folding, "/A/\u{c9}.mkv", "1");
    for name in ["/A/\u{c9}.mkv", "/a/\u{c9}.MKV"] {
        assert_eq!(get(&folding, name).as_deref(), Some("1"));
        assert_eq!(lookup(&folding, name).as_deref(), Some("1"));
    }
    assert_eq!(get(&folding, "/a/\u{e9}.mkv"), None);
    assert_eq!(get(&table(&index, "Films"), "/a/\u{c9}.mkv").as_deref(), Some("1"));
    let long = "X".repeat(300);
    put(&folding, &long, "long");
    assert_eq!(get(&folding, &long.to_lowercase()).as_deref(), Some("long"));
    folding.remove(b"/A/\xc3\x89.MKV").expect("removed");
    assert_eq!(get(&folding, "/A/\u{c9}.mkv"), None);
}

#[test]
fn a_fast_lookup_finds_what_was_compacted() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    let films = table(&index, "Films");
    fill(&films, 0);
    assert_eq!(segments(folder.path()).len(), 1);
    put(&films, "/films/7.mkv\u{e9}", "other");
    films.remove("/films/8.mkv\u{e9}".as_bytes()).expect("removed");
    for index in [index, open(folder.path())] {
        let films = table(&index, "Films");
        get(&films, "");
        for n in 0..3_000 {
            let name = format!("/films/{n}.mkv\u{e9}");
            let expected = match n {
                7 => Some("other".to_owned()),
                8 => None,
                _ => Some(name.clone()),
            };
            assert_eq!(
                (lookup(&films, &name), get(&films, &name)),
                (expected.clone(), expected)
            );
            assert_eq!(lookup(&films, &name[1..]), None);
        }
        assert_eq!(films.count().expect("counted"), 2_999);
    }
}

// On Windows nothing can damage a file that is mapped.
#[cfg(unix)]
#[test]
fn a_segment_that_is_lost_or_damaged_is_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = "/films/2999.mkv\u{e9}";
    fill(&table(&open(folder.path()), "Films"), 0);
    let kept = open(folder.path());
    let mapped = table(&kept, "Films");
    assert_eq!(get(&mapped, name).as_deref(), Some(name));
    let damages: [&dyn Fn(&Path); 3] = [
        &|path| std::fs::remove_file(path).expect("removed"),
        &|path| {
            std::fs::remove_file(path).expect("removed");
            std::fs::write(path, b"no segment").expect("written");
        },
        &|path| {
            let mut bytes = std::fs::read(path).expect("read");
            let end = bytes.len() - 3_000 * 8;
            bytes[4096..end].fill(0xA5);
            std::fs::remove_file(path).expect("removed");
            std::fs::write(path, bytes).expect("written");
        },
    ];
    for damage in damages {
        let stored = segments(folder.path());
        assert!(!stored.is_empty());
        for path in &stored {
            damage(path);
        }
        let index = open(folder.path());
        let films = table(&index, "Films");
        assert_eq!(get(&films, name).as_deref(), Some(name));
        assert_eq!(get(&films, "/nothing"), None);
        until("the segment is back", || {
            get(&films, name);
            lookup(&films, name).as_deref() == Some(name)
        });
        // Those that no row names go once they are old.
        let before = std::time::SystemTime::now() - Duration::from_secs(3_600);
        for path in segments(folder.path()) {
            let file = std::fs::File::options().append(true).open(&path).expect("a file");
            file.set_modified(before).expect("made older");
        }
        fill(&films, 0);
        assert_eq!(get(&mapped, name).as_deref(), Some(name));
    }
}

#[test]
fn values_are_kept_until_they_expire() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (open(folder.path()), open(folder.path()));
    let films = table(&one, "Films");
    put(&films, "x", "1");
    put(&films, "x", "two");
    put(&films, "y", "");
    let with = |ttl| Terms { ttl, limit: None };
    films.put(b"z", b"z", &with(Ttl::Zero)).expect("stored");
    assert_eq!((get(&films, "z"), lookup(&films, "z")), (None, None));
    assert_eq!(films.count().expect("counted"), 3, "until more is stored");
    films
        .put(b"h", b"h", &with(Ttl::For(Duration::from_secs(3600))))
        .expect("stored");
    assert_eq!((get(&films, "z"), get(&films, "h").is_some()), (None, true));
    assert_eq!(other.tables().count().expect("counted"), 3);
    films
        .put(b"soon", b"1", &with(Ttl::For(Duration::from_millis(30))))
        .expect("stored");
    let same = table(&other, "Films");
    until("it expires", || {
        get(&same, "soon").is_none() && lookup(&same, "soon").is_none()
    });
    assert_eq!(
        films.next(Some(b"h")).expect("asked").as_deref(),
        Some(&b"x"[..]),
        "it is not listed either"
    );
    // Too large for the room: its length is told, and it is not read. The same for long values.
    let long = "long".repeat(10_000);
    put(&films, "long", &long);
    for (name, length) in [("x", 3), ("long", 40_000)] {
        let told = same
            .get(name.as_bytes(), 2, &mut |_| panic!("it does not fit"))
            .expect("asked");
        assert_eq!(told, Some(length));
    }
    assert_eq!((get(&same, "long"), lookup(&same, "long")), (Some(long), None));
}

#[test]
fn a_table_is_cleared_at_once_and_filled_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (open(folder.path()), open(folder.path()));
    let (films, shows) = (table(&one, "Films"), table(&one, "Shows"));
    let same = table(&other, "Films");
    for number in 0..3 {
        fill(&films, 0);
        put(&films, "x", "1");
        put(&shows, "x", "2");
        assert_eq!(get(&same, "x").as_deref(), Some("1"));
        if number == 1 {
            one.tables().clear().expect("cleared");
        } else {
            films.clear().expect("cleared");
        }
        assert_eq!(
            (lookup(&same, "x"), get(&same, "x"), same.next(None).expect("asked")),
            (None, None, None)
        );
        assert_eq!(get(&same, "/films/7.mkv\u{e9}"), None);
        assert_eq!(films.count().expect("counted"), 0);
        assert_eq!(get(&shows, "x").is_some(), number != 1);
        put(&same, "x", "again");
        assert_eq!(
            (get(&films, "x").as_deref(), films.count().expect("counted")),
            (Some("again"), 1)
        );
        films.clear().expect("cleared");
    }
    one.clear().expect("cleared");
    assert_eq!(
        get(&shows, "x").as_deref(),
        Some("2"),
        "the index's clear is for what servers show"
    );
}

#[test]
fn what_was_written_longest_ago_goes_first_and_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    let (films, shows) = (table(&index, "Films"), table(&index, "Shows"));
    let terms = Terms {
        ttl: Ttl::Forever,
        limit: Some(3 * (64 + 101) + 20),
    };
    let value = [0; 100];
    let pair = [Op::Put(&films, b"1", &value), Op::Put(&shows, b"2", &value)];
    index.tables().write(&pair, &terms).expect("stored");
    films.put(b"3", &value, &terms).expect("stored");
    assert_eq!(index.tables().count().expect("counted"), 3);
    films.put(b"4", &value, &terms).expect("stored");
    let kept = [get(&films, "1"), get(&shows, "2"), get(&films, "3"), get(&films, "4")].map(|one| one.is_some());
    assert_eq!(kept, [false, false, true, true]);
    // Written again, it is the youngest; and what is stored now stays however large.
    films.put(b"3", &value, &terms).expect("stored");
    shows.put(b"5", &value, &terms).expect("stored");
    shows.put(b"6", &value, &terms).expect("stored");
    assert_eq!((get(&films, "4"), get(&films, "3").is_some()), (None, true));
    shows.put(b"large", &[1; 5_000], &terms).expect("stored");
    assert_eq!(
        (
            index.tables().count().expect("counted"),
            get(&shows, "large").map(|value| value.len())
        ),
        (1, Some(5_000))
    );
    shows.put(b"7", b"", &terms).expect("stored");
    assert_eq!((get(&shows, "large"), get(&shows, "7").as_deref()), (None, Some("")));
}

#[test]
fn what_goes_for_the_limit_is_never_a_confirmed_match() {
    let server = support::movies(3);
    let folder = tempfile::tempdir().expect("a folder");
    let index = support::open(support::options(&server, folder.path()), &support::clock());
    let library = index.library("Movies").expect("a handle");
    let (_, key) = support::path_of(&server, 1, 2);
    library.record_matches(&[(b"/host/a.mkv", &key)]).expect("recorded");
    let terms = Terms {
        ttl: Ttl::Forever,
        limit: Some(64 + 101),
    };
    let films = table(&index, "Films");
    for name in [b"1", b"2", b"3"] {
        films.put(name, &[0; 100], &terms).expect("stored");
    }
    assert_eq!(index.tables().count().expect("counted"), 1);
    // Both handles, and one that makes the segments anew.
    for segment in segments(folder.path()) {
        std::fs::remove_file(segment).expect("removed");
    }
    let other = support::open(support::options(&server, folder.path()), &support::clock());
    for index in [&index, &other] {
        let library = index.library("Movies").expect("a handle");
        let found = index.match_path(&support::offline(&library), b"/host/a.mkv");
        let found = found.expect("an answer").item.map(|item| item.item.rating_key);
        assert_eq!(found.as_ref(), Some(&key));
    }
}

#[test]
fn names_are_listed_in_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    let films = table(&index, "Films");
    for name in ["b", "", "a\0", "a", "\u{ff}"] {
        put(&films, name, "1");
    }
    films.remove(b"b").expect("removed");
    put(&table(&index, "Shows"), "aa", "1");
    let mut names = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    while let Some(next) = films.next(after.as_deref()).expect("asked") {
        names.push(String::from_utf8(next.clone()).expect("text"));
        after = Some(next);
    }
    assert_eq!(names, ["", "a", "a\0", "\u{ff}"]);
}

/// Pseudo-random numbers: the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A change of the model beside that of a table: what is put, or nothing.
type Change = (usize, Vec<u8>, Option<Vec<u8>>);

fn random_change(dice: &mut Dice) -> Change {
    let name = format!("/films/{}.mkv", dice.below(4_000)).into_bytes();
    let length = if dice.below(40) == 0 { 1_500 } else { dice.below(30) };
    let value = (dice.below(5) > 0)
        .then(|| vec![b'a' + u8::try_from(length % 26).unwrap_or(0); usize::try_from(length).unwrap_or(0)]);
    (usize::from(dice.below(8) == 0), name, value)
}

#[test]
fn whatever_is_written_in_whatever_pieces_is_what_is_read() {
    for seed in 0..rounds("PLEXINDEX_SEEDS", 2) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut dice = Dice(seed);
        let mut handles = [open(folder.path()), open(folder.path())];
        let mut model = [(); 2].map(|()| std::collections::BTreeMap::<Vec<u8>, Vec<u8>>::new());
        for round in 0..90 {
            let at = usize::from(dice.below(3) == 0);
            match dice.below(30) {
                0 => handles[at] = open(folder.path()),
                1 => {
                    let files = segments(folder.path());
                    let some = files.get(usize::try_from(dice.below(4)).unwrap_or(0));
                    some.inspect(|path| std::fs::remove_file(path).expect("removed"));
                }
                _ => {}
            }
            let tables = ["Films", "Shows"].map(|name| table(&handles[at], name));
            if dice.below(25) == 0 {
                tables[1].clear().expect("cleared");
                model[1].clear();
            }
            let most = [1, 20, 300, 1_500][usize::try_from(dice.below(4)).unwrap_or(0)];
            let changes: Vec<Change> = (0..=dice.below(most)).map(|_| random_change(&mut dice)).collect();
            let ops: Vec<Op<'_>> = changes
                .iter()
                .map(|(of, name, value)| match value {
                    Some(value) => Op::Put(&tables[*of], name, value),
                    None => Op::Remove(&tables[*of], name),
                })
                .collect();
            tables[0].tables().write(&ops, &KEEP).expect("stored");
            for (of, name, value) in changes {
                match value {
                    Some(value) => model[of].insert(name, value),
                    None => model[of].remove(&name),
                };
            }
            check_against(
                &handles[usize::from(dice.below(2) == 0)],
                &model,
                &mut dice,
                &format!("{seed}, {round}"),
            );
        }
        for (of, name) in ["Films", "Shows"].into_iter().enumerate() {
            let all = table(&handles[0], name);
            let mut names = Vec::new();
            while let Some(next) = all.next(names.last().map(Vec::as_slice)).expect("asked") {
                names.push(next);
            }
            assert!(names.iter().eq(model[of].keys()), "{seed}: {name}");
        }
    }
}

fn check_against(
    index: &Index,
    model: &[std::collections::BTreeMap<Vec<u8>, Vec<u8>>; 2],
    dice: &mut Dice,
    what: &str,
) {
    for (of, name) in ["Films", "Shows"].into_iter().enumerate() {
        let table = table(index, name);
        assert_eq!(
            table.count().expect("counted"),
            model[of].len() as u64,
            "{what}: {name}"
        );
        for _ in 0..60 {
            let (_, name, _) = random_change(dice);
            let mut found = None;
            table
                .get(&name, usize::MAX, &mut |value| found = Some(value.to_vec()))
                .expect("asked");
            assert_eq!(found.as_ref(), model[of].get(&name), "{what}: {}", name.escape_ascii());
            if let Some(fast) = table.lookup(&name, <[u8]>::to_vec) {
                assert_eq!(Some(&fast), found.as_ref(), "{what}: {}", name.escape_ascii());
            }
            let next = table.next(Some(&name)).expect("asked");
            let after = (std::ops::Bound::Excluded(name), std::ops::Bound::Unbounded);
            let wanted = model[of].range(after).next().map(|(name, _)| name.clone());
            assert_eq!(next, wanted, "{what}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_of_it_is_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    let films = table(&index, "Films");
    let long = vec![b'x'; LONGEST_NAME + 1];
    let refused = index
        .tables()
        .write(&[Op::Put(&films, b"a", b"1"), Op::Put(&films, &long, b"2")], &KEEP);
    assert_eq!(refused.expect_err("refused").status, Status::InvalidArgument);
    assert_eq!(index.tables().count().expect("counted"), 0);
    assert!(index.tables().table(&long, false).is_err());
    films.put(&long[1..], b"long", &KEEP).expect("stored");
    assert_eq!(films.get(&long[1..], 9, &mut |_| {}).expect("asked"), Some(4));
}

#[test]
fn tables_and_a_server_s_libraries_are_beside_each_other() {
    let server = support::movies(5);
    let folder = tempfile::tempdir().expect("a folder");
    let index = support::open(support::options(&server, folder.path()), &support::clock());
    put(&table(&index, "Movies"), "x", "1");
    index.refresh(&QueryOptions::default(), false).expect("fetched");
    assert_eq!(get(&table(&index, "Movies"), "x").as_deref(), Some("1"));
    index.clear().expect("cleared");
    index.refresh(&QueryOptions::default(), false).expect("fetched");
    index.tables().clear().expect("cleared");
    assert_eq!(index.stats().expect("counted").items, 5);
    let movies = index.library("Movies").expect("a handle");
    assert!(movies.lookup_key(b"x", str::to_owned).is_none());
}

/// What workers of these tests do.
pub const ROLES: &[Role] = &[("answer", answer), ("fill", fill_for_ever), ("forks", forks)];

/// In a worker: answers until it is told no more.
fn answer(words: &[&str]) {
    let index = open(Path::new(words[0]));
    let films = table(&index, "Films");
    say("ready");
    while let Some(line) = told() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["get", name] => say(&get(&films, name).unwrap_or_default()),
            ["put", name, value] => {
                put(&films, name, value);
                say("done");
            }
            _ => {
                films.clear().expect("cleared");
                say("done");
            }
        }
    }
}

#[test]
fn a_commit_is_seen_by_the_next_lookup_of_another_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    let films = table(&index, "Films");
    let mut other = Worker::start("answer", [&*folder.path().display().to_string()]);
    assert_eq!(other.hear(), "ready");
    for number in 0..rounds("PLEXINDEX_ROUNDS", 200) {
        let value = number.to_string();
        put(&films, "a", &value);
        assert_eq!(other.ask("get a"), value);
        assert_eq!(other.ask(&format!("put b {value}")), "done");
        assert_eq!(lookup(&films, "b"), Some(value.clone()));
        assert_eq!(get(&films, "b"), Some(value));
        if number % 50 == 49 {
            assert_eq!(other.ask("clear"), "done");
            assert_eq!((lookup(&films, "a"), get(&films, "a")), (None, None));
            fill(&films, 0);
        }
    }
    other.end();
}

/// In a worker: writes pairs until it is killed.
fn fill_for_ever(words: &[&str]) {
    let index = open(Path::new(words[0]));
    let (films, shows) = (table(&index, "Films"), table(&index, "Shows"));
    for number in words[1].parse::<u64>().expect("a number").. {
        let value = number.to_string();
        let pair = [
            Op::Clear(&shows),
            Op::Put(&films, b"last", value.as_bytes()),
            Op::Put(&shows, value.as_bytes(), value.as_bytes()),
        ];
        index.tables().write(&pair, &KEEP).expect("stored");
        if number % 64 == 0 {
            fill(&films, 0);
        }
        say(&value);
    }
}

#[test]
fn a_kill_loses_nothing_and_leaves_nothing_half() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().display().to_string();
    let mut said = 0_u64;
    for round in 0..rounds("PLEXINDEX_ROUNDS", 12) {
        let mut writer = Worker::start("fill", [&*place, &(said + 1).to_string()]);
        for _ in 0..=round * 17 % 90 {
            said = writer.hear().parse().expect("a number");
        }
        let rest = writer.kill();
        said = rest.iter().filter_map(|line| line.parse().ok()).max().unwrap_or(said);
        let index = open(folder.path());
        let (films, shows) = (table(&index, "Films"), table(&index, "Shows"));
        let last: u64 = get(&films, "last").expect("stored").parse().expect("a number");
        assert!(last == said || last == said + 1, "{last}, and it said {said}");
        assert_eq!(get(&shows, &last.to_string()), Some(last.to_string()), "all or nothing");
        assert_eq!(shows.next(None).expect("asked"), Some(last.to_string().into_bytes()));
        assert_eq!(shows.count().expect("counted"), 1);
        said = last;
    }
}

/// A folder as a process leaves it that is killed at a step, and how many writes had returned.
type Left = (tempfile::TempDir, u32);

/// The folder that is heard, what was left of it at each step, and the writes that returned.
static HEARD: std::sync::Mutex<Option<(PathBuf, Vec<Left>, u32)>> = std::sync::Mutex::new(None);

fn copy(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copied");
    }
    copy
}

#[allow(clippy::unnecessary_wraps)] // a failpoint may refuse a step
fn hear(step: failpoint::FileStep<'_>) -> std::io::Result<()> {
    let (at, to) = match step {
        failpoint::FileStep::Make(at) | failpoint::FileStep::Remove(at) => (at, None),
        failpoint::FileStep::Rename(at, to) => (at, Some(to)),
        _ => return Ok(()), // a lock, or what is forced to the disk
    };
    let mut heard = HEARD.lock().expect("no panic");
    // Compared as the system writes them: paths of the index have no `\\?\` on Windows.
    let is_in = |folder: &Path| {
        at.parent()
            .is_some_and(|at| at.canonicalize().is_ok_and(|at| at == folder))
    };
    let Some((folder, left, returned)) = heard.as_mut().filter(|(folder, ..)| is_in(folder)) else {
        return Ok(());
    };
    left.push((copy(folder), *returned));
    if let Some(to) = to {
        // It has its name, and the manifest does not name it.
        let renamed = copy(folder);
        let name = |path: &Path| renamed.path().join(path.file_name().expect("a name"));
        std::fs::rename(name(at), name(to)).expect("renamed");
        left.push((renamed, *returned));
    }
    Ok(())
}

/// What so many writes leave: of each, 600 names, of which the next write removes every third.
fn after(writes: u32) -> std::collections::BTreeSet<u32> {
    let all = (0..writes).flat_map(|write| write * 600..write * 600 + 600);
    all.filter(|name| name % 3 != 0 || name / 600 + 1 == writes).collect()
}

/// At each step of making, naming and merging segments; then the same where the power was cut, which takes what was written to
/// files that were not forced to the disk.
#[test]
fn a_kill_or_a_power_cut_at_any_step_of_a_segment_loses_nothing() {
    failpoint::install(hear);
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().canonicalize().expect("a path");
    let writes = 21_u32;
    {
        let index = open(&place);
        let films = table(&index, "Films");
        put(&films, "0", "0");
        *HEARD.lock().expect("no panic") = Some((place.clone(), Vec::new(), 0));
        for write in 0..writes {
            let first = write * 600;
            let new: Vec<String> = (first..first + 600).map(|name| name.to_string()).collect();
            let old: Vec<String> = (first.saturating_sub(600)..first)
                .filter(|name| name % 3 == 0)
                .map(|name| name.to_string())
                .collect();
            let gone = old.iter().map(|name| Op::Remove(&films, name.as_bytes()));
            let put = new.iter().map(|name| Op::Put(&films, name.as_bytes(), name.as_bytes()));
            films
                .tables()
                .write(&gone.chain(put).collect::<Vec<_>>(), &KEEP)
                .expect("stored");
            if let Some((_, _, returned)) = &mut *HEARD.lock().expect("no panic") {
                *returned = write + 1;
            }
        }
    }
    let (_, left, _) = HEARD.lock().expect("no panic").take().expect("heard");
    assert!(left.len() > 60, "{} steps", left.len());
    // Names are counted after each step, and read after some.
    let step = choice("PLEXINDEX_STEP", 3);
    for (nth, (folder, returned)) in left.into_iter().enumerate() {
        for is_cut in [false, true] {
            for segment in segments(folder.path()).into_iter().filter(|_| is_cut) {
                std::fs::write(segment, b"").expect("written");
            }
            let index = open(folder.path());
            let films = table(&index, "Films");
            let count = films.count().expect("counted");
            let counts = [returned, returned + 1].map(|writes| after(writes).len().max(1) as u64);
            assert!(
                counts.contains(&count),
                "step {nth}, {returned} writes returned, cut: {is_cut}: {count} names"
            );
            if !(nth as u64).is_multiple_of(step) {
                continue;
            }
            let mut found = std::collections::BTreeSet::new();
            let mut last = None;
            while let Some(name) = films.next(last.as_deref()).expect("asked") {
                let text = String::from_utf8(name.clone()).expect("a text");
                assert_eq!(get(&films, &text), Some(text.clone()), "step {nth}");
                found.insert(text.parse().expect("a number"));
                last = Some(name);
            }
            let is_right = |writes| found == after(writes) || writes == 0 && found.len() == 1;
            assert!(
                is_right(returned) || is_right(returned + 1),
                "step {nth}, {returned} writes returned, cut: {is_cut}: {} names",
                found.len()
            );
            assert_eq!(count, found.len() as u64, "step {nth}");
        }
    }
}

#[cfg(windows)]
fn forks(_: &[&str]) {}

/// In a worker, as a fork waits for all indexes of its process: forks while another thread reads and writes.
#[cfg(unix)]
fn forks(words: &[&str]) {
    let index = open(Path::new(words[0]));
    let films = table(&index, "Films");
    fill(&films, 0);
    put(&films, "busy", "0");
    for number in 0..20 {
        let name = format!("child {number}");
        let stop = std::sync::atomic::AtomicBool::new(false);
        let state = std::thread::scope(|scope| {
            scope.spawn(|| {
                // Holds what a fork has to wait for, again and again.
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    put(&films, "busy", "1");
                    lookup(&films, "busy");
                    get(&films, "/films/1.mkv\u{e9}");
                }
            });
            // SAFETY: the child uses what a fork leaves usable, and ends without returning.
            let state = unsafe {
                let child = libc::fork();
                if child == 0 {
                    put(&films, &name, "here");
                    let right = get(&films, &name).as_deref() == Some("here") && get(&films, "busy").is_some();
                    libc::_exit(i32::from(!right));
                }
                let mut state = 0;
                assert_eq!(libc::waitpid(child, &raw mut state, 0), child);
                state
            };
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            state
        });
        assert_eq!(state, 0);
        assert_eq!(get(&films, &name).as_deref(), Some("here"));
    }
    assert_eq!(films.count().expect("counted"), 3_021);
    say("done");
}

#[cfg(unix)]
#[test]
fn both_sides_of_a_fork_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut worker = Worker::start("forks", [&*folder.path().display().to_string()]);
    assert_eq!(worker.hear(), "done");
    worker.end();
    assert_eq!(table(&open(folder.path()), "Films").count().expect("counted"), 3_021);
}
