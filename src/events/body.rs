//! Parses notifications and webhooks that hosts pass on.

/// Returns the JSON in a body: all of it, or the field `payload` of a multipart form.
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
#[path = "body_tests.rs"]
mod tests;
