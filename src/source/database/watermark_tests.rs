use super::{Watermark, parse_row_count};

#[test]
fn a_mark_round_trips_through_its_token() {
    let mut mark = Watermark {
        file_id: u64::MAX,
        max_item_id: 202,
        max_part_id: 235,
        trash: [1, 0, 3],
        recent_changes: vec![(7254, 202), (7253, 17)],
    };
    let state = super::FileState::for_tests(5, true);
    for rows in [None, Some(1_100_000)] {
        let token = mark.token(rows, &state);
        assert_eq!(
            (Watermark::parse(&token), parse_row_count(&token)),
            (Some(mark.clone()), rows)
        );
        assert!(super::is_token_current(&token, &state));
        assert!(!super::is_token_current(&token, &super::FileState::for_tests(6, true)));
        mark.recent_changes.clear();
    }
    let unstable = super::FileState::for_tests(5, false);
    assert!(
        !super::is_token_current(&mark.token(None, &unstable), &unstable),
        "the next write may not show"
    );
    for other in [
        "",
        "763 1681586700",
        "1 2 3/4",
        "1 2 3 4 5 6",
        "x 1 2 3 4 5/-/7",
        "1 2 3 4 5 6 7/-/7",
    ] {
        assert_eq!(Watermark::parse(other), None, "{other}");
    }
}
