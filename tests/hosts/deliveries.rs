//! What a log knows of the entries that hosts numbered.

use plexindex::shared::{LEASE, NewEntry};

use crate::fixture::{A, B, Fixture, NONE, facts, item, memory, postgres};

fn numbered(numbers: &[u64]) -> Vec<(u64, NewEntry)> {
    let entry = |number: &u64| (*number, item(&number.to_string(), ""));
    numbers.iter().map(entry).collect()
}

/// A log that was restored lacks what a host delivered last. The host asks without an entry.
fn a_question_finds_what_is_lost(fixture: &Fixture) {
    let ask = |after| fixture.log.deliver(fixture.view, A, Some(after), &[], NONE);
    assert_eq!(ask((A, 5)), Ok(None));
    let first = fixture
        .log
        .deliver(fixture.view, A, Some((A, 0)), &numbered(&[3, 5]), NONE);
    assert_eq!(first, Ok(Some(5)));
    assert_eq!(ask((A, 5)), Ok(Some(5)));
    assert_eq!(ask((A, 3)), Ok(Some(5)));
    assert_eq!(ask((A, 6)), Ok(None));
    assert_eq!(ask((B, 1)), Ok(None));
    assert_eq!(facts(&fixture.all()).len(), 2, "a question writes nothing");
}

fn each_number_that_was_delivered_is_known(fixture: &Fixture) {
    let deliver =
        |host, after, numbers: &[u64]| fixture.log.deliver(fixture.view, host, after, &numbered(numbers), NONE);
    let known = |host, numbers: &[u64]| fixture.log.delivered(fixture.view, host, numbers, NONE).expect("asked");
    assert!(known(A, &[1, 2]).is_empty());
    assert_eq!(deliver(A, Some((A, 0)), &[1, 3]), Ok(Some(3)));
    assert_eq!(
        deliver(A, Some((A, 0)), &[1, 3, 6]),
        Ok(Some(6)),
        "the first two are passed over"
    );
    assert_eq!(deliver(B, Some((B, 0)), &[2]), Ok(Some(2)));
    assert_eq!(known(A, &[1, 2, 3, 4, 5, 6, 7]), [1, 3, 6]);
    assert_eq!(known(B, &[1, 2, 3]), [2]);
    assert_eq!(fixture.all().len(), 4);
    fixture.log.clear(NONE).expect("cleared");
    assert!(known(A, &[1, 3, 6]).is_empty());
}

const TESTS: [fn(&Fixture); 2] = [a_question_finds_what_is_lost, each_number_that_was_delivered_is_known];

#[test]
fn deliveries_are_known_in_memory() {
    for test in TESTS {
        test(&memory(LEASE));
    }
}

#[test]
fn deliveries_are_known_in_postgres() {
    for test in TESTS {
        let Some(fixture) = postgres("deliveries_are_known_in_postgres", LEASE) else {
            return;
        };
        test(&fixture);
    }
}
