//! The state file: what it holds comes back, and nothing else does.

use super::*;

fn kept() -> CachedState {
    let row = || {
        let text = Value::Text("Filme – 東京".to_owned());
        vec![
            Value::Integer(-7),
            text,
            Value::Null,
            Value::Real(0.5),
            Value::Blob(vec![0, 255]),
        ]
    };
    let view = |endpoint| CachedView {
        endpoint,
        identity: Some(3),
        used_ms: i64::MAX,
        manifest: row(),
        libraries: vec![row(), row()],
        changes: vec![row()],
    };
    CachedState {
        form: "id, title".to_owned(),
        id: u64::MAX,
        secret: [7; 32],
        sequence: Sequence(1 << 51),
        views: vec![view(None), view(Some(("http://plex".to_owned(), vec![1; 33])))],
    }
}

#[test]
fn what_is_written_is_read() {
    let bytes = written(&kept(), b"files");
    assert_eq!(read(&bytes, b"files"), Some(kept()));
    assert_eq!(read(&bytes, b"other files"), None);
    assert_eq!(read(&bytes, b""), None);
}

#[test]
fn half_a_file_or_a_damaged_one_says_nothing() {
    let bytes = written(&kept(), b"files");
    for end in 0..bytes.len() {
        assert_eq!(read(&bytes[..end], b"files"), None, "of {end} bytes");
    }
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        assert_eq!(read(&damaged, b"files"), None, "with another byte at {place}");
    }
    assert_eq!(read(&[&*bytes, b"\0"].concat(), b"files"), None);
}

/// Whatever the bytes are, with a sum that is right: no panic, no room for what is not there.
#[test]
fn numbers_that_are_too_large_say_nothing() {
    let bytes = written(&kept(), b"files");
    let body = &bytes[..bytes.len() - SUM];
    for place in MAGIC.len()..body.len() - 8 {
        let mut odd = body.to_vec();
        odd[place..place + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        let sum = xxh3_64(&odd).to_le_bytes();
        odd.extend_from_slice(&sum);
        let _ = read(&odd, b"files");
    }
}
