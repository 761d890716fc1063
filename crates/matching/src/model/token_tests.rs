use super::*;

/// A token with this payload, encoded.
fn token(payload: &str) -> Token {
    Token::new(&format!("eyJhbGciOiJFZERTQSJ9.{payload}.c2lnbmF0dXJl")).expect("a token")
}

#[test]
fn base64_of_each_length_is_decoded() {
    for (text, bytes) in [
        ("", &b""[..]),
        ("Zg", b"f"),
        ("Zm8", b"fo"),
        ("Zm9v", b"foo"),
        ("-_8", &[0xFB, 0xFF]),
    ] {
        assert_eq!(base64url(text).as_deref(), Some(bytes), "{text}");
    }
    assert_eq!(base64url("Zg=="), None);
}

#[test]
fn claims_are_read_and_malformed_tokens_have_none() {
    // {"exp":2000000000,"thumbprint":"a1","username":"ann"}
    let whole = token("eyJleHAiOjIwMDAwMDAwMDAsInRodW1icHJpbnQiOiJhMSIsInVzZXJuYW1lIjoiYW5uIn0");
    let claims = whole.claims().expect("claims");
    assert_eq!(claims.expires_ms, 2_000_000_000_000);
    assert_eq!(claims.user.as_deref(), Some(r#"["a1","ann"]"#));
    assert_eq!(format!("{whole:?} {claims:?}"), "*** ***");
    // {"exp":2000000000,"thumbprint":"a1"}: nobody is named.
    let nobody = token("eyJleHAiOjIwMDAwMDAwMDAsInRodW1icHJpbnQiOiJhMSJ9").claims();
    assert_eq!(nobody.expect("claims").user, None);
    // {"exp":0.0005}, {"exp":0} and {"exp":-5}: long ago, and not never.
    for payload in ["eyJleHAiOjAuMDAwNX0", "eyJleHAiOjB9", "eyJleHAiOi01fQ"] {
        assert_eq!(token(payload).claims().expect("claims").expires_ms, 1, "{payload}");
    }
    // {"exp":1,"thumbprint":"a","username":"x","username":"y"}: which one?
    let twice = "eyJleHAiOjEsInRodW1icHJpbnQiOiJhIiwidXNlcm5hbWUiOiJ4IiwidXNlcm5hbWUiOiJ5In0";
    for odd in [twice, "", "!", "e30", "bnVsbA"] {
        assert!(token(odd).claims().is_none(), "{odd}");
    }
    assert!(Token::new("aaaaaaaaaaaaaaaaaaaa").expect("a token").claims().is_none());
}

#[test]
fn scrubbing_removes_pieces_of_the_token_and_its_claims() {
    // {"username":"Perpetua","of":[{"ann@example.org":["a-server-of-hers"]}],"exp":4102444800}
    let token = token(
        "eyJ1c2VybmFtZSI6IlBlcnBldHVhIiwib2YiOlt7ImFubkBleGFtcGxlLm9yZyI6WyJhLXNlcnZlci1vZi1oZXJzIl19XSwiZXhwIjo0MTAyNDQ0\
         ODAwfQ",
    );
    let whole = token.reveal().to_owned();
    for (text, scrubbed) in [
        (format!("a {whole} b"), "a *** b"),
        (format!("title=\"{}\"", &whole[3..20]), "title=\"***\""),
        (format!("é{}é{}é", &whole[..8], &whole[9..30]), "é***é***é"),
        (whole.replace('.', "%2E"), "***"),
        ("it is Perpetua's".to_owned(), "it is ***'s"),
        (
            "of ann%40example.org: a-server-of-hers, until 4102444800".to_owned(),
            "of ***: ***, until ***",
        ),
        ("nothing of it".to_owned(), "nothing of it"),
    ] {
        assert_eq!(Token::scrub(&[&token], &text), scrubbed);
    }
    let short = Token::new("short").expect("a token");
    assert_eq!(Token::scrub(&[&short], "a short text"), "a short text");
}
