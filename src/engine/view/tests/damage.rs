//! Damage never causes a crash or a wrong answer: opening fails, or the segment reports that it is broken, or the
//! answer is right.

use std::sync::Arc;

use super::against::{host_rule, listing, mixed_items};
use crate::engine::segment::ListingSegment;
use crate::engine::view::{LibraryProperties, LibrarySnapshot};
use crate::matching::{FolderResolver, Mappings, NormalPath, Resolver, Scope};
use crate::model::Item;

fn questions(items: &[Item]) -> Vec<Vec<u8>> {
    let mut questions: Vec<Vec<u8>> = items
        .iter()
        .flat_map(|item| &item.parts)
        .map(|path| String::from_utf8_lossy(path))
        .flat_map(|path| {
            [
                path.to_string(),
                path.replace("/mnt", "/host"),
                path.replace("/mnt", "/x"),
                path.to_uppercase(),
            ]
        })
        .map(String::into_bytes)
        .collect();
    questions.push(b"/mnt/films/none.mkv".to_vec());
    questions
}

/// All answers of a segment for these paths, and all its items; `None` if it is broken, or found to be broken.
fn answers(segment: ListingSegment, questions: &[Vec<u8>], mappings: &Mappings) -> Option<Vec<String>> {
    let segment = Arc::new(segment);
    let properties = LibraryProperties {
        uuid: "uuid".into(),
        fetched: true,
        listed_at: 1,
        ..LibraryProperties::default()
    };
    let view = LibrarySnapshot::new(properties, mappings, Some(segment.clone()), None);
    let views = [&view];
    let mut answers = Vec::new();
    for question in questions {
        let outcome = Resolver::new(&views, Scope::One(0), mappings).resolve(question);
        if segment.is_broken() {
            assert!(outcome.is_broken, "{outcome:?}");
            assert!(outcome.found().is_empty(), "{outcome:?}");
            return None;
        }
        answers.push(format!("{outcome:?}"));
    }
    // Folders of some paths only: each takes as long as all paths together.
    for question in questions.iter().step_by(5) {
        // The path's folder, and those above.
        let mut folder = question.as_slice();
        while let Some(end) = folder.iter().rposition(|byte| *byte == b'/').filter(|end| *end > 0) {
            folder = &folder[..end];
            NormalPath::with(folder, |path| {
                let outcome = FolderResolver::new(&views, Scope::One(0), mappings, path).resolve();
                let files = FolderResolver::new(&views, Scope::One(0), mappings, path).files(None, 3);
                answers.push(format!("{outcome:?} {files:?}"));
            });
            if segment.is_broken() {
                return None;
            }
        }
    }
    for (number, item) in segment.items() {
        let text = format!("{number} {item:?} {:?}", segment.find(item.rating_key));
        let mut files = Vec::new();
        segment.files(number, |path| files.push(path.to_vec()));
        answers.push(format!("{text} {files:?}"));
    }
    (!segment.is_broken()).then_some(answers)
}

struct Subject {
    bytes: Vec<u8>,
    questions: Vec<Vec<u8>>,
    mappings: Mappings,
    wanted: Vec<String>,
}

impl Subject {
    fn new(items: &[Item], questions: Vec<Vec<u8>>) -> Self {
        let mappings = host_rule();
        let bytes = listing(items, &mappings);
        let segment = ListingSegment::from_bytes(bytes.clone()).expect("a segment opens");
        segment.verify().expect("a fresh segment is whole");
        let wanted = answers(segment, &questions, &mappings).expect("a fresh segment answers");
        Self {
            bytes,
            questions,
            mappings,
            wanted,
        }
    }

    /// Returns whether the damage was detected; if not, all answers must be right.
    fn survives(&self, bytes: Vec<u8>, what: &str) -> bool {
        let Ok(segment) = ListingSegment::from_bytes(bytes) else {
            return false;
        };
        let answers = answers(segment, &self.questions, &self.mappings);
        if let Some(answers) = &answers {
            assert_eq!(*answers, self.wanted, "{what}");
        }
        answers.is_some()
    }
}

/// Every fifth byte, or as the variable says: `make check-deep` tries each.
fn step() -> usize {
    std::env::var("PLEXINDEX_STEP").map_or(5, |step| step.parse().expect("a number"))
}

#[test]
fn every_flipped_byte_that_matters_is_detected() {
    let items = mixed_items();
    let subject = Subject::new(&items, questions(&items));
    let mut harmless = 0;
    let mut in_padding = 0;
    for at in (0..subject.bytes.len()).step_by(step()) {
        in_padding += usize::from((512..4096).contains(&at));
        let mut bytes = subject.bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        harmless += usize::from(subject.survives(bytes, &format!("byte {at}")));
    }
    // Only the padding of the head is covered by no checksum, and it is never read.
    assert_eq!(harmless, in_padding);
}

#[test]
fn a_truncated_file_does_not_open() {
    let items = mixed_items();
    let subject = Subject::new(&items, questions(&items));
    for length in 0..subject.bytes.len() {
        assert!(
            ListingSegment::from_bytes(subject.bytes[..length].to_vec()).is_err(),
            "{length}"
        );
    }
    let mut longer = subject.bytes.clone();
    longer.push(0);
    assert!(ListingSegment::from_bytes(longer).is_err());
}
