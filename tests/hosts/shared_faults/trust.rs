//! A host that was broken into writes what it likes. The others go on.

use plexindex::model::{Item, Library};
use plexindex_sharing::bodies::{Chunk, ItemBody, ListingBody, ProbeBody, encode, new_entry};
use plexindex_sharing::{EntryKind, NewEntry, SharedLog};

use crate::shared_faults::hosts::{NONE, World, exchange, pair};
use crate::support::{HOUR_MS, path_of};

fn item(key: &str, path: &str) -> Item {
    Item {
        rating_key: key.into(),
        title: "Planted".into(),
        parts: vec![path.into()],
        ..Item::default()
    }
}

fn pack(items: &[Item]) -> Vec<u8> {
    let mut chunk = Chunk::default();
    for item in items {
        chunk.push(item);
    }
    chunk.pack().expect("small")
}

/// What no host of any version writes.
fn garbage(library: &str) -> Vec<NewEntry> {
    use EntryKind::{InvalidItem, InvalidLibrary, InvalidPath, Item, Listing, Match, Probe};
    let long = vec![b'k'; 8_192];
    let huge = vec![b'1'; (1 << 20) - 16_384];
    let keys: [&[u8]; 9] = [
        b"",
        b"\0",
        b"a\0b",
        b"\xff\xfe",
        b"relative/path",
        b"/",
        b"//",
        b"/media/\0.mkv",
        &long,
    ];
    let bodies: [&[u8]; 10] = [
        b"",
        b"1",
        b"\0",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b"{\"item\":{\"rating_key\":\"\"}}",
        b"{\"libraries\":[{},{}]}",
        &huge,
    ];
    let kinds = [Match, InvalidItem, InvalidPath, Item, Listing, Probe];
    let mut all = Vec::new();
    for kind in kinds {
        for uuid in ["", library, "elsewhere", "\u{1}"] {
            for key in keys {
                for body in bodies.into_iter().filter(|body| key != b"/" || body.len() > 9) {
                    all.push(new_entry(kind, uuid, key, body.to_vec()));
                }
            }
        }
    }
    let planted = |key: &str, told: &ItemBody| new_entry(Item, library, key.as_bytes(), encode(told));
    for (key, path) in [
        ("", "/media/a.mkv"),
        ("\0", "/media/b.mkv"),
        ("77", ""),
        ("78", "\0"),
        ("79", &"/p".repeat(100_000)),
        ("80/../81", "/media/c.mkv"),
        (&"9".repeat(8_000), "/media/d.mkv"),
    ] {
        for named in [key, "82"] {
            let told = ItemBody {
                item: Some(self::item(key, path)),
            };
            all.push(planted(named, &told));
        }
    }
    all.push(new_entry(InvalidLibrary, "elsewhere", b"x", b"y".to_vec()));
    all
}

#[test]
fn garbage_in_the_log_stops_no_host() {
    let (world, one, two) = pair();
    let library = world.library();
    let (path, key) = path_of(&world.server, 1, 3);
    let planted = garbage(&library);
    for each in planted.chunks(97) {
        world.plant(each);
        for host in [&one, &two] {
            host.exchange();
        }
    }
    // Some alone, so that none hides behind its group.
    for each in planted.iter().step_by(7) {
        world.plant(std::slice::from_ref(each));
        assert!(one.index.exchange(), "{:?}", each.name);
    }
    world.clock.advance_ms(2 * HOUR_MS);
    one.refresh();
    one.record("/mnt/odd.mkv", &key);
    exchange(&[&one, &two]);
    two.refresh();
    exchange(&[&one, &two]);
    assert_eq!(two.confirmed("/mnt/odd.mkv"), Some(key.clone()));
    for host in [&one, &two] {
        assert_eq!(host.known(&path).map(|(key, _)| key), Some(key.clone()));
    }
    // A host that begins now takes all of it at once.
    let three = world.host();
    exchange(&[&three]);
    assert_eq!(three.confirmed("/mnt/odd.mkv"), Some(key));
}

#[test]
fn a_planted_probe_without_libraries_loses_no_match() {
    let world = World::of(20);
    let (one, two) = (world.host(), world.host());
    let (path, key) = path_of(&world.server, 1, 3);
    one.record("/downloads/movie.mkv", &key);
    exchange(&[&one, &two]);
    world.clock.advance_ms(60_000);
    let probes = [
        ProbeBody::default(),
        ProbeBody {
            libraries: vec![Library::default(), Library::default()],
            ..ProbeBody::default()
        },
    ];
    for probe in &probes {
        world.plant(&[new_entry(EntryKind::Probe, "", b"", encode(probe))]);
        exchange(&[&one, &two]);
        world.clock.advance_ms(25 * HOUR_MS);
        one.refresh();
        exchange(&[&one, &two]);
        assert_eq!(one.confirmed("/downloads/movie.mkv"), Some(key.clone()));
        assert!(two.known(&path).is_some());
    }
}

/// Chunks that are missing, damaged, of another library, or too many: the host asks the server itself.
#[test]
fn a_broken_listing_is_replaced() {
    let world = World::of(20);
    let one = world.host();
    let library = world.library();
    let (path, key) = path_of(&world.server, 1, 3);
    let good = pack(&[item("1", "/media/a.mkv")]);
    let bomb = {
        use std::io::Write;
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&vec![b' '; 80 << 20]).expect("packed");
        packed.finish().expect("packed")
    };
    let same: Vec<Item> = (0..3).map(|_| item("1", "/media/a.mkv")).collect();
    for (chunks, told, listed) in [
        (1, vec![], 1),
        (3, vec![good.clone()], 3),
        (1, vec![b"garbage".to_vec()], 1),
        (1, vec![good[..good.len() / 2].to_vec()], 1),
        (1, vec![good.clone()], 1_000_000),
        (u32::MAX, vec![good.clone()], u64::MAX),
        (1, vec![pack(&same)], 3),
        (1, vec![pack(&[item("", ""), item("\0", "\0")])], 2),
        (1, vec![bomb], 1),
    ] {
        world.clock.advance_ms(60_000);
        let lease = world.log.lease(world.view(), &format!("fetch {library}"), NONE);
        let lease = lease.expect("asked").expect("free");
        for (number, chunk) in (0..).zip(&told) {
            assert_eq!(world.log.put_chunk(&lease, &library, number, chunk, NONE), Ok(true));
        }
        let head = ListingBody {
            listing: lease.fence,
            chunks,
            listed,
            items: listed,
            ..ListingBody::default()
        };
        let head = new_entry(EntryKind::Listing, &library, b"", encode(&head));
        let published = world
            .log
            .publish_listing(&lease, plexindex_sharing::HostId(666), &head, 0, NONE);
        assert_eq!(published, Ok(true));
        world.log.release(&lease, NONE).expect("released");
        let new = world.new_host(|_| {});
        let answer = new.index.match_path(&new.movies.query(), path.as_bytes());
        let answer = answer.unwrap_or_else(|error| panic!("{chunks} {listed}: {error}"));
        assert_eq!(answer.key(), Some(key.clone()), "{chunks} {listed}");
        // It gave a good listing to all.
        one.refresh();
        assert!(one.known(&path).is_some());
    }
}
