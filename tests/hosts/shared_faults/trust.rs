//! A host that was broken into writes what it likes. The others go on.

use plexindex_sharing::{EntryKind, NewEntry};

use crate::shared_faults::hosts::{exchange, pair};
use crate::support::{HOUR_MS, path_of};

/// What no host of any version writes.
fn garbage(library: &str) -> Vec<NewEntry> {
    use EntryKind::{InvalidItem, InvalidLibrary, InvalidPath, Match};
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
    let bodies: [&[u8]; 8] = [b"", b"1", b"\0", b"\xff", b"null", b"[]", b"{}", &huge];
    let kinds = [Match, InvalidItem, InvalidPath];
    let mut all = Vec::new();
    for kind in kinds {
        for uuid in ["", library, "elsewhere", "\u{1}"] {
            for key in keys {
                for body in bodies.into_iter().filter(|body| key != b"/" || body.len() > 9) {
                    all.push(NewEntry::new(kind, uuid, key, body.to_vec()));
                }
            }
        }
    }
    all.push(NewEntry::new(InvalidLibrary, "elsewhere", b"x", b"y".to_vec()));
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
