//! Tests which hints are written for which events, and when, with a manual clock.

use super::*;

struct Bench {
    debouncer: Debouncer,
    now: i64,
    /// The hints written, with their times.
    written: Vec<(i64, LibraryHint)>,
    /// The libraries that were announced, with the time since the start of the test.
    news: Vec<(i64, Option<String>)>,
}

impl Bench {
    fn new() -> Self {
        Self {
            debouncer: Debouncer::new(DebounceIntervals::default()),
            now: 1_000_000,
            written: Vec::new(),
            news: Vec::new(),
        }
    }

    /// Advances the time, and writes hints when they are due, as the watching thread does.
    fn wait(&mut self, ms: i64) -> &mut Self {
        let end = self.now + ms;
        while let Some(at) = self.debouncer.next_due(self.now).filter(|at| *at <= end) {
            self.now = at.max(self.now);
            let news = self.debouncer.take_news(self.now);
            if !news.is_empty() {
                self.news
                    .extend(news.into_iter().map(|section| (self.now - 1_000_000, section)));
                continue;
            }
            let marks = self.debouncer.take_due(self.now);
            assert!(!marks.is_empty(), "woken for nothing at {}", self.now);
            self.written.extend(marks.into_iter().map(|mark| (self.now, mark)));
        }
        self.now = end;
        self
    }

    fn add(&mut self, event: Event) -> &mut Self {
        self.debouncer.add(event, self.now);
        self
    }

    /// Returns the hints written since the last call, with the time since the start of the test.
    fn written(&mut self) -> Vec<(i64, Option<&'static str>, Hint, usize)> {
        std::mem::take(&mut self.written)
            .into_iter()
            .map(|(at, mark)| {
                let section = mark.section.map(|name| if name == "1" { "1" } else { "2" });
                (at - 1_000_000, section, mark.hint, mark.deleted.len())
            })
            .collect()
    }
}

#[allow(clippy::unnecessary_wraps)] // as events have it
fn one() -> Option<String> {
    Some("1".to_owned())
}

fn changed(key: u32) -> Event {
    Event::Changed {
        section: one(),
        rating_key: key.to_string(),
        stamp: None,
    }
}

fn processed(key: u32, stamp: i64) -> Event {
    Event::Changed {
        section: one(),
        rating_key: key.to_string(),
        stamp: Some(stamp),
    }
}

fn deleted(key: u32) -> Event {
    Event::Deleted {
        section: one(),
        rating_key: key.to_string(),
    }
}

#[test]
fn an_event_is_written_after_a_second_of_quiet() {
    let mut bench = Bench::new();
    bench
        .add(changed(1))
        .wait(600)
        .add(changed(1))
        .wait(600)
        .add(changed(2));
    assert_eq!(bench.written(), []);
    bench.wait(100_000);
    assert_eq!(bench.written(), [(2_200, Some("1"), Hint::Changed, 0)]);
    assert_eq!(bench.debouncer.take_due(bench.now), []);
    assert!(bench.debouncer.sections.is_empty(), "nothing is kept that is of no use");
}

#[test]
fn an_endless_storm_of_events_is_written_from_time_to_time() {
    let mut bench = Bench::new();
    for key in 0..3_000 {
        bench.add(changed(key)).wait(100);
    }
    bench.wait(100_000);
    let written = bench.written();
    assert_eq!(written.len(), 5, "{written:?}");
    assert!(written.iter().all(|one| one.2 == Hint::Changed));
}

#[test]
fn a_trickle_of_events_is_written_every_ten_seconds() {
    let mut bench = Bench::new();
    for key in 0..20 {
        bench.add(changed(key)).wait(2_000);
    }
    bench.wait(100_000);
    let at: Vec<i64> = bench.written().iter().map(|one| one.0).collect();
    assert_eq!(at, [1_000, 11_000, 21_000, 31_000, 41_000]);
    // A deletion is written at once: it costs a request only when the item is looked up.
    bench.add(changed(1)).wait(1_500).add(deleted(2)).wait(1_500);
    let written = bench.written();
    assert_eq!(written.iter().map(|one| one.3).collect::<Vec<_>>(), [0, 1]);
    // Also beside a hint, which waits.
    bench
        .wait(100_000)
        .add(changed(1))
        .wait(1_500)
        .add(changed(2))
        .add(deleted(3))
        .wait(20_000);
    let written: Vec<_> = bench.written().iter().map(|one| (one.2, one.3)).collect();
    assert_eq!(written, [(Hint::Changed, 0), (Hint::None, 1), (Hint::Changed, 0)]);
}

#[test]
fn many_deleted_items_become_one_change_hint() {
    let mut bench = Bench::new();
    bench.add(deleted(1)).add(deleted(2)).add(deleted(2)).wait(5_000);
    assert_eq!(bench.written(), [(1_000, Some("1"), Hint::None, 2)]);
    for key in 0..10_000 {
        bench.add(deleted(key));
    }
    bench.wait(5_000);
    let written = bench.written();
    assert_eq!(written.len(), 1);
    assert_eq!(written[0].2, Hint::Deleted);
    assert!(written[0].3 <= MAX_DELETED);
}

#[test]
fn a_scan_is_written_during_it_and_at_its_end() {
    let mut bench = Bench::new();
    for key in 0..400 {
        bench.add(Event::Scanning { section: one() });
        bench.add(changed(key)).wait(200);
    }
    // 80 s: once after a minute.
    let written = bench.written();
    assert_eq!(written.iter().map(|one| one.0).collect::<Vec<_>>(), [60_000]);
    bench.add(Event::Unspecific { section: None });
    bench.add(Event::Scanned { section: one() }).wait(200_000);
    assert_eq!(bench.written(), [(81_000, Some("1"), Hint::Changed, 0)]);
}

#[test]
fn a_scan_without_changes_is_written_once() {
    let mut bench = Bench::new();
    bench.add(Event::Scanning { section: one() }).wait(5_000);
    bench.add(Event::Unspecific { section: None });
    bench.add(Event::Scanned { section: one() }).wait(200_000);
    assert_eq!(bench.written(), [(6_000, Some("1"), Hint::Probe, 0)]);
}

/// An event that cannot be read may be about another library than the one that is scanned.
#[test]
fn a_change_anywhere_is_written_during_a_scan() {
    let mut bench = Bench::new();
    bench.add(Event::Scanning { section: one() });
    bench.add(Event::Changed {
        section: None,
        rating_key: String::new(),
        stamp: None,
    });
    bench.wait(2_000);
    assert_eq!(bench.written(), [(1_000, None, Hint::Probe, 0)]);
}

#[test]
fn a_scan_without_events_counts_as_ended() {
    let mut bench = Bench::new();
    bench.add(Event::Scanning { section: one() }).wait(700_000);
    bench.add(changed(1)).wait(1_000);
    assert_eq!(bench.written(), [(701_000, Some("1"), Hint::Changed, 0)]);
}

#[test]
fn a_new_connection_hints_at_all_libraries_at_once() {
    let mut bench = Bench::new();
    bench.add(Event::Scanning { section: one() }).add(changed(1));
    bench.add(Event::Connected).wait(0);
    assert_eq!(bench.written(), [(0, None, Hint::Probe, 0)]);
    // Earlier events are not lost, and no longer wait for the end of a scan, which may have been missed.
    bench.wait(100_000);
    assert_eq!(bench.written(), [(1_000, Some("1"), Hint::Changed, 0)]);
}

#[test]
fn repeated_events_are_ignored() {
    let mut bench = Bench::new();
    bench.add(processed(1, 7)).wait(40_000);
    assert_eq!(bench.written().len(), 1);
    bench.add(processed(1, 7)).wait(40_000);
    assert_eq!(bench.written(), []);
    bench.add(processed(1, 8)).wait(40_000);
    assert_eq!(bench.written().len(), 1);
    for key in 0..20_000 {
        bench.add(processed(key, 1));
    }
    assert!(bench.debouncer.last_stamps.len() <= MAX_SEEN);
}

#[test]
fn an_event_without_a_library_probes_all() {
    let mut bench = Bench::new();
    bench.add(Event::Changed {
        section: None,
        rating_key: "1".into(),
        stamp: None,
    });
    bench.wait(2_000);
    assert_eq!(bench.written(), [(1_000, None, Hint::Probe, 0)]);
}

#[test]
fn a_server_that_invents_libraries_takes_no_memory() {
    let mut bench = Bench::new();
    for section in 0..10 * MAX_SECTIONS {
        bench.add(Event::Unspecific {
            section: Some(section.to_string()),
        });
    }
    assert!(bench.debouncer.sections.len() <= MAX_SECTIONS + 1);
}

#[test]
fn hints_that_could_not_be_written_are_due_again() {
    let mut bench = Bench::new();
    bench.add(changed(1)).add(deleted(2));
    let marks = bench.debouncer.take_due(bench.now + 1_000);
    assert_eq!(marks.len(), 1);
    bench.debouncer.restore_hints(marks, bench.now + 1_000);
    bench.wait(20_000);
    let expected = [(2_000, Some("1"), Hint::None, 1), (11_000, Some("1"), Hint::Changed, 0)];
    assert_eq!(bench.written(), expected);
}

#[test]
fn pending_hints_are_written_when_the_watch_ends() {
    let mut bench = Bench::new();
    bench.add(Event::Scanning { section: one() }).add(changed(1));
    let rest = bench.debouncer.take_due(i64::MAX);
    assert_eq!(rest.iter().map(|mark| mark.hint).collect::<Vec<_>>(), [Hint::Changed]);
    assert_eq!(bench.debouncer.take_due(i64::MAX), []);
    bench.add(deleted(5));
    assert_eq!(bench.debouncer.take_due(i64::MAX)[0].deleted, ["5"]);
}

#[test]
fn events_from_the_host_are_written_at_once() {
    let marks = Debouncer::hints_from_events(vec![changed(1), deleted(2), Event::Scanning { section: one() }]);
    assert_eq!(marks.len(), 1);
    assert_eq!(
        (marks[0].hint, &marks[0].deleted),
        (Hint::Changed, &vec!["2".to_owned()])
    );
    assert_eq!(Debouncer::hints_from_events(vec![Event::Working { section: None }]), []);
}

#[test]
fn changes_are_announced_at_once_but_twice_a_second_at_most() {
    let mut bench = Bench::new();
    bench.add(Event::Scanning { section: one() }).wait(100);
    assert_eq!(bench.news, [], "a scan that begins is no change");
    for key in 0..20 {
        bench.add(changed(key)).wait(100);
    }
    let times: Vec<i64> = bench.news.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [100, 600, 1_100, 1_600, 2_100]);
    assert!(bench.news.iter().all(|(_, section)| *section == one()));
    assert!(bench.written().is_empty(), "during a scan, hints wait");
}
