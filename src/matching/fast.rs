//! Fast lookups: the shortcut that most of them are, and the climb where it leads nowhere.

use std::ops::Deref;

use super::ladder::{Climb, Scope};
use super::mappings::Mappings;
use super::normal::{Normal, Room, Short};
use super::outcome::LookupHit;
use super::view::{First, View};

/// The single item of high confidence, if there is one and nothing speaks against it.
#[inline]
#[must_use]
pub fn fast_lookup<'v, L, V>(views: &'v [V], scope: Scope, mappings: &Mappings, path: &[u8]) -> Option<LookupHit<'v>>
where
    L: View + 'v,
    V: Deref<Target = L>,
{
    let mut room = Room::EMPTY;
    let short = Short::of(path, &mut room);
    let first = match (scope, short.hash()) {
        (Scope::One(library), Some(hash)) => views.get(library).map(|view| view.first(hash, short.kept(path))),
        _ => None,
    };
    fast_lookup_short(views, scope, mappings, path, &short, first.unwrap_or_default())
}

/// How many paths [`fast_lookup_all`] takes at once.
pub const GROUP: usize = 16;

/// Where the paths of a group are folded, one group after the other: to clear it takes as long as a part of a lookup.
pub struct Rooms([Room; GROUP]);

impl Default for Rooms {
    fn default() -> Self {
        Self([Room::EMPTY; GROUP])
    }
}

/// [`fast_lookup`] for up to [`GROUP`] paths: `each` gets what is known of each, in order. The places in memory that most of
/// them need are asked for before the first is read, so that their ways from there overlap.
#[inline]
pub fn fast_lookup_all<'v, L, V>(
    views: &'v [V],
    scope: Scope,
    mappings: &Mappings,
    paths: &[&[u8]],
    rooms: &mut Rooms,
    mut each: impl FnMut(Option<LookupHit<'v>>),
) where
    L: View + 'v,
    V: Deref<Target = L>,
{
    let mut shorts = [Short::Other; GROUP];
    let mut firsts = [First::default(); GROUP];
    let view = match scope {
        Scope::One(library) => views.get(library),
        Scope::All => None,
    };
    for ((path, room), short) in paths.iter().zip(&mut rooms.0).zip(&mut shorts) {
        *short = Short::of(path, room);
        if let (Some(view), Some(hash)) = (view, short.hash()) {
            view.expect(hash);
        }
    }
    for ((path, short), first) in paths.iter().zip(&shorts).zip(&mut firsts) {
        if let (Some(view), Some(hash)) = (view, short.hash()) {
            *first = view.first(hash, short.kept(path));
        }
    }
    for ((path, short), first) in paths.iter().zip(&shorts).zip(firsts) {
        each(if path.is_empty() {
            None
        } else {
            fast_lookup_short(views, scope, mappings, path, short, first)
        });
    }
}

/// [`fast_lookup`] after one pass over the path. `first`: in the one library that is asked.
#[inline]
fn fast_lookup_short<'v, L, V>(
    views: &'v [V],
    scope: Scope,
    mappings: &Mappings,
    path: &[u8],
    short: &Short<'_>,
    first: First,
) -> Option<LookupHit<'v>>
where
    L: View + 'v,
    V: Deref<Target = L>,
{
    match short {
        Short::Form(normal) => return fast_lookup_normal(views, scope, mappings, normal, first),
        Short::Spelling(spelling) => {
            if let Scope::One(library) = scope
                && let Some((rating_key, rung)) = views.get(library)?.sole_spelled(spelling, first)
            {
                return Some(LookupHit {
                    library,
                    rung,
                    rating_key,
                });
            }
        }
        Short::Other => {}
    }
    Normal::with(path, |path| {
        let first = match scope {
            Scope::One(library) => views
                .get(library)
                .map(|view| view.first(path.hash(), 2 * path.raw().len())),
            Scope::All => None,
        };
        fast_lookup_normal(views, scope, mappings, path, first.unwrap_or_default())
    })
}

#[inline]
fn fast_lookup_normal<'v, L, V>(
    views: &'v [V],
    scope: Scope,
    mappings: &Mappings,
    path: &Normal<'_>,
    first: First,
) -> Option<LookupHit<'v>>
where
    L: View + 'v,
    V: Deref<Target = L>,
{
    if let Scope::One(library) = scope
        && let Some((rating_key, rung)) = views.get(library)?.sole(path, first)
    {
        return Some(LookupHit {
            library,
            rung,
            rating_key,
        });
    }
    by_climbing(views, scope, mappings, path)
}

/// [`fast_lookup`] where the shortcut leads nowhere, or in which library it does is to be found out.
#[inline(never)]
fn by_climbing<'v, L, V>(views: &'v [V], scope: Scope, mappings: &Mappings, path: &Normal<'_>) -> Option<LookupHit<'v>>
where
    L: View + 'v,
    V: Deref<Target = L>,
{
    // The only library that can own the path is asked first, and that is the end of it when it finds an item.
    if scope == Scope::All && !mappings.rewrites() {
        let mut owners = (0..views.len()).filter(|library| views[*library].owns(path));
        if let (Some(library), None) = (owners.next(), owners.next())
            && let view = &*views[library]
            && let Some((rating_key, rung)) = view.sole(path, view.first(path.hash(), 2 * path.raw().len()))
        {
            return Some(LookupHit {
                library,
                rung,
                rating_key,
            });
        }
    }
    Climb::new(views, scope, mappings, *path).fast_lookup()
}
