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
        assert!(error.message.contains("\u{2026}' is not the key"), "{error}");
        assert!(error.message.len() < 200, "{error}");
    }
}

/// A key becomes a part of a URL, and of a list of keys. Only numbers are keys of a server's items.
#[test]
fn a_text_that_is_no_number_is_no_key() {
    for key in ["7", "007", "18446744073709551616"] {
        assert_eq!(KIND.rating_key(key), Ok(key));
        assert_eq!(KIND.rating_key(&KIND.key(key)), Ok(key));
    }
    for no_key in [
        "",
        "-1",
        "a b",
        "a b\n",
        "7\n",
        "7\0",
        "\u{85}",
        "1?x=1",
        "1#x",
        "1&x=1",
        "1%2f",
        "1,2",
        "7/",
        "/7",
        "../7",
        "banana",
        "00ff",
        "5d776830880197001ec90e3a",
        "\u{e4}",
        "\u{664}",
    ] {
        for given in [no_key.to_owned(), KIND.key(no_key)] {
            let error = KIND.rating_key(&given).expect_err(&given);
            assert_eq!(error.status, Status::InvalidArgument);
            assert!(error.message.contains("is not the key"), "{error}");
            assert!(!error.message.contains(char::is_control), "{error}");
        }
    }
}
