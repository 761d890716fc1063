//! Putting paths into the order of [`super::names`], without touching most of them.

use std::cmp::Ordering;

use super::table::upper;
use crate::matching::Form;

/// A path while an image is built.
#[derive(Clone, Copy)]
pub struct Name {
    /// Hash of the file name.
    pub hash: u64,
    /// Its entry.
    pub entry: u32,
}

/// Sorts; `form` finds an entry's normal form. Most file names are unlike all others, and then hashes decide; only where
/// they are alike are paths looked at.
pub fn sort<'f>(names: &mut [Name], form: impl Fn(u32) -> Form<'f>) {
    names.sort_unstable_by_key(|name| (upper(name.hash), name.entry));
    for group in names.chunk_by_mut(|a, b| upper(a.hash) == upper(b.hash)) {
        if group.len() > 1 {
            sort_group(group, &form);
        }
    }
}

fn sort_group<'f>(group: &mut [Name], form: &impl Fn(u32) -> Form<'f>) {
    // The beginning of the folder's name decides most of what is left. It may only be asked once the file names are known
    // to be the same, which hashes cannot say.
    let first = form(group[0].entry);
    let same = |name: &Name| first.common(form(name.entry)) > 0;
    if !group.iter().all(same) {
        group.sort_by(|a, b| order(form(a.entry), form(b.entry)));
        return;
    }
    let mut keyed: Vec<(u64, Name)> = group.iter().map(|name| (folder_key(form(name.entry)), *name)).collect();
    keyed.sort_by(|(a, left), (b, right)| a.cmp(b).then_with(|| order(form(left.entry), form(right.entry))));
    for (slot, (_, name)) in group.iter_mut().zip(keyed) {
        *slot = name;
    }
}

/// The first bytes of the last folder, so that their order is that of the numbers.
fn folder_key(form: Form<'_>) -> u64 {
    let mut key = [0; 8];
    if let Some(folder) = form.back().nth(1) {
        for (to, from) in key.iter_mut().zip(folder.folded()) {
            *to = from;
        }
    }
    u64::from_be_bytes(key)
}

/// Component by component from the end; what ends first comes first.
fn order(a: Form<'_>, b: Form<'_>) -> Ordering {
    let (mut a, mut b) = (a.back(), b.back());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match a.order(b) {
                Ordering::Equal => {}
                other => return other,
            },
        }
    }
}
