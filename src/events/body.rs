//! What hosts hand over: a notification, or a webhook as it came.

/// The JSON in a body: all of it, or the field `payload` of a form as browsers and Plex send them.
pub fn json_of(body: &[u8]) -> Option<&[u8]> {
    let body = body.trim_ascii_start();
    if !body.starts_with(b"--") {
        return body.starts_with(b"{").then_some(body);
    }
    let end = body.iter().position(|byte| *byte == b'\n')?;
    let boundary = body.get(..end)?.trim_ascii_end();
    if boundary.len() <= 2 {
        return None;
    }
    let mut rest = body.get(boundary.len()..)?;
    while let Some(next) = find(rest, boundary) {
        let (part, behind) = (rest.get(..next)?, rest.get(next + boundary.len()..)?);
        let head = find(part, b"\r\n\r\n")
            .map(|at| (at, 4))
            .or_else(|| find(part, b"\n\n").map(|at| (at, 2)));
        if let Some((at, blank)) = head
            && find(part.get(..at)?, b"name=\"payload\"").is_some()
        {
            return part.get(at + blank..).map(<[u8]>::trim_ascii);
        }
        rest = behind;
    }
    None
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|piece| piece == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_hold_their_payload_between_two_boundaries() {
        let form = b"--xYz\r\nContent-Disposition: form-data; name=\"thumb\"; filename=\"a.jpg\"\r\n\
                     Content-Type: image/jpeg\r\n\r\n\xff\xd8--\xff\r\n--xYz\r\n\
                     Content-Disposition: form-data; name=\"payload\"\r\nContent-Type: application/json\r\n\r\n\
                     {\"event\":\"library.new\"}\r\n--xYz--\r\n";
        assert_eq!(json_of(form), Some(&b"{\"event\":\"library.new\"}"[..]));
        assert_eq!(json_of(b" {\"a\":1}"), Some(&b"{\"a\":1}"[..]));
        for none in [
            &b"payload=%7B"[..],
            b"",
            b"--",
            b"--\n--",
            b"--x",
            b"--x\r\n\r\n{}\r\n--x--",
        ] {
            assert_eq!(json_of(none), None, "{}", String::from_utf8_lossy(none));
        }
    }
}
