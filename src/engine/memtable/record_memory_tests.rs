use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use proptest::prelude::*;

use super::*;

fn memory() -> RecordMemory {
    RecordMemory::new(Arc::default(), false)
}

/// The payload of a known key: `Ok(None)` if the table has none, and `Err` if only the database knows.
fn payload<'m>(memory: &'m RecordMemory, key: &[u8]) -> Result<Option<&'m [u8]>, ()> {
    match memory.find(key, xxh3_64(key)) {
        Known::Unknown => Err(()),
        Known::Absent => Ok(None),
        Known::Record(record) => Ok(record.payload),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, Option<u16>),
    Outdate(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (any::<u8>(), any::<Option<u16>>()).prop_map(|(key, value)| Step::Put(key, value)),
        any::<u8>().prop_map(Step::Outdate),
    ];
    proptest::collection::vec(step, 0..300)
}

proptest! {
    /// A memory has what was put last, knows what is outdated, and says 'absent' only once it is complete.
    #[test]
    fn a_memory_has_what_was_put_last(steps in steps(), completed in 0..300_usize) {
        let memory = memory();
        let mut right: HashMap<u8, (Option<u16>, bool)> = HashMap::new();
        for (index, step) in steps.into_iter().enumerate() {
            if index == completed {
                memory.load(Sequence(1), &LoadAfter(None), [], None);
            }
            let is_complete = index >= completed;
            let name = |key: u8| format!("a name that ends with {key}").into_bytes();
            match step {
                Step::Put(key, value) => {
                    let bytes = value.map(u16::to_le_bytes);
                    memory.put(Sequence(1), [NewRecord::new(&name(key), bytes.as_ref().map(|bytes| &bytes[..]))]);
                    right.insert(key, (value, true));
                }
                Step::Outdate(key) => {
                    memory.outdate(&name(key), xxh3_64(&name(key)));
                    if let Some(known) = right.get_mut(&key) {
                        known.1 = false;
                    } else if is_complete {
                        right.insert(key, (None, false));
                    }
                }
            }
            // A wrong key stays wrong for more than a few steps.
            let checked = if index.is_multiple_of(8) { 0..=u8::MAX } else { 0..=7 };
            for key in checked {
                let name = name(key);
                let known = right.get(&key);
                let expected = known.map(|(value, _)| value.map(u16::to_le_bytes));
                let expected = expected.or(is_complete.then_some(None));
                prop_assert_eq!(payload(&memory, &name).map(|found| found.map(<[u8]>::to_vec)),
                    expected.map(|value| value.map(|bytes| bytes.to_vec())).ok_or(()));
                prop_assert_eq!(memory.knows(&name, xxh3_64(&name)), known.map_or(is_complete, |(_, current)| *current));
            }
        }
    }
}

#[test]
fn a_spelling_takes_the_place_of_its_key() {
    let memory = memory();
    let spelled = NewRecord {
        spelling: Some(b"/Films/A.mkv"),
        ..NewRecord::new(b"/films/a.mkv", Some(b"1"))
    };
    memory.put(Sequence(1), [spelled]);
    let Known::Record(found) = memory.find(b"/films/a.mkv", xxh3_64(b"/films/a.mkv")) else {
        panic!("the key is known");
    };
    assert_eq!((found.key, found.payload), (&b"/Films/A.mkv"[..], Some(&b"1"[..])));
    assert_eq!(memory.find(b"/films/b.mkv", xxh3_64(b"/films/b.mkv")), Known::Unknown);
}

#[test]
fn keys_that_are_all_alike_are_told_apart() {
    let memory = memory();
    for n in 0..1_000_u32 {
        let key = n.to_le_bytes();
        // Only a few different hashes, so that tags collide.
        let hash = u64::from(n % 3) << 60;
        memory.put(
            Sequence(1),
            [NewRecord {
                hash,
                ..NewRecord::new(&key, Some(&key))
            }],
        );
    }
    for n in 0..1_000_u32 {
        let key = n.to_le_bytes();
        let Known::Record(found) = memory.find(&key, u64::from(n % 3) << 60) else {
            panic!("{n} is known");
        };
        assert_eq!(found.payload, Some(&key[..]));
    }
}

#[test]
fn replaced_records_are_not_kept_for_ever() {
    let memory = memory();
    let value = vec![7; 1000];
    let mut renewals = 0;
    for _ in 0..10_000 {
        memory.put(Sequence(1), [NewRecord::new(b"one", Some(&value))]);
        renewals += usize::from(memory.must_renew());
    }
    assert!(renewals > 0);
    assert!(!memory.has_too_large_table(), "little of it is in use");
}

/// A reader never sees a value that was not put for its key, and sees at least what was put before it began.
#[test]
fn readers_see_whole_records_while_a_thread_fills_the_memory() {
    let memory = memory();
    let written = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at_least = written.load(Ordering::Acquire);
                    for key in 0..50_u64 {
                        let seen = payload(&memory, &key.to_le_bytes()).map(|found| {
                            let bytes = found.expect("never absent");
                            let (of, value) = bytes.split_at(8);
                            assert_eq!(of, key.to_le_bytes());
                            u64::from_le_bytes(value.try_into().expect("8 bytes"))
                        });
                        assert!(seen.unwrap_or(0) + 50 > at_least, "{seen:?} of {at_least}");
                    }
                    if at_least == 20_000 {
                        return;
                    }
                }
            });
        }
        for value in 1..=20_000_u64 {
            let key = (value % 50).to_le_bytes();
            memory.put(
                Sequence(value),
                [NewRecord::new(&key, Some([key, value.to_le_bytes()].concat()))],
            );
            written.store(value, Ordering::Release);
        }
    });
    assert_eq!(memory.newest(), 20_000);
}
