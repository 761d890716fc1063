//! The state file: its content comes back, and other content is ignored.

use super::*;

fn kept() -> CachedState {
    let view = |endpoint| CachedView {
        endpoint,
        view_id: ViewId(3),
        state: b"Filme".to_vec(),
    };
    CachedState {
        id: u64::MAX,
        secret: [7; 32],
        sequence: Sequence(1 << 51),
        views: vec![view(None), view(Some(("http://plex".to_owned(), vec![1; 33])))],
    }
}

#[test]
fn a_written_state_file_is_read() {
    let bytes = encode(&kept(), b"files").expect("encoded");
    assert_eq!(decode(&bytes, b"files"), Some(kept()));
    assert_eq!(decode(&bytes, b"other files"), None);
    assert_eq!(decode(&bytes, b""), None);
}

#[test]
fn a_truncated_or_damaged_state_file_is_ignored() {
    let bytes = encode(&kept(), b"files").expect("encoded");
    for end in 0..bytes.len() {
        assert_eq!(decode(&bytes[..end], b"files"), None, "of {end} bytes");
    }
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        assert_eq!(decode(&damaged, b"files"), None, "with another byte at {place}");
    }
    assert_eq!(decode(&[&*bytes, b"\0"].concat(), b"files"), None);
}

/// Any bytes with a valid checksum: no panic, and no allocation for lengths that exceed the file.
#[test]
fn a_state_file_with_too_large_numbers_is_ignored() {
    let bytes = encode(&kept(), b"files").expect("encoded");
    let body = &bytes[MAGIC.len() + 8..];
    for place in 0..body.len() - 8 {
        let mut odd = body.to_vec();
        odd[place..place + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        let sum = xxh3_64(&odd).to_le_bytes();
        let _ = decode(&[MAGIC, &sum, &*odd].concat(), b"files");
    }
}
