//! Query arguments.

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
        let mut named = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.next().map(|(_, v)| v.as_str())
    }

    /// Whether an argument is there and neither empty nor 0.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| !v.is_empty() && v != "0")
    }

    /// A comma list, empty when the argument is missing.
    pub fn list(&self, name: &str) -> Vec<String> {
        let list = self.get(name).unwrap_or_default().split(',');
        list.filter(|e| !e.is_empty()).map(str::to_owned).collect()
    }
}
