use super::*;

#[test]
fn forms_hold_their_payload_between_two_boundaries() {
    let form = b"--xYz\r\nContent-Disposition: form-data; name=\"thumb\"; filename=\"a.jpg\"\r\n\
                 Content-Type: image/jpeg\r\n\r\n\xff\xd8--\xff\r\n--xYz\r\n\
                 Content-Disposition: form-data; name=\"payload\"\r\nContent-Type: application/json\r\n\r\n\
                 {\"event\":\"library.new\"}\r\n--xYz--\r\n";
    assert_eq!(extract_json(form), Some(&b"{\"event\":\"library.new\"}"[..]));
    assert_eq!(extract_json(b" {\"a\":1}"), Some(&b"{\"a\":1}"[..]));
    for none in [
        &b"payload=%7B"[..],
        b"",
        b"--",
        b"--\n--",
        b"--x",
        b"--x\r\n\r\n{}\r\n--x--",
    ] {
        assert_eq!(extract_json(none), None, "{}", String::from_utf8_lossy(none));
    }
}
