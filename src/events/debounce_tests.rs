//! Tests which hints are written for which events, and when, with a manual clock.

use super::*;

struct Bench {
    debouncer: Debouncer,
    now: i64,
    /// The hints written, with their times.
    noted: Vec<(i64, LibraryHint)>,
}

impl Bench {
    fn new() -> Self {
        Self {
            debouncer: Debouncer::new(DebounceIntervals::default()),
            now: 1_000_000,
            noted: Vec::new(),
        }
    }

    /// Lets time go by, and notes what is due when it is, as the watching thread does.
    fn wait(&mut self, ms: i64) -> &mut Self {
        let end = self.now + ms;
        while let Some(at) = self.debouncer.next_due(self.now).filter(|at| *at <= end) {
            self.now = at.max(self.now);
            let marks = self.debouncer.take_due(self.now);
            assert!(!marks.is_empty(), "woken for nothing at {}", self.now);
            self.noted.extend(marks.into_iter().map(|mark| (self.now, mark)));
        }
        self.now = end;
        self
    }

    fn tell(&mut self, event: Event) -> &mut Self {
        self.debouncer.add(event, self.now);
        self
    }

    /// Returns the hints written since the last call, with the time since the start of the test.
    fn noted(&mut self) -> Vec<(i64, Option<&'static str>, Hint, usize)> {
        std::mem::take(&mut self.noted)
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
fn an_event_is_noted_after_a_second_of_quiet() {
    let mut bench = Bench::new();
    bench
        .tell(changed(1))
        .wait(600)
        .tell(changed(1))
        .wait(600)
        .tell(changed(2));
    assert_eq!(bench.noted(), []);
    bench.wait(100_000);
    assert_eq!(bench.noted(), [(2_200, Some("1"), Hint::Changed, 0)]);
    assert_eq!(bench.debouncer.take_due(bench.now), []);
    assert!(bench.debouncer.sections.is_empty(), "nothing is kept that is of no use");
}

#[test]
fn a_storm_without_end_is_noted_now_and_then() {
    let mut bench = Bench::new();
    for key in 0..3_000 {
        bench.tell(changed(key)).wait(100);
    }
    bench.wait(100_000);
    let noted = bench.noted();
    assert_eq!(noted.len(), 5, "{noted:?}");
    assert!(noted.iter().all(|one| one.2 == Hint::Changed));
}

#[test]
fn what_trickles_in_is_noted_every_ten_seconds() {
    let mut bench = Bench::new();
    for key in 0..20 {
        bench.tell(changed(key)).wait(2_000);
    }
    bench.wait(100_000);
    let at: Vec<i64> = bench.noted().iter().map(|one| one.0).collect();
    assert_eq!(at, [1_000, 11_000, 21_000, 31_000, 41_000]);
    // A deletion is noted at once: it costs a request only when the item is asked for.
    bench.tell(changed(1)).wait(1_500).tell(deleted(2)).wait(1_500);
    let noted = bench.noted();
    assert_eq!(noted.iter().map(|one| one.3).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn deleted_items_are_noted_one_by_one_until_they_are_too_many() {
    let mut bench = Bench::new();
    bench.tell(deleted(1)).tell(deleted(2)).tell(deleted(2)).wait(5_000);
    assert_eq!(bench.noted(), [(1_000, Some("1"), Hint::None, 2)]);
    for key in 0..10_000 {
        bench.tell(deleted(key));
    }
    bench.wait(5_000);
    let noted = bench.noted();
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0].2, Hint::Changed);
    assert!(noted[0].3 <= DELETED_MOST);
}

#[test]
fn a_scan_is_noted_while_it_goes_on_at_its_end_and_when_its_items_have_settled() {
    let mut bench = Bench::new();
    for key in 0..400 {
        bench.tell(Event::Scanning { section: one() });
        bench.tell(changed(key)).wait(200);
    }
    // 80 s: once after a minute.
    let noted = bench.noted();
    assert_eq!(noted.iter().map(|one| one.0).collect::<Vec<_>>(), [60_000]);
    bench.tell(Event::Scanned { section: one() });
    bench.tell(Event::Unspecific { section: None });
    bench.wait(28_000);
    assert_eq!(bench.noted(), [(81_000, Some("1"), Hint::Changed, 0)]);
    // Items stop changing only 28 s after the scan: the minute counts from there.
    bench.tell(Event::Working { section: one() }).wait(200_000);
    assert_eq!(bench.noted(), [(168_000, Some("1"), Hint::Changed, 0)]);
}

#[test]
fn a_scan_that_changes_nothing_is_noted_once() {
    let mut bench = Bench::new();
    bench.tell(Event::Scanning { section: one() }).wait(5_000);
    bench.tell(Event::Unspecific { section: None });
    bench.tell(Event::Scanned { section: one() }).wait(200_000);
    assert_eq!(bench.noted(), [(6_000, Some("1"), Hint::Probe, 0)]);
}

#[test]
fn a_library_that_never_settles_is_noted_after_ten_minutes() {
    let mut bench = Bench::new();
    bench.tell(Event::Scanning { section: one() }).tell(changed(1));
    bench.tell(Event::Scanned { section: one() }).wait(2_000);
    bench.noted();
    for _ in 0..100 {
        bench.tell(Event::Working { section: one() }).wait(10_000);
    }
    assert_eq!(bench.noted(), [(600_000, Some("1"), Hint::Changed, 0)]);
}

#[test]
fn a_scan_of_which_nothing_is_heard_is_over() {
    let mut bench = Bench::new();
    bench.tell(Event::Scanning { section: one() }).wait(700_000);
    bench.tell(changed(1)).wait(1_000);
    assert_eq!(bench.noted(), [(701_000, Some("1"), Hint::Changed, 0)]);
}

#[test]
fn a_new_connection_hints_at_all_libraries_at_once() {
    let mut bench = Bench::new();
    bench.tell(Event::Scanning { section: one() }).tell(changed(1));
    bench.tell(Event::Connected).wait(0);
    assert_eq!(bench.noted(), [(0, None, Hint::Probe, 0)]);
    // Earlier events are not lost, nor a running scan whose end may have been missed.
    bench.wait(100_000);
    assert_eq!(
        bench.noted(),
        [
            (1_000, Some("1"), Hint::Changed, 0),
            (60_000, Some("1"), Hint::Changed, 0)
        ]
    );
}

#[test]
fn repetitions_are_no_news() {
    let mut bench = Bench::new();
    bench.tell(processed(1, 7)).wait(40_000);
    assert_eq!(bench.noted().len(), 1);
    bench.tell(processed(1, 7)).wait(40_000);
    assert_eq!(bench.noted(), []);
    bench.tell(processed(1, 8)).wait(40_000);
    assert_eq!(bench.noted().len(), 1);
    for key in 0..20_000 {
        bench.tell(processed(key, 1));
    }
    assert!(bench.debouncer.seen.len() <= SEEN_MOST);
}

#[test]
fn items_that_are_edited_here_are_no_news_for_a_minute_but_their_files_are() {
    let mut bench = Bench::new();
    bench.debouncer.expect_edited("1", &["1", "2"], bench.now);
    bench
        .tell(processed(1, 7))
        .wait(2_000)
        .tell(processed(2, 7))
        .wait(2_000);
    assert_eq!(bench.noted(), []);
    bench.tell(changed(1)).wait(50_000);
    assert_eq!(bench.noted().len(), 1);
    bench.wait(10_000).tell(processed(1, 7)).wait(2_000);
    assert_eq!(bench.noted().len(), 1);
    bench.debouncer.expect_edited("1", &["3"], bench.now);
    assert_eq!(bench.debouncer.edited.len(), 1, "what is over is forgotten");
}

#[test]
fn without_a_library_all_of_them_are_probed_and_none_is_listed() {
    let mut bench = Bench::new();
    bench.tell(Event::Changed {
        section: None,
        rating_key: "1".into(),
        stamp: None,
    });
    bench.wait(2_000);
    assert_eq!(bench.noted(), [(1_000, None, Hint::Probe, 0)]);
}

#[test]
fn a_server_that_invents_libraries_takes_no_memory() {
    let mut bench = Bench::new();
    for section in 0..10 * SECTIONS_MOST {
        bench.tell(Event::Unspecific {
            section: Some(section.to_string()),
        });
    }
    assert!(bench.debouncer.sections.len() <= SECTIONS_MOST + 1);
}

#[test]
fn what_could_not_be_noted_is_due_again() {
    let mut bench = Bench::new();
    bench.tell(changed(1)).tell(deleted(2));
    let marks = bench.debouncer.take_due(bench.now + 1_000);
    assert_eq!(marks.len(), 1);
    bench.debouncer.put_back(marks, bench.now + 1_000);
    bench.wait(20_000);
    assert_eq!(bench.noted(), [(11_000, Some("1"), Hint::Changed, 1)]);
}

#[test]
fn what_waits_is_noted_when_the_watch_ends() {
    let mut bench = Bench::new();
    bench.tell(Event::Scanning { section: one() }).tell(changed(1));
    bench.tell(Event::Scanned { section: one() }).wait(2_000);
    assert_eq!(bench.noted().len(), 1);
    // Its items have not settled.
    let rest = bench.debouncer.take_all(bench.now);
    assert_eq!(rest.iter().map(|mark| mark.hint).collect::<Vec<_>>(), [Hint::Changed]);
    assert_eq!(bench.debouncer.take_all(bench.now), []);
    bench.tell(deleted(5));
    assert_eq!(bench.debouncer.take_all(bench.now)[0].deleted, ["5"]);
}

#[test]
fn what_a_host_received_is_noted_at_once() {
    let marks = Debouncer::hints_of(vec![changed(1), deleted(2), Event::Scanning { section: one() }]);
    assert_eq!(marks.len(), 1);
    assert_eq!(
        (marks[0].hint, &marks[0].deleted),
        (Hint::Changed, &vec!["2".to_owned()])
    );
    assert_eq!(Debouncer::hints_of(vec![Event::Working { section: None }]), []);
}
