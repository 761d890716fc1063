//! Rows of items, in a listing's and in a detail's shape (Plex API notes §3–§5).

use std::ops::RangeFrom;

use crate::library::Library;
use crate::model::{Item, ItemType, Link, Media, Part, Text};
use crate::tree::{Row, row};

/// How much of an item is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape {
    /// A detail: streams, all tags with ids, labels, locks, the library's fields.
    pub detail: bool,
    /// `Guid[]` in a listing (a detail always has it).
    pub guids: bool,
}

/// A field that is left out when it is empty.
fn filled(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// An item's row.
pub(crate) fn item(library: &Library, item: &Item, shape: Shape) -> Row {
    let (kind, parent, top) = (item.kind, item.parent.as_ref(), item.grandparent.as_ref());
    let section = Some(library).filter(|_| shape.detail);
    let path = |link: Option<&Link>| link.map(|link| format!("/library/metadata/{}", link.key));
    let number = |link: &Link| link.key.to_string();
    let children = if kind.is_leaf() { "" } else { "/children" };
    let season_of = (kind == ItemType::Season).then_some(1);
    let mut row = row! {
        "ratingKey": item.key.to_string(), "key": format!("/library/metadata/{}{children}", item.key),
        // Hidden seasons are not named.
        "parentRatingKey": parent.filter(|parent| parent.key != 0).map(number),
        "grandparentRatingKey": top.map(number),
        "guid": &item.guid, "parentGuid": parent.map(|link| &link.guid), "grandparentGuid": top.map(|link| &link.guid),
        "type": kind.name(), "subtype": item.clip.then_some("clip"), "title": &item.title,
        "grandparentKey": path(top), "parentKey": path(parent),
        "librarySectionTitle": section.map(|library| &library.title), "librarySectionID": section.map(|library| library.key),
        "librarySectionKey": section.map(|library| format!("/library/sections/{}", library.key)),
        "grandparentTitle": top.map(|link| &link.title), "parentTitle": parent.map(|link| &link.title),
        "summary": &item.summary, "index": item.index,
        "parentIndex": parent.and_then(|link| link.index).or(season_of), "year": item.year,
    };
    art(&mut row, item);
    row.0.extend(
        row! {
            "duration": Some(item.duration).filter(|time| *time > 0), "addedAt": item.added_at,
            "updatedAt": item.updated_at, "deletedAt": item.deleted_at,
        }
        .0,
    );
    if !kind.is_leaf() && kind != ItemType::Photoalbum {
        row.set("leafCount", library.leaves_below(item.key).len());
        row.set("viewedLeafCount", 0_u32);
    }
    if matches!(kind, ItemType::Show | ItemType::Artist) {
        row.set("childCount", library.children().get(&item.key).map_or(0, Vec::len));
    }
    row.0.retain(|(known, _)| !item.fields.contains_key(&**known));
    for (name, value) in &item.fields {
        row.set(name.clone(), value);
    }
    lists(&mut row, library, item, shape);
    row
}

fn art(row: &mut Row, item: &Item) {
    let time = item.updated_at.unwrap_or(item.added_at);
    let mut set = |name: &'static str, of: Option<u64>, what: &str| {
        row.set(name, of.map(|of| format!("/library/metadata/{of}/{what}/{time}")));
    };
    let (own, parent) = (Some(item.key), item.parent.as_ref().map(|link| link.key));
    let top = item.grandparent.as_ref().map(|link| link.key);
    set("thumb", own, "thumb");
    set("art", top.or(parent).or(own), "art");
    match item.kind {
        ItemType::Episode | ItemType::Track => {
            set("parentThumb", parent, "thumb");
            set("grandparentThumb", top, "thumb");
            set("grandparentArt", top, "art");
            set("grandparentTheme", top, "theme");
        }
        ItemType::Season => {
            set("parentThumb", parent, "thumb");
            set("parentTheme", parent, "theme");
        }
        ItemType::Show => {
            set("banner", own, "banner");
            set("theme", own, "theme");
        }
        _ => {}
    }
}

fn lists(row: &mut Row, library: &Library, item: &Item, shape: Shape) {
    let (media, mut parts) = (item.media.iter(), item.key * 16..);
    let media = (item.key * 16..).zip(media);
    let media = media.map(|(id, media)| one_media(item, id, media, &mut parts));
    row.set("Media", media.collect::<Vec<Row>>());
    // Newer servers send pictures and colours with each row; some requests keep them whatever is excluded.
    if item.kind == ItemType::Movie && !item.summary.is_empty() {
        let time = item.updated_at.unwrap_or(item.added_at);
        let url = |what| format!("/library/metadata/{}/{what}/{time}", item.key);
        let image = |kind: &str, what| row! {"alt": &item.title, "type": kind, "url": url(what)};
        row.set("Image", vec![image("coverPoster", "thumb"), image("background", "art")]);
    }
    for (element, tags) in &item.tags {
        let most = match &**element {
            _ if shape.detail => usize::MAX,
            "Label" => 0,
            "Genre" => 2,
            "Role" => 3,
            _ => usize::MAX,
        };
        let rows = tags.iter().take(most).map(|tag| row! {"tag": tag});
        row.set(element.clone(), rows.collect::<Vec<Row>>());
    }
    if shape.guids || shape.detail {
        let guids = item.guids.iter().map(|id| row! {"id": id});
        row.set("Guid", guids.collect::<Vec<Row>>());
    }
    if shape.detail && matches!(item.kind, ItemType::Show | ItemType::Artist) {
        let folder = |path: &String| {
            let separator = if path.contains('\\') { '\\' } else { '/' };
            row! {"path": format!("{path}{separator}{}", item.title)}
        };
        let folders = library.locations.iter().take(1).map(|location| folder(&location.path));
        row.set("Location", folders.collect::<Vec<Row>>());
    }
}

fn size_of(resolution: &Text) -> (u32, u32) {
    match &**resolution {
        "4k" => (3840, 2160),
        "720" => (1280, 720),
        _ => (1920, 1080),
    }
}

fn one_media(item: &Item, id: u64, media: &Media, ids: &mut RangeFrom<u64>) -> Row {
    let parts = media.parts.iter().zip(ids);
    let parts: Vec<Row> = parts.map(|(part, id)| one_part(item, media, id, part)).collect();
    if !media.analysed {
        return row! {"id": id, "Part": parts};
    }
    let mut row = row! {"id": id, "duration": Some(item.duration).filter(|time| *time > 0)};
    let (width, height) = size_of(&media.resolution);
    let kind = match item.kind {
        ItemType::Photo => row! {"width": 4032_u32, "height": 3024_u32, "aspectRatio": 1.3},
        ItemType::Track => row! {"bitrate": 921_u32, "audioChannels": 2_u32, "audioCodec": "flac"},
        _ => row! {
            "bitrate": 8_178_u32, "width": width, "height": height, "aspectRatio": 1.8, "audioChannels": 2_u32,
            "audioCodec": "aac", "videoCodec": "h264", "videoResolution": filled(&media.resolution),
            "videoFrameRate": "24p", "audioProfile": "lc", "videoProfile": "high",
        },
    };
    row.0.extend(kind.0);
    row.set("container", filled(&media.container));
    let streamed = media.container == "mp4";
    // A number here, a boolean on the part (Plex API notes §1).
    let streaming = (media.optimized.is_some() || streamed).then_some(u32::from(streamed));
    row.set("optimizedForStreaming", streaming);
    if let Some(target) = &media.optimized {
        row.0
            .extend(row! {"proxyType": 42_u32, "target": target, "title": target}.0);
    }
    row.set("Part", parts);
    row
}

fn one_part(item: &Item, media: &Media, id: u64, part: &Part) -> Row {
    let extension = filled(&media.container).unwrap_or("bin");
    let video = media.analysed && !matches!(item.kind, ItemType::Photo | ItemType::Track);
    row! {
        "id": id, "key": format!("/library/parts/{id}/{}/file.{extension}", item.added_at),
        "duration": (media.analysed && item.duration > 0).then_some(item.duration), "file": filled(&part.file),
        "size": part.size, "audioProfile": video.then_some("lc"),
        "container": filled(&media.container).filter(|_| media.analysed), "videoProfile": video.then_some("high"),
        "optimizedForStreaming": (video && media.container == "mp4").then_some(true),
    }
}
