use super::*;

fn cursor(position: FeedPosition) -> FeedCursor {
    FeedCursor {
        timeline: 0x7edc_ba98_7654_3210,
        view_id: ViewId(7),
        library: None,
        position,
        end: None,
    }
}

#[test]
fn a_cursor_round_trips() {
    let log = FeedPosition::Log(FeedLogPosition {
        sequence: Sequence(1 << 40),
        change_number: 3,
        next_library: 99,
    });
    let full = FeedPosition::Full {
        log_start: Sequence(5),
        library: LibraryId(1 << 50),
        after: 1000,
    };
    for position in [log, full] {
        for library in [None, Some(LibraryId(9))] {
            for end in [None, Some(Sequence(1 << 41))] {
                let cursor = FeedCursor {
                    library,
                    end,
                    ..cursor(position)
                };
                assert_eq!(FeedCursor::from_text(&cursor.to_text()), Ok(cursor));
            }
        }
    }
}

#[test]
fn other_texts_are_refused_with_their_name() {
    let given = cursor(FeedPosition::Log(FeedLogPosition {
        sequence: Sequence(5),
        change_number: 0,
        next_library: 0,
    }))
    .to_text();
    let longer = format!("{given}.1");
    let endless = format!("{given}.to");
    let other = given.replace("c1.", "c2.");
    let [signed, padded] = ["+5", "05"].map(|number| given.replace(".5.", &format!(".{number}.")));
    for text in [
        "",
        "x",
        &given[..given.len() - 2],
        &longer,
        &endless,
        &other,
        &signed,
        &padded,
        &given.to_uppercase().replace('C', "c"),
        "c1.0.0.0.-5.0.0",
        "c1.0.0.0.full.1",
    ] {
        let error = FeedCursor::from_text(text).expect_err(text);
        assert_eq!(error.status, Status::InvalidArgument, "{text}");
        assert!(error.message.contains("not a valid cursor"), "{}", error.message);
    }
}
