//! Extracts the JSON from a notification or webhook that the host received.

/// Returns the JSON in a body: the whole body, or the field `payload` of a multipart form, which is how Plex sends
/// webhooks. Returns `None` for other bodies.
pub fn extract_json(body: &[u8]) -> Option<&[u8]> {
    let body = body.trim_ascii_start();
    if !body.starts_with(b"--") {
        return body.starts_with(b"{").then_some(body);
    }
    // A multipart form starts with its boundary line, `--` and a name.
    let line_end = body.iter().position(|byte| *byte == b'\n')?;
    let boundary = body.get(..line_end)?.trim_ascii_end();
    if boundary.len() <= 2 {
        return None;
    }
    let mut remaining = body.get(boundary.len()..)?;
    while let Some(part_end) = find(remaining, boundary) {
        let (part, after_boundary) = (remaining.get(..part_end)?, remaining.get(part_end + boundary.len()..)?);
        // A blank line ends a part's headers.
        let header_end = find(part, b"\r\n\r\n")
            .map(|offset| (offset, 4))
            .or_else(|| find(part, b"\n\n").map(|offset| (offset, 2)));
        if let Some((offset, blank_length)) = header_end
            && find(part.get(..offset)?, b"name=\"payload\"").is_some()
        {
            return part.get(offset + blank_length..).map(<[u8]>::trim_ascii);
        }
        remaining = after_boundary;
    }
    None
}

/// Returns the offset of the first occurrence of `needle`; `None` if `bytes` does not contain it.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
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
}
