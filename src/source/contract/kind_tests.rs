use crate::error::Status;
use crate::model::LONGEST_KEY;
use crate::source::plex::KIND;

#[test]
fn a_key_ends_in_a_rating_key() {
    let longest = "7".repeat(LONGEST_KEY);
    assert_eq!(KIND.rating_key(&longest), Ok(longest.as_str()));
    assert_eq!(KIND.rating_key(&KIND.key(&longest)), Ok(longest.as_str()));
    for longer in [format!("{longest}7"), KIND.key(&"\u{e4}".repeat(20_000))] {
        let error = KIND.rating_key(&longer).expect_err("refused");
        assert_eq!(error.status, Status::InvalidArgument);
        assert!(error.message.contains("keys have at most 255"), "{error}");
        assert!(error.message.len() < 200, "{error}");
    }
}
