use super::scrub;

fn scrubbed(text: &str) -> String {
    scrub(
        text,
        &[
            b"secret-1",
            b"secret-12-long",
            b"ann@example.org",
            "Zo\u{eb} & Ann Lee".as_bytes(),
            "ann/\"\u{1F600}lee".as_bytes(),
        ],
    )
}

#[test]
fn a_secret_is_removed_in_any_encoding() {
    for text in [
        "ann@example.org",
        "ANN@Example.org",
        "ann%40example.org",
        "ann%40example%2eorg",
        "ann%2540example.org",
        "%61%6e%6e%40%65xample.org",
        "ann&#64;example.org",
        "ann&#x40;example&#46;org",
        "ann\\u0040example.org",
        "ann&amp;#64;example.org",
        r#"ann\/\"\ud83d\ude00lee"#,
        r#"ann\\/\\\"\\uD83D\\uDE00lee"#,
        "Zo\u{eb} & Ann Lee",
        "Zo\u{eb} &amp; Ann&#32;Lee",
        "Zo%C3%AB+%26+Ann+Lee",
        "secret-12-long",
        "secret-12%2Dlong",
    ] {
        assert_eq!(scrubbed(&format!("a {text}.")), "a ***.", "{text}");
    }
}

#[test]
fn scrubbing_long_tokens_and_texts_is_fast() {
    let (token, text) = (vec![b'a'; 65_536], "a".repeat(65_536));
    assert_eq!(scrub(&text, &[&token]), "***");
}

#[test]
fn pieces_of_eight_bytes_are_removed_and_similar_text_stays() {
    for (text, expected) in [
        ("nn@example.o and @example", "*** and ***"),
        ("secret-1secret-12-lo", "***"),
        ("xsecret-12-long", "x***"),
        ("secret- and example.", "secret- and ***"),
        (
            "example% 5% &; &#; &#x; &bogus; \\u00 %zz %",
            "example% 5% &; &#; &#x; &bogus; \\u00 %zz %",
        ),
        ("&#1114112; &#xD800; é", "&#1114112; &#xD800; é"),
        ("", ""),
    ] {
        assert_eq!(scrubbed(text), expected, "{text}");
    }
}
