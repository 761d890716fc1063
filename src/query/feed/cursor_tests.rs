use super::*;

fn cursor(mark: i64) -> FeedCursor {
    FeedCursor {
        view_id: ViewId(7),
        library: None,
        position: 5,
        end: 1 << 40,
        newest: (1 << 41, mark),
        listing: None,
    }
}

#[test]
fn a_cursor_round_trips() {
    for listing in [None, Some((LibraryId(1 << 50), i64::MAX))] {
        for library in [None, Some(LibraryId(9))] {
            for mark in [i64::MIN, -1, 0, i64::MAX] {
                let cursor = FeedCursor {
                    library,
                    listing,
                    ..cursor(mark)
                };
                assert_eq!(FeedCursor::from_text(&cursor.to_text()), Ok(cursor));
            }
        }
    }
}

#[test]
fn other_texts_are_refused_with_their_name() {
    let given = cursor(0x7edc_ba98).to_text();
    let longer = format!("{given}.1");
    let endless = format!("{given}.1.1.1");
    let other = given.replace("c2.", "c3.");
    let [signed, padded] = ["+5", "05"].map(|number| given.replace(".5.", &format!(".{number}.")));
    for text in [
        "",
        "x",
        &given[..given.len() - 9],
        &longer,
        &endless,
        &other,
        &signed,
        &padded,
        &given.to_uppercase().replace('C', "c"),
        "c2.7.0.5.5.5.-1",
        "c1.0.0",
        "c1.0.0.x.5.0.0",
    ] {
        let error = FeedCursor::from_text(text).expect_err(text);
        assert_eq!(error.status, Status::InvalidArgument, "{text}");
        assert!(error.message.contains("not a valid cursor"), "{}", error.message);
    }
}
