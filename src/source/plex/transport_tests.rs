use super::*;

#[test]
fn the_token_replaces_its_placeholder() {
    let head = b"GET / HTTP/1.1\r\nhost: plex\r\nx-plex-token: ***12\r\naccept: a\r\n\r\n";
    for token in ["", "x", "abcd", "a-long-token-of-some-length"] {
        let mut output = [0; 256];
        output[..head.len()].copy_from_slice(head);
        let (number, place) = find_placeholder(&output[..head.len()]).unwrap();
        assert_eq!((number, &output[place.clone()]), (12, token_placeholder(12).as_bytes()));
        let (amount, place) = insert_token(&mut output, head.len(), place, token.as_bytes()).unwrap();
        assert_eq!(&output[place], token.as_bytes());
        assert_eq!(
            std::str::from_utf8(&output[..amount]).unwrap(),
            format!("GET / HTTP/1.1\r\nhost: plex\r\nx-plex-token: {token}\r\naccept: a\r\n\r\n")
        );
    }
    let mut tight = *head;
    let (_, place) = find_placeholder(&tight).unwrap();
    assert!(insert_token(&mut tight, head.len(), place, b"longer").is_err());
    for other in [
        "GET /***",
        "x-plex-token: ***\r\n",
        "x-plex-token: ***1",
        "x-plex-token: ***a\r\n",
    ] {
        assert_eq!(find_placeholder(other.as_bytes()), None, "{other}");
    }
}
