//! Libraries that the host fills itself: nobody is asked about them. It records matches in them as in any other, keeps
//! values in them by name, and lists items, which the ladder then finds.
//!
//! A listing is one value: the text that the host gave, from which the image is made, and made anew when it is lost.

use std::collections::HashMap;

use super::inner::Inner;
use crate::error::{Error, Result, Status, room};
use crate::matching::Scope;
use crate::model::{Item, rating_key_of};
use crate::options::Ttl;
use crate::reading::{Resolved, Selection, Selector};
use crate::store::{Folder, HostValue, LibraryRow, Store};

/// How often a library is made that others clear at the same time.
const PERSISTENCE: u32 = 20;
/// Begins the text of a listing.
const LISTING: &[u8] = b"plexindex 1\n";
/// What a rating key begins with that stands for a key of another form.
pub const OTHER_KEY: char = '=';

impl Inner {
    /// Makes a library, unless it is there.
    pub(super) fn host_library(&self, name: &str) -> Result<()> {
        if name.is_empty() {
            return Err(Error::new(
                Status::InvalidArgument,
                "the library's name is empty: give one",
            ));
        }
        if self.has_server || !self.store.make_host_library(name)? {
            return Err(Error::new(
                Status::InvalidArgument,
                format!(
                    "library '{name}': a store that holds a server's libraries takes none of the host's: open another \
                     cache_dir for them, without server_url"
                ),
            ));
        }
        self.reading.catch_up()
    }

    /// Stores a value in a library, which is made when it is not there.
    pub(super) fn put_value(
        &self,
        library: &Selection,
        name: &[u8],
        value: &[u8],
        expires: Ttl,
        limit: u64,
    ) -> Result<()> {
        let Selector::Uuid(title) = library.selector() else {
            return Err(Error::new(
                Status::InvalidArgument,
                "values are kept in a library of the host's: select it by its uuid",
            ));
        };
        let items = if name.is_empty() { Some(items(value)?) } else { None };
        for _ in 0..PERSISTENCE {
            let Some((identity, row)) = self.host_row(library)? else {
                self.host_library(title)?;
                continue;
            };
            let now_ms = self.clock.now_ms();
            let listing = match &items {
                Some(items) => Some(self.host_image(&row, items)?),
                None => None,
            };
            let listed = listing.as_ref().map(|(_, generation, _)| *generation);
            let stored = self.store.put_value(
                identity,
                row.id,
                &HostValue {
                    name,
                    value,
                    expires_ms: expiry(expires, now_ms),
                    listing,
                    now_ms,
                    limit,
                },
            )?;
            if stored {
                if let Some(sequence) = listed {
                    self.store.folder().sweep_replaced("l", row.id, sequence);
                    self.images.sweep_images();
                }
                return self.reading.catch_up();
            }
            self.reading.catch_up()?;
        }
        Err(Error::new(
            Status::Store,
            format!("library '{title}' is cleared again and again: try again later"),
        ))
    }

    /// Hands a value to `then` when it has at most `room` bytes; gives its length, `None` without one that has not expired.
    pub(super) fn value(
        &self,
        library: &Selection,
        name: &[u8],
        room: usize,
        then: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<usize>> {
        self.reading.catch_up()?;
        match self.host_row(library)? {
            Some((_, row)) => self.store.value(row.id, name, self.clock.now_ms(), room, then),
            None => Ok(None),
        }
    }

    /// How many values are stored.
    pub(super) fn count_values(&self) -> Result<u64> {
        self.reading.catch_up()?;
        let identity = self.reading.identity();
        identity.map_or(Ok(0), |identity| self.store.count_values(identity))
    }

    fn host_row(&self, library: &Selection) -> Result<Option<(i64, LibraryRow)>> {
        let snapshot = self.reading.snapshot();
        Ok(match (library.resolve(&snapshot)?, snapshot.identity) {
            (Resolved::Scope(Scope::One(place)), Some(identity)) => {
                let row = &snapshot.rows[place];
                if !row.is_the_host_s() {
                    return Err(Error::new(
                        Status::InvalidArgument,
                        format!(
                            "library '{}' is a server's: values are kept in the host's own",
                            row.library.title
                        ),
                    ));
                }
                Some((identity, row.clone()))
            }
            _ => None,
        })
    }

    /// Makes the image of a listing: its name, its generation, and how many items it holds.
    fn host_image(&self, row: &LibraryRow, items: &[Item]) -> Result<(String, u64, u64)> {
        let generation = self.store.totals()?.sequence + 1;
        let name = Folder::image_name("l", row.id, generation, generation);
        let mut builder = self.images.builder(row, generation, generation);
        for item in items {
            builder.push(item);
        }
        self.images.write(builder, &name, row)?;
        Ok((name, generation, items.len() as u64))
    }
}

/// The items of the listing that the host stored last, for making its image anew.
pub(super) fn host_items(store: &Store, row: &LibraryRow) -> Result<Vec<Item>> {
    let mut found = Ok(Vec::new());
    store.value(row.id, b"", i64::MIN, usize::MAX, &mut |value| found = items(value))?;
    found
}

fn expiry(expires: Ttl, now_ms: i64) -> Option<i64> {
    match expires {
        Ttl::Never => None,
        Ttl::AtOnce => Some(now_ms),
        Ttl::For(time) => Some(now_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))),
    }
}

/// The items of a listing's text that can be matched: those with a key that is UTF-8 and holds no NUL, each key once, with
/// the paths of which the same is true.
///
/// The text is a line `plexindex 1`, a line with the count of items, `e` and `s` for flags, and after them `item:count` for
/// each item that has not just one path and `item:-` for each without a title; then keys, titles and paths, all separated
/// by NUL.
/// Flag `e`: NUL stands as `\1` `0` in them, and `\1` as `\1` `1`. Flag `s`: lone surrogates are in them.
fn items(text: &[u8]) -> Result<Vec<Item>> {
    // What it becomes is tried for first: a third of the fields are items, and each of them is known by its key once more.
    let fields = text.split(|byte| *byte == 0).count();
    drop(room::<(Item, [usize; 8])>(fields / 3 + 1, "items")?);
    parse(text).ok_or_else(|| {
        Error::new(
            Status::InvalidArgument,
            "the listing is not of the form that plexindex.h describes: make it again",
        )
    })
}

fn parse(text: &[u8]) -> Option<Vec<Item>> {
    let rest = text.strip_prefix(LISTING)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (head, body) = (std::str::from_utf8(&rest[..end]).ok()?, &rest[end + 1..]);
    let mut words = head.split(' ');
    let count: usize = words.next()?.parse().ok()?;
    let escaped = words.next()?.contains('e');
    let mut odd = words
        .filter(|word| !word.ends_with(":-"))
        .map(|word| {
            let (item, paths) = word.split_once(':')?;
            Some((item.parse::<usize>().ok()?, paths.parse::<usize>().ok()?))
        })
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .peekable();
    let fields: Vec<&[u8]> = if body.is_empty() && count == 0 {
        Vec::new()
    } else {
        body.split(|byte| *byte == 0).collect()
    };
    let keys = fields.get(..count)?;
    let titles = fields.get(count..count.checked_mul(2)?)?;
    let mut paths = fields.get(2 * count..)?.iter();
    let text = |field: &[u8]| -> Option<String> {
        let field = if escaped { unescape(field)? } else { field.to_vec() };
        String::from_utf8(field).ok()
    };
    let mut items: Vec<Item> = Vec::with_capacity(count);
    let mut places: HashMap<String, usize> = HashMap::with_capacity(count);
    for (number, (key, title)) in keys.iter().zip(titles).enumerate() {
        let parts = odd.next_if(|(item, _)| *item == number).map_or(1, |(_, paths)| paths);
        let mut listed = Vec::new();
        for _ in 0..parts {
            listed.extend(text(paths.next()?).filter(|path| !path.is_empty() && !path.contains('\0')));
        }
        // Answers are separated by NUL: a key that holds one would shift those behind it.
        let Some(key) = text(key).filter(|key| !key.contains('\0')) else {
            continue;
        };
        let rating_key = match rating_key_of(&key) {
            rest if rest.len() < key.len()
                && !rest.is_empty()
                && !rest.contains('/')
                && !rest.starts_with(OTHER_KEY) =>
            {
                rest.to_owned()
            }
            _ => format!("{OTHER_KEY}{key}"),
        };
        if let Some(place) = places.get(&rating_key) {
            let known = &mut items[*place].parts;
            listed.retain(|path| !known.contains(path));
            known.extend(listed);
            continue;
        }
        places.insert(rating_key.clone(), items.len());
        items.push(Item {
            rating_key,
            title: text(title).unwrap_or_default(),
            parts: listed,
            season: -1,
            episode: -1,
            ..Item::default()
        });
    }
    (paths.next().is_none() && odd.next().is_none()).then_some(items)
}

fn unescape(field: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            1 => match bytes.next()? {
                b'0' => 0,
                b'1' => 1,
                _ => return None,
            },
            other => *other,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read_as_it_was_written() {
        let keys = "/library/metadata/1\x007\0/library/metadata/=x\0/library/metadata/1";
        let text = format!("plexindex 1\n4 - 1:0 2:2 1:-\n{keys}\0One\0\0\0One\0/a\0/b\0/c\0/d");
        let items = items(text.as_bytes()).unwrap();
        let shown: Vec<_> = items
            .iter()
            .map(|item| (item.rating_key.as_str(), item.title.as_str(), item.parts.join(" ")))
            .collect();
        assert_eq!(
            shown,
            [
                ("1", "One", "/a /d".to_owned()),
                ("=7", "", String::new()),
                ("=/library/metadata/=x", "", "/b /c".to_owned())
            ]
        );
    }

    #[test]
    fn what_no_path_can_be_is_left_out_and_the_rest_is_found() {
        let items = items(b"plexindex 1\n1 es 0:3\n/library/metadata/1\0\0/a\x010b\0/c\x011d\0/\xed\xb2\x80").unwrap();
        assert_eq!(items[0].parts, ["/c\u{1}d"]);
    }

    #[test]
    fn a_key_with_a_nul_is_left_out_and_the_others_keep_their_paths() {
        let items =
            items(b"plexindex 1\n3 e\n/library/metadata/1\0/library/metadata/2\x010\x003\0\0\0\0/a\0/b\0/c").unwrap();
        let shown: Vec<_> = items
            .iter()
            .map(|item| (&item.rating_key[..], &item.parts[0][..]))
            .collect();
        assert_eq!(shown, [("1", "/a"), ("=3", "/c")]);
    }

    #[test]
    fn an_empty_listing_is_one() {
        assert_eq!(items(b"plexindex 1\n0 -\n").unwrap(), []);
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        for text in [
            &b""[..],
            b"plexindex 2\n0 -\n",
            b"plexindex 1\n2 -\na\0b\0=\0=\0/p",
            b"plexindex 1\n1 -\na\0=\0/p\0/q",
            b"plexindex 1\n1 - 5:0\na\0=\0/p",
            b"plexindex 1\n18446744073709551615 -\na",
        ] {
            assert_eq!(items(text).unwrap_err().status, Status::InvalidArgument);
        }
    }
}
