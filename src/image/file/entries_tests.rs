use std::fs;

use super::*;

fn written(entries: &[(&[u8], Kept<'_>)]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.image");
    let mut builder = EntriesBuilder::default();
    for (name, kept) in entries {
        builder.push(name, *kept);
    }
    builder.finish(&path, 7).unwrap();
    (folder, path)
}

fn found_in<'i>(image: &'i Entries, name: &[u8]) -> Read<Option<Kept<'i>>> {
    let hash = xxh3_64(name);
    image.find(name, hash, image.first(hash))
}

#[test]
fn names_whose_slots_are_alike_are_told_apart() {
    let mut names: Vec<(u32, String)> = (0..300_000)
        .map(|n| (table::upper(xxh3_64(format!("{n}").as_bytes())), format!("{n}")))
        .collect();
    names.sort_unstable();
    let alike: Vec<&String> = names
        .windows(2)
        .filter(|two| two[0].0 == two[1].0)
        .flat_map(|two| [&two[0].1, &two[1].1])
        .collect();
    assert!(alike.len() >= 4, "{alike:?}");
    // Of the last pair one is missing.
    let there = &alike[..alike.len() - 1];
    let entries: Vec<(&[u8], Kept<'_>)> = there
        .iter()
        .map(|name| {
            let value = Some(name.as_bytes());
            (
                name.as_bytes(),
                Kept {
                    value,
                    expires_ms: None,
                },
            )
        })
        .collect();
    let (_folder, path) = written(&entries);
    let image = Entries::open(&path, MapMode::Map, 7).unwrap();
    for (name, kept) in &entries {
        assert_eq!(found_in(&image, name), Ok(Some(*kept)));
    }
    let missing = alike[alike.len() - 1];
    assert_eq!(found_in(&image, missing.as_bytes()), Ok(None));
}

#[test]
fn entries_are_found_by_exactly_their_names() {
    let text: Vec<(String, String)> = (0..3_000).map(|n| (format!("/Films/{n}.mkv"), n.to_string())).collect();
    let long = [b'x'; 5_000];
    let kept = |value| Kept {
        value: Some(value),
        expires_ms: None,
    };
    let mut entries: Vec<(&[u8], Kept<'_>)> = text
        .iter()
        .map(|(name, value)| (name.as_bytes(), kept(value.as_bytes())))
        .collect();
    let until = |ms| Kept {
        value: Some(b"soon"),
        expires_ms: Some(ms),
    };
    entries.extend([
        (&b""[..], kept(b"")),
        (b"\0\xff", kept(&long)),
        (
            b"long",
            Kept {
                value: None,
                expires_ms: None,
            },
        ),
        (b"0", until(0)),
        (b"max", until(i64::MAX)),
    ]);
    let (_folder, path) = written(&entries);
    let image = Entries::open(&path, MapMode::Map, 7).unwrap();
    let find = |name: &[u8]| found_in(&image, name).unwrap();
    for (name, kept) in &entries {
        assert_eq!(find(name), Some(*kept));
    }
    assert_eq!(
        (find(b"/films/1.mkv"), find(b"/Films/1.mkv\0"), find(b"x")),
        (None, None, None)
    );
    assert!(Entries::open(&path, MapMode::Read, 8).is_err(), "the seal is another's");
    assert!(
        super::super::Image::open(&path, MapMode::Read, 7).is_err(),
        "it is no listing"
    );
}

#[test]
fn damage_gives_an_error_or_the_entry_as_it_was() {
    let kept = Kept {
        value: Some(b"value"),
        expires_ms: Some(5),
    };
    let (_folder, path) = written(&[(b"name", kept), (b"other", kept)]);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        if let Ok(image) = Entries::open(&path, MapMode::Read, 7)
            && let Ok(found) = found_in(&image, b"name")
        {
            assert_eq!(found, Some(kept), "byte {at}");
        }
    }
    for length in [0, 100, BLOCK, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(Entries::open(&path, MapMode::Read, 7).is_err());
    }
}
