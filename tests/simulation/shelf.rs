//! What a host's own tables may hold: a model of [`plexindex::tables`].

use std::collections::BTreeMap;

/// A value and when it expires.
type Value = Option<(Vec<u8>, Option<i64>)>;

/// An entry: one of these; more than one after a kill.
#[derive(Clone, Debug)]
struct Entry {
    may_be: Vec<Value>,
    /// A write may have removed it: it had expired, which shows when the clock is set back, or a limit was reached.
    maybe_gone: bool,
}

#[derive(Clone, Default)]
pub struct Shelf(BTreeMap<(String, String), Entry>);

impl Shelf {
    /// Something was written: what has expired may have gone.
    pub fn written(&mut self, now_ms: i64) {
        for entry in self.0.values_mut() {
            let expired = |value: &Value| matches!(value, Some((_, Some(at))) if *at <= now_ms);
            entry.maybe_gone |= entry.may_be.iter().any(expired);
        }
    }

    /// A limited write follows: what was written before may have gone.
    pub fn evicted(&mut self) {
        self.0.values_mut().for_each(|entry| entry.maybe_gone = true);
    }

    /// A write that returned; one that was killed may have been done.
    pub fn put(&mut self, table: &str, name: &str, value: Value, killed: bool) {
        let entry = self.0.entry((table.to_owned(), name.to_owned())).or_insert(Entry {
            may_be: vec![None],
            maybe_gone: false,
        });
        if killed {
            entry.may_be.push(value);
        } else {
            *entry = Entry {
                may_be: vec![value],
                maybe_gone: false,
            };
        }
    }

    pub fn clear(&mut self, table: Option<&str>, killed: bool) {
        let names: Vec<(String, String)> = self.0.keys().cloned().collect();
        for (of, name) in names.iter().filter(|(of, _)| table.is_none_or(|table| table == of)) {
            self.put(of, name, None, killed);
        }
    }

    /// The database was lost.
    pub fn lose(&mut self) {
        self.clear(None, true);
    }

    /// Checks what was read, and learns from it which of several it is.
    pub fn check(&mut self, table: &str, name: &str, read: Option<&[u8]>, now_ms: i64) -> Result<(), String> {
        let Some(entry) = self.0.get_mut(&(table.to_owned(), name.to_owned())) else {
            return if read.is_none() {
                Ok(())
            } else {
                Err(format!("{table}/{name} was never written, and has a value"))
            };
        };
        let shows = |value: &Value| match value {
            Some((bytes, expires)) if expires.is_none_or(|at| now_ms < at) => Some(bytes.clone()),
            _ => None,
        };
        let fits = |value: &Value| shows(value).as_deref() == read;
        if !(entry.may_be.iter().any(fits) || read.is_none() && entry.maybe_gone) {
            return Err(format!(
                "{table}/{name} is {:?}, and may be {:?} at {now_ms}",
                read.map(String::from_utf8_lossy),
                entry.may_be
            ));
        }
        if entry.may_be.len() > 1 && entry.may_be.iter().any(fits) && !entry.maybe_gone {
            entry.may_be.retain(fits);
        }
        Ok(())
    }

    /// Checks the names that a table was said to have.
    pub fn check_names(&self, table: &str, names: &[String], now_ms: i64) -> Result<(), String> {
        for ((of, name), entry) in self.0.iter().filter(|((of, _), _)| of == table) {
            let lives = |value: &Value| matches!(value, Some((_, at)) if at.is_none_or(|at| now_ms < at));
            let listed = names.contains(name);
            let must = entry.may_be.iter().all(lives) && !entry.maybe_gone;
            if must && !listed || listed && !entry.may_be.iter().any(lives) {
                return Err(format!(
                    "{of}/{name} is listed: {listed}, and may be {:?}",
                    entry.may_be
                ));
            }
        }
        let unknown = names
            .iter()
            .find(|name| !self.0.contains_key(&(table.to_owned(), (*name).clone())));
        unknown.map_or(Ok(()), |name| {
            Err(format!("{table}/{name} is listed and was never written"))
        })
    }
}
