//! The fuzz targets of `fuzz/` with the plain compiler: what is kept of earlier runs, and some thousand mutations of it, the
//! same each time. `make fuzz` goes on from there, guided by coverage.
#![allow(unsafe_code)] // the C functions are called as C programs would
#![allow(unused_imports)] // the targets say `crate::` where the library's own tests do

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use plexindex::testing::{engine, matching};
use plexindex::{model, options};

#[path = "../fuzz/targets/mod.rs"]
mod targets;

/// Numbers that look like chance and are the same each time.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % end.max(1)
    }
}

/// Changes an input here and there.
fn mutated(corpus: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = corpus.get(chance.below(corpus.len())).cloned().unwrap_or_default();
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() + 1);
        match chance.below(7) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, chance.next().to_le_bytes()[0]),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            4 => {
                let other = corpus.get(chance.below(corpus.len())).map_or(&[][..], Vec::as_slice);
                let from = chance.below(other.len() + 1);
                let length = chance.below(other.len() - from + 1);
                bytes.splice(at..at, other[from..from + length].iter().copied());
            }
            5 => bytes.extend((0..chance.below(16)).map(|_| chance.next().to_le_bytes()[0])),
            _ if at < bytes.len() => bytes[at] = [0, 0x7F, 0x80, 0xFF, b'"', b'{', b'/', b'\\'][chance.below(8)],
            _ => {}
        }
    }
    bytes.truncate(4096);
    bytes
}

/// The files of a target's archive.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let archive = format!("fuzz/corpus/{name}.tar.gz");
    let files = plexindex_tests::files_of(&plexindex_tests::repository(archive)).into_iter();
    files.map(|(file, bytes)| (format!("{name}: {file}"), bytes)).collect()
}

/// Runs a target; an input that fails is kept, and it is said how to run it again.
fn survives(name: &str, run: fn(&[u8]), bytes: &[u8], from: &str) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(bytes))) else {
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    let file = folder.join(format!("{name}-{:016x}", plexindex::testing::xxh3_64(bytes)));
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(&file, bytes).expect("written");
    eprintln!(
        "{from} fails: {file}\nagain: PLEXINDEX_FUZZ_FILE={file} cargo test -p plexindex-tests --test fuzz {name}",
        file = file.display()
    );
    resume_unwind(panic);
}

fn holds(name: &str) {
    let target = targets::TARGETS
        .iter()
        .find(|target| target.name == name)
        .expect("a target");
    if let Some(file) = std::env::var_os("PLEXINDEX_FUZZ_FILE") {
        return (target.run)(&fs::read(file).expect("the input"));
    }
    let kept = corpus(name);
    assert!(!kept.is_empty(), "{name} has no corpus");
    for (file, bytes) in &kept {
        survives(name, target.run, bytes, file);
    }
    let kept: Vec<Vec<u8>> = kept.into_iter().map(|(_, bytes)| bytes).collect();
    // Without a sanitizer this is ten times faster than the fuzzer: `make fuzz` runs it too.
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let mut chance = Chance(number("PLEXINDEX_FUZZ_SEED").unwrap_or(1));
    for number in 0..number("PLEXINDEX_FUZZ_TRIES").unwrap_or(u64::from(target.tries)) {
        survives(
            name,
            target.run,
            &mutated(&kept, &mut chance),
            &format!("mutation {number}"),
        );
    }
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            holds(stringify!($name));
        })*

        #[test]
        fn every_target_is_run() {
            let names: Vec<&str> = targets::TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! {
    bodies,
    events,
    paths,
    segments,
    pages,
    opening,
    logs,
}
