//! The fuzz targets of `fuzz/` with the plain compiler: what is kept of earlier runs, and some thousand mutations of it, the
//! same each time. `make fuzz` goes on from there, guided by coverage.
#![allow(unsafe_code)] // the C functions are called as C programs would
#![allow(unused_imports)] // the targets say `crate::` where the library's own tests do

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use plexindex::testing::{engine, matching};
use plexindex::{model, options};
use plexindex_tests::number;
use plexindex_tests::worker::Dice;

#[path = "../fuzz/targets/mod.rs"]
mod targets;

/// Changes an input here and there.
fn mutated(corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let byte = |dice: &mut Dice| dice.roll(256).to_le_bytes()[0];
    let mut bytes = dice.any(corpus).clone();
    for _ in 0..=dice.roll(4) {
        let at = dice.place(bytes.len() + 1);
        match dice.roll(7) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, byte(dice)),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 if at < bytes.len() => bytes[at] ^= 1 << dice.roll(8),
            4 => {
                let other = dice.any(corpus);
                let from = dice.place(other.len() + 1);
                let length = dice.place(other.len() - from + 1);
                bytes.splice(at..at, other[from..from + length].iter().copied());
            }
            5 => bytes.extend((0..dice.roll(16)).map(|_| byte(dice)).collect::<Vec<u8>>()),
            _ if at < bytes.len() => bytes[at] = *dice.any(&[0, 0x7F, 0x80, 0xFF, b'"', b'{', b'/', b'\\']),
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
    let mut dice = Dice::new(number("PLEXINDEX_FUZZ_SEED").unwrap_or(1));
    for number in 0..number("PLEXINDEX_FUZZ_TRIES").unwrap_or(u64::from(target.tries)) {
        survives(
            name,
            target.run,
            &mutated(&kept, &mut dice),
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
