//! Query arguments: decoding, and telling names from operators (Plex API notes §3, Filters).

/// Decodes `%41` and, in queries, `+`. Bytes that are not UTF-8 are replaced.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |i: usize| bytes.get(i).and_then(|b| char::from(*b).to_digit(16)).map(|d| d as u8);
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' => {
                if let (Some(high), Some(low)) = (hex(at + 1), hex(at + 2)) {
                    out.push(high << 4 | low);
                    at += 2;
                } else {
                    out.push(b'%');
                }
            }
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// The arguments of a query, decoded, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(pub Vec<(String, String)>);

impl Params {
    pub fn parse(query: &str) -> Self {
        Params(
            query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    /// The first value of an argument.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first value of an argument whose name is compared without regard to case.
    pub fn get_loose(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// Whether an argument is there and neither empty nor 0.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| !v.is_empty() && v != "0")
    }

    /// A comma list, empty when the argument is missing.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.get(name)
            .map(|v| v.split(',').filter(|e| !e.is_empty()).map(str::to_owned).collect())
            .unwrap_or_default()
    }
}

/// A name with its operator: `addedAt>>` is (`addedAt`, `>>=`).
pub(crate) fn operator<'a>(name: &'a str, value: &'a str) -> (&'a str, &'a str, &'a str) {
    let field = name.trim_end_matches(['!', '<', '>', '=']);
    let operator = match &name[field.len()..] {
        // `title==x` without encoding leaves the second sign in the value.
        "" => {
            return match value.strip_prefix('=') {
                Some(rest) => (field, "==", rest),
                None => (field, "=", value),
            };
        }
        "!" => "!=",
        "=" => "==",
        "!=" => "!==",
        ">" => ">=",
        ">>" => ">>=",
        "<" => "<=",
        "<<" => "<<=",
        _ => "?",
    };
    (field, operator, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding() {
        assert_eq!(decode("a%20b+c%2Bd%zz%4"), "a b c+d%zz%4");
        assert_eq!(decode("%c3%a9"), "\u{e9}");
    }

    #[test]
    fn operators() {
        for (query, want) in [
            ("title=x", ("title", "=", "x")),
            ("title==x", ("title", "==", "x")),
            ("title%3D=x", ("title", "==", "x")),
            ("title!=x", ("title", "!=", "x")),
            ("addedAt>=5", ("addedAt", ">=", "5")),
            ("addedAt>>=5", ("addedAt", ">>=", "5")),
            ("addedAt%3E%3E=-30d", ("addedAt", ">>=", "-30d")),
        ] {
            let params = Params::parse(query);
            let (name, value) = &params.0[0];
            assert_eq!(operator(name, value), want, "{query}");
        }
    }
}
