use super::*;

fn page(keys: std::ops::Range<usize>) -> Vec<Item> {
    keys.map(|key| Item {
        rating_key: key.to_string(),
        parts: vec![format!("/data/{key}.mkv").into()],
        ..Item::default()
    })
    .collect()
}

fn read(path: &Path, end: FileEnd) -> io::Result<Vec<(Sequence, Vec<Item>)>> {
    let mut pages = Vec::new();
    read_pages(path, end, |requested_at, items| pages.push((requested_at, items)))?;
    Ok(pages)
}

#[test]
fn pages_are_read_as_they_were_appended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("items");
    assert_eq!(read(&path, FileEnd::default()).expect("no page"), []);
    let (first, second) = ((Sequence(3), page(0..5)), (Sequence(9), page(5..7)));
    let one = append_page(&path, FileEnd::default(), first.0, &first.1).expect("appended");
    let lost = append_page(&path, one, Sequence(4), &page(90..99)).expect("appended");
    // A kill before the database named the page: the next process overwrites it.
    let both = append_page(&path, one, second.0, &second.1).expect("appended");
    assert_eq!(read(&path, one).expect("a page"), std::slice::from_ref(&first));
    assert_eq!(read(&path, both).expect("two pages"), [first, second]);
    assert!(read(&path, lost).is_err());
}

#[test]
fn a_damaged_page_is_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("items");
    let one = append_page(&path, FileEnd::default(), Sequence(1), &page(0..3)).expect("appended");
    let end = append_page(&path, one, Sequence(2), &page(3..6)).expect("appended");
    let good = std::fs::read(&path).expect("read");
    for offset in 0..good.len() {
        let mut bytes = good.clone();
        bytes[offset] ^= 1;
        std::fs::write(&path, bytes).expect("written");
        assert!(read(&path, end).is_err(), "{offset}");
    }
    std::fs::write(&path, &good[..good.len() - 1]).expect("written");
    assert!(read(&path, end).is_err());
}
