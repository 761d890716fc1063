//! However many open a new folder and ask for the same unfetched library at once: one store, and one fetches.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::crash::next_row;
use crate::support::index::{Ask as _, Progress};
use plexindex_standin::{Fault, Kind, Standin};

use crate::support::worker::{Worker, assert_sound, hear_all, is_deep, options_at, place, say, told, until};
use crate::support::{self, Scene, clock, files_in, offline, options, path_of, requests};

/// Waits for the word, opens, asks one path per thread, records a match for each, and says the answers. Says before when it is
/// the one who fetches.
pub fn ask(words: &[&str]) {
    let mut options = options_at(words);
    options.page_size = words[3].parse().expect("a size");
    say("ready");
    told();
    let index = Arc::new(support::open(options, &clock()));
    let fetching = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for path in &words[4..] {
            let (index, fetching) = (&index, &fetching);
            scope.spawn(move || {
                let library = index.movies();
                let progress = |progress: &Progress<'_>| {
                    let total = progress.total.unwrap_or(0);
                    if progress.items * 2 >= total && total > progress.items && !fetching.swap(true, Ordering::SeqCst) {
                        say("half");
                    }
                    ControlFlow::Continue(())
                };
                let found = library.query().progress(progress).answer(path);
                let key = found.key().expect("an item");
                let own = format!("/host{path}");
                library.record(own, &key);
                say(&format!("{path}|{key}"));
            });
        }
    });
    told();
    drop(index);
}

struct Crowd {
    workers: Vec<Worker>,
    expected: Vec<Vec<String>>,
}

impl Crowd {
    fn gather(server: &Standin, folder: &std::path::Path, page_size: &str) -> Self {
        let (processes, threads) = if is_deep() { (50, 8) } else { (12, 3) };
        let place = place(folder, server);
        let mut workers = Vec::new();
        let mut expected = Vec::new();
        for process in 0..processes {
            let mut words = place.to_vec();
            words.push(page_size.to_owned());
            let mut answers = Vec::new();
            for thread in 0..threads {
                let nth = usize::try_from(process * threads + thread).expect("small");
                let (path, key) = path_of(server, 1, nth);
                answers.push(format!("{path}|{key}"));
                words.push(path);
            }
            workers.push(Worker::start_with("flight", &words));
            expected.push(answers);
        }
        hear_all(&mut workers, "ready");
        Self { workers, expected }
    }

    fn go(&mut self) {
        for worker in &mut self.workers {
            worker.tell("go");
        }
    }

    /// Takes the answers of all that are left, and sees that what they recorded is there.
    fn assert_all_right(self, server: &Standin, folder: &std::path::Path) {
        let all = self.expected.concat();
        for (mut worker, mut expected) in self.workers.into_iter().zip(self.expected) {
            while !expected.is_empty() {
                let said = worker.hear();
                if said == "half" {
                    continue;
                }
                let place = expected.iter().position(|answer| *answer == said);
                expected.remove(place.unwrap_or_else(|| panic!("a wrong answer: {said}")));
            }
            worker.end();
        }
        let index = support::open(options(server, folder), &clock());
        let library = index.movies();
        for (path, key) in all.iter().filter_map(|answer| answer.split_once('|')) {
            let found = offline(&library).matched(format!("/host{path}"));
            let found = found.expect("an answer").key();
            assert_eq!(found.as_deref(), Some(key), "{path} was acknowledged, then lost");
        }
        index.close().expect("closes");
        assert_sound(folder);
        let mut names = files_in(folder);
        names.retain(|path| path.extension().is_some_and(|end| end == "broken" || end == "new"));
        assert_eq!(names, [""; 0].map(PathBuf::from), "one store was made");
    }
}

/// Each was listed once, of so many pages: identity, libraries before and after. Once more between, where the one that lists
/// began to ask when the first list of libraries had come already: it reads the change tokens as they are then.
fn assert_once(server: &Standin, pages: u64) {
    let [identity, sections, listing, _, _, all] = requests(server);
    assert_eq!([identity, listing, all], [1, pages, 1 + sections + pages]);
    assert!((2..=3).contains(&sections), "{sections}");
}

#[test]
fn who_lists_after_the_list_of_libraries_came_reads_the_change_tokens_again() {
    for late in [false, true] {
        let at = Scene::movies(100);
        let first = at.open();
        if late {
            first.query().libraries().expect("the list");
        }
        let second = at.open();
        let (path, key) = path_of(&at.server, 1, 3);
        for index in [&second, &first] {
            assert_eq!(index.movies().ask(&path).key(), Some(key.clone()));
        }
        let sections = if late { 3 } else { 2 };
        assert_eq!(requests(&at.server), [1, sections, 1, 0, 0, 2 + sections]);
    }
}

#[test]
fn many_processes_that_ask_for_an_unfetched_library_at_once_cost_one_fetch() {
    let at = Scene::movies(3_500);
    let mut crowd = Crowd::gather(&at.server, at.folder(), "1000");
    at.server.fault(Fault::delay(20).times(0));
    crowd.go();
    crowd.assert_all_right(&at.server, at.folder());
    assert_once(&at.server, 4);
}

#[test]
fn when_the_fetcher_is_killed_half_way_one_other_goes_on() {
    const PASS: u64 = 16;
    let at = Scene::movies(3_000);
    let mut crowd = Crowd::gather(&at.server, at.folder(), "100");
    // However late this process gets its turn, the fetcher has not come to the end by then.
    at.server
        .fault(Fault::delay(600_000).on(Kind::Listing).after(PASS).times(0));
    crowd.go();
    let mut fetcher = None;
    until("half of it is fetched", || {
        for (number, worker) in crowd.workers.iter_mut().enumerate() {
            if worker.heard().is_some_and(|said| said == "half") {
                fetcher = Some(number);
            }
        }
        fetcher.is_some()
    });
    until("what came is stored", || next_row(at.folder()) == PASS * 100);
    until("the next page is asked for", || {
        at.server.stats().of(Kind::Listing) > PASS
    });
    let fetcher = fetcher.expect("one of them");
    crowd.workers.remove(fetcher).kill();
    crowd.expected.remove(fetcher);
    at.server.clear_faults();
    crowd.assert_all_right(&at.server, at.folder());
    let [identity, sections, listing, _, _, all] = requests(&at.server);
    // The page that never came is asked for again.
    assert_eq!(listing, PASS + 1 + 14, "one continuation");
    assert_eq!(identity, 1);
    // Before and after, and once more for each of the two that listed, as in `assert_once`.
    assert!((2..=4).contains(&sections), "{sections}");
    assert_eq!(all, identity + sections + listing);
}
