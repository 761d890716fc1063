//! Cases of title evidence.

mod films;
mod numbered;
mod roots;

use proptest::prelude::*;

use crate::model::ItemType;
use crate::title_evidence::TitleEvidence::{self, Confirms, Contradicts, Neutral};
use crate::title_evidence::{only_root_differs, title_evidence};
use crate::{Form, GuidRef, ItemRef, NormalPath};

fn item(kind: ItemType) -> ItemRef<'static> {
    ItemRef {
        kind,
        guid: GuidRef::Text("plex://movie/5d776825880197001ec90a2f"),
        key_only: false,
        ..ItemRef::key_only("1")
    }
}

fn film(title: &'static str, year: i32) -> ItemRef<'static> {
    ItemRef {
        title,
        year,
        ..item(ItemType::Movie)
    }
}

fn episode(show_title: &'static str, season: i32, episode: i32) -> ItemRef<'static> {
    ItemRef {
        title: "Pilot",
        show_title,
        season,
        episode,
        year: 2010,
        ..item(ItemType::Episode)
    }
}

fn track(artist: &'static str, title: &'static str, number: i32) -> ItemRef<'static> {
    ItemRef {
        title,
        show_title: artist,
        season: 1,
        episode: number,
        ..item(ItemType::Track)
    }
}

fn common(queried: &NormalPath<'_>, listed: &NormalPath<'_>) -> usize {
    Form::from_folded(queried.form()).common_components(Form::from_folded(listed.form()))
}

/// Returns the evidence of `queried` for the item listed as `listed`.
fn evidence(item: &ItemRef<'_>, queried: &str, listed: &str) -> TitleEvidence {
    NormalPath::with(queried.as_bytes(), |queried| {
        NormalPath::with(listed.as_bytes(), |listed| {
            let common = common(queried, listed);
            assert!(common > 0, "match kinds 4 and 5 find the same file name");
            title_evidence(item, queried, listed, common)
        })
    })
}

#[track_caller]
fn check(item: &ItemRef<'_>, cases: &[(&str, &str, TitleEvidence)]) {
    for (queried, listed, verdict) in cases {
        assert_eq!(evidence(item, queried, listed), *verdict, "{queried} for {listed}");
    }
}

/// Checks cases where a file is in another folder without evidence.
#[track_caller]
fn names(item: &ItemRef<'_>, cases: &[(&str, TitleEvidence)]) {
    for (name, verdict) in cases {
        let (queried, listed) = (format!("/nas/q/{name}"), format!("/plex/r/{name}"));
        assert_eq!(evidence(item, &queried, &listed), *verdict, "{name}");
    }
}

/// Letters and digits only, in lower case.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Paths made of words of titles: a path without the title is no evidence.
    #[test]
    fn a_path_without_the_title_never_confirms(
        title in proptest::sample::select(&["Big Buck Bunny", "Rocky", "The Two Towers", "Lost", "24", "Game of Thrones"][..]),
        kind in proptest::sample::select(&[ItemType::Movie, ItemType::Episode, ItemType::Track, ItemType::Photo][..]),
        queried in proptest::collection::vec("(Big|Buck|Bunny|Rocky|II|Two|Towers|The|Lost|24|Game|of|Thrones|1995|[ ._(-]|S01E02){1,6}", 1..4),
        listed in proptest::collection::vec("(Big|Buck|Bunny|Rocky|II|Two|Towers|1995|[ ._(-]){1,6}", 0..3),
    ) {
        let one = ItemRef { title, show_title: title, season: 1, episode: 2, year: 1995, ..item(kind) };
        let name = queried.last().cloned().unwrap_or_default() + "x.mkv";
        let queried = format!("/n/{}/{name}", queried[..queried.len() - 1].join("/"));
        let listed = format!("/p/{}/{name}", listed.join("/"));
        let verdict = evidence(&one, &queried, &listed);
        let article = title.strip_prefix("The ").map(|rest| plain(rest) + "the");
        let carries = |text: &str| text.contains(&plain(title)) || article.as_ref().is_some_and(|moved| text.contains(moved));
        if !queried.split('/').any(|name| carries(&plain(name))) {
            prop_assert_ne!(verdict, Confirms, "{} for {}", queried, listed);
        }
        if kind == ItemType::Photo {
            prop_assert_eq!(verdict, Neutral);
        }
        if kind == ItemType::Episode && !queried.to_lowercase().contains("s01e02") {
            prop_assert_ne!(verdict, Confirms, "{} for {}", queried, listed);
        }
    }
}
