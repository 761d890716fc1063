//! Query arguments, and telling names from operators (Plex API notes §3, Filters).

/// The arguments of a query, decoded, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(pub Vec<(String, String)>);

impl Params {
    pub fn parse(query: &str) -> Self {
        Params(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
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
