//! One flipped bit in any block of any segment: every call gives what it gave before, an error or a miss, whichever call is
//! the first to read the block. Then all is repaired. Of paths and folders `fuzz/targets/segments.rs` shows that.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use plexindex::error::{Error, Status};
use plexindex::{Item, Match, MatchStatus};
use plexindex_standin::{LibrarySpec, Standin};

use crate::support::worker::{Dice, choice, rounds, writable};
use crate::support::{clock, copy_of, files_in, open, options};

/// The size of a block with its own checksum.
const BLOCK: u64 = 4096;

type Said = Result<Vec<String>, Error>;

/// A library's title, its folder, and the paths and keys of its items.
type LibraryWorld = (&'static str, String, Vec<(String, String)>);

/// Paths, keys and words to ask for.
struct World {
    libraries: Vec<LibraryWorld>,
    guids: Vec<String>,
    titles: Vec<String>,
}

/// A kind of call. What it gives is right if all of it is as before, and, unless `whole`, if some of it is missing.
struct Call {
    name: &'static str,
    whole: bool,
    run: fn(&plexindex::Index, &World) -> Said,
}

const MISS: &str = "";

fn of_match(found: &Match) -> String {
    match found.status {
        MatchStatus::Found | MatchStatus::Ambiguous => format!(
            "{:?} {:?} {:?} {:?} {} {:?}",
            found.status, found.match_kind, found.confidence, found.reason, found.total, found.candidates
        ),
        _ => MISS.to_owned(),
    }
}

fn each_library<T>(
    index: &plexindex::Index,
    world: &World,
    ask: impl Fn(&plexindex::Library, &str) -> Result<Vec<T>, Error>,
) -> Result<Vec<T>, Error> {
    let mut said = Vec::new();
    for (title, folder, _) in &world.libraries {
        said.extend(ask(&index.library(*title)?, folder)?);
    }
    Ok(said)
}

const fn call(name: &'static str, whole: bool, run: fn(&plexindex::Index, &World) -> Said) -> Call {
    Call { name, whole, run }
}

const CALLS: &[Call] = &[
    call("items_below", true, |index, world| {
        each_library(index, world, |library, folder| {
            let items: Result<Vec<Item>, Error> = library.items_below(folder).collect();
            Ok(items?.iter().map(|item| format!("{item:?}")).collect())
        })
    }),
    call("items", true, |index, world| {
        each_library(index, world, |library, _| {
            let items: Result<Vec<Item>, Error> = library.items().collect();
            Ok(items?.iter().map(|item| format!("{item:?}")).collect())
        })
    }),
    call("item", false, |index, world| {
        let mut said = Vec::new();
        for (title, _, items) in &world.libraries {
            let library = index.library(*title)?;
            for (_, key) in items {
                said.push(library.item(key)?.map_or(MISS.to_owned(), |item| format!("{item:?}")));
            }
        }
        Ok(said)
    }),
    call("the feed from the beginning", true, |index, world| {
        each_library(index, world, |library, _| {
            let changes: Result<Vec<_>, Error> = library.listing_and_changes()?.collect();
            Ok(changes?.iter().map(|change| format!("{change:?}")).collect())
        })
    }),
    call("match_guid", false, |index, world| {
        each_library(index, world, |library, _| {
            let asked = |guid: &String| library.query().offline().match_guid(guid);
            let asked = |guid: &String| asked(guid).map(|found| of_match(&found));
            world.guids.iter().map(asked).collect()
        })
    }),
    call("search_title", false, |index, world| {
        each_library(index, world, |library, _| {
            let asked = |title: &String| library.query().offline().search_title(title);
            let asked = |title: &String| asked(title).map(|found| of_match(&found));
            world.titles.iter().map(asked).collect()
        })
    }),
];

/// Films and shows, listed, with their GUIDs and titles indexed.
fn prepared(server: &Standin, folder: &Path) -> World {
    let index = open(options(server, folder), &clock());
    index.list();
    index.query().match_guid("imdb://tt0000001").expect("asked");
    let items_of = |library: u32| -> Vec<(String, String)> {
        let paths = server.paths(library).into_iter();
        let paths = paths.filter_map(|(key, path)| Some((path?, key.to_string())));
        paths.step_by(3).collect()
    };
    let (films, shows) = (items_of(1), items_of(2));
    let items = ["Movies", "TV Shows"].map(|title| index.library(title).expect("a handle"));
    let items = items.iter().flat_map(|library| library.items().step_by(15));
    let items: Vec<Item> = items.map(|item| item.expect("an item")).collect();
    index.close().expect("closes");
    World {
        guids: items
            .iter()
            .filter_map(|item| item.guids.as_ref()?.last().cloned())
            .collect(),
        titles: items
            .iter()
            .filter_map(|item| item.show_title.clone().or(item.title.clone()))
            .collect(),
        libraries: vec![
            ("Movies", "/data/movies".into(), films),
            ("TV Shows", "/data/tv".into(), shows),
        ],
    }
}

/// Says what is wrong with what a call said.
fn wrong(call: &Call, said: &Said, wanted: &[String]) -> Option<String> {
    let said = match said {
        Ok(said) => said,
        Err(error) if matches!(error.status, Status::Store | Status::NotFetched | Status::ListAgain) => return None,
        Err(error) => return Some(error.to_string()),
    };
    if said.len() != wanted.len() {
        return Some(format!("{} for {}", said.len(), wanted.len()));
    }
    let is_right = |(said, wanted): &(&String, &String)| said == wanted || !call.whole && *said == MISS;
    let (said, wanted) = said.iter().zip(wanted).find(|pair| !is_right(pair))?;
    Some(format!("{said}\n  for {wanted}"))
}

#[test]
fn a_flipped_bit_in_any_block_makes_no_answer_wrong() {
    let server = Standin::builder().library(LibrarySpec::movies(60));
    let server = server.library(LibrarySpec::shows(200)).serve();
    let sample = tempfile::tempdir().expect("a folder");
    let world = prepared(&server, sample.path());
    let wanted: Vec<Vec<String>> = {
        let copy = copy_of(sample.path());
        let index = open(options(&server, copy.path()), &clock());
        let asked = |call: &Call| (call.run)(&index, &world).unwrap_or_else(|error| panic!("{}: {error}", call.name));
        CALLS.iter().map(asked).collect()
    };
    for (call, wanted) in CALLS.iter().zip(&wanted) {
        assert!(wanted.iter().any(|said| *said != MISS), "{}", call.name);
    }
    let mut dice = Dice::new(choice("PLEXINDEX_SEED", 1));
    let mut files = files_in(sample.path());
    files.retain(|path| path.extension().is_some_and(|end| end == "segment" || end == "index"));
    // One of so many pairs of a block and the first call that reads it.
    let one_of = 7 / rounds("PLEXINDEX_BLOCKS", 1, 7).clamp(1, 7);
    let mut wrongs = Vec::new();
    let (mut blocks, mut pairs) = (0, 0);
    for file in &files {
        let length = fs::metadata(file).expect("facts").len();
        let name = file.file_name().expect("a name");
        for block in 0..length.div_ceil(BLOCK) {
            blocks += 1;
            let at = block * BLOCK + dice.roll(BLOCK.min(length - block * BLOCK));
            let bit = 1 << dice.roll(8);
            let damaged_copy = || {
                let folder = copy_of(sample.path());
                let file = writable(folder.path().join(name));
                let mut byte = [0];
                file.read_exact_at(&mut byte, at).expect("read");
                file.write_all_at(&[byte[0] ^ bit], at).expect("written");
                folder
            };
            for (call, wanted) in CALLS.iter().zip(&wanted) {
                pairs += 1;
                if pairs % one_of != 0 {
                    continue;
                }
                let folder = damaged_copy();
                let index = open(options(&server, folder.path()), &clock());
                // Twice, since the first call may have found the damage.
                for nth in ["first", "second"] {
                    let wrong = wrong(call, &(call.run)(&index, &world), wanted);
                    wrongs.extend(wrong.map(|wrong| format!("{}, {name:?}, byte {at}, {nth}: {wrong}", call.name)));
                }
            }
            // The repair of one in some blocks: it takes as long as all calls.
            if blocks % one_of.min(4) != 0 {
                continue;
            }
            let folder = damaged_copy();
            let index = open(options(&server, folder.path()), &clock());
            for call in CALLS {
                let _may_find_the_damage = (call.run)(&index, &world);
            }
            for (title, _, items) in &world.libraries {
                let library = index.library(title).expect("a handle");
                library.ask(&items[0].0);
            }
            for (call, wanted) in CALLS.iter().zip(&wanted) {
                let said = (call.run)(&index, &world).unwrap_or_else(|error| vec![error.to_string()]);
                if said != *wanted {
                    wrongs.push(format!("{}, {name:?}, byte {at}: is not repaired", call.name));
                }
            }
        }
    }
    println!("{blocks} blocks, {pairs} pairs, one of {one_of} tried");
    assert!(wrongs.is_empty(), "{} wrong:\n{}", wrongs.len(), wrongs.join("\n"));
}
