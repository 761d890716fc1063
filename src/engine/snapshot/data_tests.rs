use super::{LoggedChange, LoggedKind, last_ones};
use crate::model::{LibraryId, Sequence};

#[test]
fn of_an_item_that_came_again_the_last_change_counts() {
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
    let told: Vec<usize> = last_ones(&changes)
        .map(|one| {
            changes
                .iter()
                .position(|change| std::ptr::eq(change, one))
                .expect("one of them")
        })
        .collect();
    assert_eq!(told, [1, 3, 4, 5, 6]);
}
