use super::{LoggedChange, LoggedKind, without_replaced};
use crate::model::{LibraryId, Sequence};

#[test]
fn the_last_change_of_an_item_counts() {
    let change = |kind, library, key: &str| LoggedChange {
        library: LibraryId(library),
        kind,
        path: Vec::new(),
        rating_key: key.to_owned(),
        sequence: Sequence::default(),
    };
    let changes = [
        change(LoggedKind::Added, 1, "7"),
        change(LoggedKind::Matched, 1, "7"),
        change(LoggedKind::Removed, 1, "7"),
        change(LoggedKind::Added, 2, "7"),
        change(LoggedKind::Matched, 1, "7"),
        change(LoggedKind::Added, 1, "8"),
        change(LoggedKind::Added, 1, "7"),
    ];
    let kept: Vec<usize> = without_replaced(&changes)
        .map(|one| {
            changes
                .iter()
                .position(|change| std::ptr::eq(change, one))
                .expect("one of them")
        })
        .collect();
    assert_eq!(kept, [1, 3, 4, 5, 6]);
}
