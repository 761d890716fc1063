//! A file that is read in order in several places at once: each is read ahead, and what was read is copied out, or lent where it
//! is.

use std::ffi::c_int;
use std::ops::Range;

use rusqlite::ffi::SQLITE_OK;

/// How many bytes are read ahead, in how many places of the file: each table and each index that is walked has its own.
const AHEAD: usize = 32 << 10;
const PLACES: usize = 16;
/// So many bytes behind a page that is handed out can be read: of a damaged one `SQLite` may read beyond its end.
const BEHIND: usize = 256;
/// Where no read goes on.
const NOWHERE: i64 = i64::MIN / 2;
/// Up to which distance a read goes on where another one ended: pages of another kind lie between.
const NEAR: i64 = 8 << 10;

/// Places where a file is read in order.
#[derive(Default)]
pub struct Ahead {
    places: Vec<Spot>,
    /// Counts uses: the place that was not used for the longest time goes.
    uses: u64,
}

#[derive(Default)]
struct Spot {
    from: i64,
    /// Where the last read ended.
    ended: i64,
    bytes: Vec<u8>,
    /// How many of them are true now.
    filled: usize,
    used: u64,
    /// How many pages of it are handed out: until they are given back it is not read into.
    lent: u32,
}

impl Spot {
    /// Where a page stands in it, if it does.
    fn range(&self, from: i64, length: usize) -> Option<Range<usize>> {
        let start = usize::try_from(from - self.from).ok()?;
        Some(start..start + length).filter(|range| range.end <= self.filled)
    }

    /// Whether a read is the next one.
    fn goes_on(&self, from: i64) -> bool {
        (self.ended..=self.ended + NEAR).contains(&from)
    }

    /// Reads ahead what stands at `from`, where a page of this length is asked for; gives whether it is there. Nothing of it is
    /// lent.
    fn fill(&mut self, from: i64, length: usize, read: &mut dyn FnMut(&mut [u8], i64) -> c_int) -> bool {
        let whole = AHEAD.max(length);
        // Made once: to fill it with zeros takes as long as to read into it.
        if self.bytes.len() < whole + BEHIND {
            self.bytes.resize(whole + BEHIND, 0);
        }
        let read = read(&mut self.bytes[..whole], from) == SQLITE_OK;
        // Else it reaches beyond the end, or failed: what is asked for tells.
        (self.from, self.filled) = (from, if read { whole } else { 0 });
        read
    }
}

impl Ahead {
    /// A place to read into that nothing of is lent: the one that was not used for the longest time.
    fn free(&mut self) -> Option<&mut Spot> {
        if self.places.len() < PLACES {
            self.places.push(Spot::default());
            return self.places.last_mut();
        }
        let free = self.places.iter_mut().filter(|spot| spot.lent == 0);
        free.min_by_key(|spot| spot.used)
    }

    /// The place where what was read in order goes on at `from`: filled with it. `None` where none does, or it cannot be.
    fn next(&mut self, from: i64, length: usize, read: &mut dyn FnMut(&mut [u8], i64) -> c_int) -> Option<&mut Spot> {
        let at = self.places.iter().position(|spot| spot.goes_on(from))?;
        let spot = if self.places[at].lent == 0 {
            &mut self.places[at]
        } else {
            // Something above what is read lies in it: it stays, and another one goes on.
            self.places[at].ended = NOWHERE;
            self.free()?
        };
        spot.ended = from + i64::try_from(length).unwrap_or(0);
        spot.fill(from, length, read).then_some(spot)
    }

    /// The page that stands at `from`, to be given back; `None` where it is not read ahead.
    pub fn lend(&mut self, from: i64, length: usize, read: &mut dyn FnMut(&mut [u8], i64) -> c_int) -> Option<*mut u8> {
        self.uses += 1;
        let uses = self.uses;
        let known = self.places.iter().position(|spot| spot.range(from, length).is_some());
        let spot = match known {
            Some(at) => &mut self.places[at],
            None => self.next(from, length, read)?,
        };
        let range = spot.range(from, length)?;
        (spot.used, spot.ended) = (uses, from + i64::try_from(length).unwrap_or(0));
        spot.lent += 1;
        // Without a reference: pages beside it may be lent.
        Some(spot.bytes.as_mut_ptr().wrapping_add(range.start))
    }

    /// Takes a page back.
    pub fn take_back(&mut self, page: *const u8) {
        if let Some(spot) = self
            .places
            .iter_mut()
            .find(|spot| spot.bytes.as_ptr_range().contains(&page))
        {
            spot.lent = spot.lent.saturating_sub(1);
        }
    }

    /// Fills `page` with what stands at `from`, or says how it went; `read` asks the file.
    pub fn read(&mut self, page: &mut [u8], from: i64, read: &mut dyn FnMut(&mut [u8], i64) -> c_int) -> c_int {
        self.uses += 1;
        let (uses, length) = (self.uses, page.len());
        let to = from + i64::try_from(length).unwrap_or(0);
        let known = self.places.iter().position(|spot| spot.range(from, length).is_some());
        let spot = match known {
            Some(at) => Some(&mut self.places[at]),
            None => self.next(from, length, read),
        };
        if let Some(spot) = spot
            && let Some(range) = spot.range(from, length)
        {
            page.copy_from_slice(&spot.bytes[range]);
            (spot.used, spot.ended) = (uses, to);
            return SQLITE_OK;
        }
        if let Some(spot) = self.free() {
            (spot.used, spot.ended, spot.filled) = (uses, to, 0);
        }
        read(page, from)
    }

    pub fn clear(&mut self) {
        for spot in &mut self.places {
            spot.filled = 0;
        }
    }

    /// Another database is opened: what was lent is given back.
    pub fn forget(&mut self) {
        self.clear();
        for spot in &mut self.places {
            (spot.lent, spot.ended) = (0, NOWHERE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi::SQLITE_IOERR_SHORT_READ;

    const PAGE: usize = 1_024;

    /// A file of so many pages, each of which says its number.
    fn file(pages: usize) -> Vec<u8> {
        (0..pages)
            .flat_map(|page| [u8::try_from(page % 251).unwrap_or(0); PAGE])
            .collect()
    }

    /// Reads as `SQLite`'s own VFS does, and counts.
    fn reader<'f>(file: &'f [u8], count: &'f mut usize) -> impl FnMut(&mut [u8], i64) -> c_int + 'f {
        move |to, from| {
            *count += 1;
            let from = usize::try_from(from).expect("a place");
            match file.get(from..from + to.len()) {
                Some(bytes) => {
                    to.copy_from_slice(bytes);
                    SQLITE_OK
                }
                None => SQLITE_IOERR_SHORT_READ,
            }
        }
    }

    fn at(page: usize) -> i64 {
        i64::try_from(page * PAGE).expect("a place")
    }

    /// What stands in a page that was lent.
    fn first(file: &Ahead, page: *mut u8) -> u8 {
        let spot = file
            .places
            .iter()
            .find(|spot| spot.bytes.as_ptr_range().contains(&page.cast_const()));
        let spot = spot.expect("a place");
        spot.bytes[page as usize - spot.bytes.as_ptr() as usize]
    }

    #[test]
    fn what_is_read_in_order_is_lent_and_read_in_few_pieces() {
        let (bytes, mut count) = (file(200), 0);
        let mut ahead = Ahead::default();
        let mut read = reader(&bytes, &mut count);
        let mut lent = 0;
        for page in 1..200 {
            if let Some(at) = ahead.lend(at(page), PAGE, &mut read) {
                assert_eq!(first(&ahead, at), bytes[page * PAGE]);
                ahead.take_back(at);
                lent += 1;
            } else {
                let mut own = [0; PAGE];
                assert_eq!(ahead.read(&mut own, at(page), &mut read), SQLITE_OK);
                assert_eq!(own[0], bytes[page * PAGE]);
            }
        }
        drop(read);
        // The end of the file is read page by page.
        assert!(lent > 150 && count < 50, "{lent} {count}");
    }

    #[test]
    fn what_is_lent_stays_as_it_is_until_it_is_given_back() {
        let (bytes, mut count) = (file(2_000), 0);
        let mut ahead = Ahead::default();
        let mut read = reader(&bytes, &mut count);
        let mut own = [0; PAGE];
        ahead.read(&mut own, at(1), &mut read);
        let kept = ahead.lend(at(2), PAGE, &mut read).expect("it goes on");
        for page in 3..1_000 {
            if let Some(at) = ahead.lend(at(page), PAGE, &mut read) {
                assert_eq!(first(&ahead, at), bytes[page * PAGE]);
                ahead.take_back(at);
            } else {
                ahead.read(&mut own, at(page), &mut read);
            }
        }
        // Places all over, so that each other one is used again.
        for page in (1_000..1_900).step_by(25) {
            ahead.read(&mut own, at(page), &mut read);
            ahead.read(&mut own, at(page + 1), &mut read);
            assert_eq!(own[0], bytes[(page + 1) * PAGE]);
        }
        assert_eq!(first(&ahead, kept), bytes[2 * PAGE]);
        ahead.clear();
        assert_eq!(
            first(&ahead, kept),
            bytes[2 * PAGE],
            "of an earlier moment, and still lent"
        );
        ahead.take_back(kept);
        assert!(ahead.places.len() <= PLACES && ahead.places.iter().all(|spot| spot.lent == 0));
    }

    #[test]
    fn nothing_is_lent_of_an_earlier_moment() {
        let (bytes, mut count) = (file(100), 0);
        let mut ahead = Ahead::default();
        let mut own = [0; PAGE];
        {
            let mut read = reader(&bytes, &mut count);
            ahead.read(&mut own, at(1), &mut read);
            let page = ahead.lend(at(2), PAGE, &mut read).expect("it goes on");
            ahead.take_back(page);
        }
        ahead.clear();
        let (later, mut count) = (vec![255; 100 * PAGE], 0);
        let mut read = reader(&later, &mut count);
        ahead.read(&mut own, at(2), &mut read);
        assert_eq!(own[0], 255);
        let page = ahead.lend(at(3), PAGE, &mut read).expect("it goes on");
        assert_eq!(first(&ahead, page), 255);
    }
}
