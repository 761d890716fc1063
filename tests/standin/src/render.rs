//! Rows of items, in a listing's and in a detail's shape (Plex API notes §3–§5).

use crate::library::Library;
use crate::model::{Item, ItemType, Media, Part, Text};
use crate::writer::Writer;

/// How much of an item is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape {
    /// A detail: streams, all tags with ids, labels, locks, the library's fields.
    pub detail: bool,
    /// `Guid[]` in a listing (a detail always has it).
    pub guids: bool,
    /// `Part.exists` and `Part.accessible`.
    pub check_files: bool,
}

/// A stable number for a tag, so that `genre=177` can name it.
pub(crate) fn tag_id(element: &str, tag: &str) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in element.bytes().chain(tag.to_lowercase().bytes()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    1 + hash % 9_999_999
}

/// The filter of a tag's element: `actor` for `Role`.
pub(crate) fn tag_filter(element: &str) -> String {
    if element == "Role" {
        return "actor".to_owned();
    }
    let mut name = element.to_owned();
    if let Some(first) = name.get_mut(0..1) {
        first.make_ascii_lowercase();
    }
    name
}

/// The element of a filter or an edit: the inverse of [`tag_filter`].
pub(crate) fn tag_element(filter: &str) -> String {
    if filter == "actor" {
        return "Role".to_owned();
    }
    let mut name = filter.to_owned();
    if let Some(first) = name.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    name
}

/// Writes one row.
pub(crate) fn item(w: &mut Writer, library: &Library, item: &Item, shape: Shape) {
    let element = item.kind.element();
    w.open_item(element);
    if item.recorded.is_some() {
        recorded(w, library, item, shape);
    } else {
        fields(w, library, item, shape);
        lists(w, library, item, shape);
    }
    w.close_item(element);
}

fn library_fields(w: &mut Writer, library: &Library) {
    w.str("librarySectionTitle", &library.title);
    w.int("librarySectionID", library.key);
    w.str("librarySectionKey", &format!("/library/sections/{}", library.key));
}

fn recorded(w: &mut Writer, library: &Library, item: &Item, shape: Shape) {
    let Some(row) = &item.recorded else { return };
    let own = ["librarySectionTitle", "librarySectionID", "librarySectionKey"];
    if shape.detail {
        library_fields(w, library);
        w.members(row.detail.as_ref().unwrap_or(&row.listing), &own);
        if row.listing.contains_key("Label") || item.tags_of("Label").is_empty() {
            locks(w, item);
        } else {
            tags(w, item, "Label", shape, usize::MAX);
            locks(w, item);
        }
    } else {
        w.members(&row.listing, &["Label"]);
    }
    if !row.listing.contains_key("Media") && item.kind.is_leaf() {
        all_media(w, item, shape);
    }
}

fn child_key(kind: ItemType, key: u64) -> String {
    if kind.is_leaf() {
        format!("/library/metadata/{key}")
    } else {
        format!("/library/metadata/{key}/children")
    }
}

fn fields(w: &mut Writer, library: &Library, item: &Item, shape: Shape) {
    let key = item.key;
    let art_time = item.updated_at.unwrap_or(item.added_at);
    w.str("ratingKey", &key.to_string());
    w.str("key", &child_key(item.kind, key));
    // Hidden seasons are not named.
    if let Some(parent) = item.parent.as_ref().filter(|parent| parent.key != 0) {
        w.str("parentRatingKey", &parent.key.to_string());
    }
    if let Some(top) = &item.grandparent {
        w.str("grandparentRatingKey", &top.key.to_string());
    }
    w.str("guid", &item.guid);
    if let Some(parent) = &item.parent {
        w.str("parentGuid", &parent.guid);
    }
    if let Some(top) = &item.grandparent {
        w.str("grandparentGuid", &top.guid);
    }
    w.str_if("studio", &item.studio);
    w.str("type", item.kind.name());
    if item.clip {
        w.str("subtype", "clip");
    }
    w.str("title", &item.title);
    if let Some(sort) = &item.title_sort {
        w.str("titleSort", sort);
    }
    if let Some(top) = &item.grandparent {
        w.str("grandparentKey", &format!("/library/metadata/{}", top.key));
    }
    if let Some(parent) = &item.parent {
        w.str("parentKey", &format!("/library/metadata/{}", parent.key));
    }
    if shape.detail {
        library_fields(w, library);
    }
    if let Some(top) = &item.grandparent {
        w.str("grandparentTitle", &top.title);
    }
    if let Some(parent) = &item.parent {
        w.str("parentTitle", &parent.title);
    }
    w.str_if("contentRating", &item.content_rating);
    w.str("summary", &item.summary);
    if let Some(index) = item.index {
        w.int("index", index);
    }
    if let Some(index) = item.parent.as_ref().and_then(|p| p.index) {
        w.int("parentIndex", index);
    } else if item.kind == ItemType::Season {
        w.int("parentIndex", 1);
    }
    if let Some(rating) = item.rating {
        w.tenths("rating", rating);
    }
    if let Some(year) = item.year {
        w.int("year", year);
    }
    w.str_if("tagline", &item.tagline);
    art(w, item, art_time);
    if item.duration > 0 {
        w.int("duration", item.duration);
    }
    if let Some(date) = &item.available {
        w.str("originallyAvailableAt", date);
    }
    counts(w, library, item);
    w.int("addedAt", item.added_at);
    if let Some(at) = item.updated_at {
        w.int("updatedAt", at);
    }
    if let Some(at) = item.deleted_at {
        w.int("deletedAt", at);
    }
    if item.kind == ItemType::Movie && !item.clip && item.rating.is_some() {
        w.str("hasPremiumPrimaryExtra", "1");
        w.str("ratingImage", "imdb://image.rating");
    }
    for (name, value) in &item.fields {
        match value {
            serde_json::Value::String(text) => w.str(name, text),
            serde_json::Value::Bool(flag) => w.bool(name, *flag),
            other => match other.as_i64() {
                Some(number) => w.int(name, number),
                None => w.str(name, &other.to_string()),
            },
        }
    }
}

fn art(w: &mut Writer, item: &Item, time: i64) {
    let path = |of: u64, what: &str| format!("/library/metadata/{of}/{what}/{time}");
    w.str("thumb", &path(item.key, "thumb"));
    let top = item
        .grandparent
        .as_ref()
        .or(item.parent.as_ref())
        .map_or(item.key, |l| l.key);
    w.str("art", &path(top, "art"));
    match item.kind {
        ItemType::Episode | ItemType::Track => {
            if let Some(parent) = &item.parent {
                w.str("parentThumb", &path(parent.key, "thumb"));
            }
            if let Some(top) = &item.grandparent {
                w.str("grandparentThumb", &path(top.key, "thumb"));
                w.str("grandparentArt", &path(top.key, "art"));
                w.str("grandparentTheme", &path(top.key, "theme"));
            }
        }
        ItemType::Season => {
            if let Some(parent) = &item.parent {
                w.str("parentThumb", &path(parent.key, "thumb"));
                w.str("parentTheme", &path(parent.key, "theme"));
            }
        }
        ItemType::Show => {
            w.str("banner", &path(item.key, "banner"));
            w.str("theme", &path(item.key, "theme"));
        }
        _ => {}
    }
}

fn counts(w: &mut Writer, library: &Library, item: &Item) {
    match item.kind {
        ItemType::Show | ItemType::Artist => {
            w.int("leafCount", library.leaves_below(item.key).len() as u64);
            w.int("viewedLeafCount", 0);
            let children = library.children();
            w.int("childCount", children.get(&item.key).map_or(0, Vec::len) as u64);
        }
        ItemType::Season | ItemType::Album => {
            w.int("leafCount", library.leaves_below(item.key).len() as u64);
            w.int("viewedLeafCount", 0);
        }
        _ => {}
    }
}

fn lists(w: &mut Writer, library: &Library, item: &Item, shape: Shape) {
    if item.kind.is_leaf() {
        all_media(w, item, shape);
    }
    // Newer servers send pictures and colours with each row; some requests keep them whatever is excluded.
    if matches!(item.kind, ItemType::Movie) && !item.summary.is_empty() && w.list("Image") {
        let time = item.updated_at.unwrap_or(item.added_at);
        for (kind, what) in [("coverPoster", "thumb"), ("background", "art")] {
            w.open("Image");
            w.str("alt", &item.title);
            w.str("type", kind);
            w.str("url", &format!("/library/metadata/{}/{what}/{time}", item.key));
            w.close("Image");
        }
        w.end_list();
    }
    for (element, tags_of) in &item.tags {
        let most = match &**element {
            _ if shape.detail => usize::MAX,
            "Label" => continue,
            "Genre" => 2,
            "Role" => 3,
            _ => usize::MAX,
        };
        if !tags_of.is_empty() {
            tags(w, item, element, shape, most);
        }
    }
    if (shape.guids || shape.detail) && !item.guids.is_empty() && w.list("Guid") {
        for guid in &item.guids {
            w.open("Guid");
            w.str("id", guid);
            w.close("Guid");
        }
        w.end_list();
    }
    if shape.detail {
        locks(w, item);
        if matches!(item.kind, ItemType::Show | ItemType::Artist) && w.list("Location") {
            for location in library.locations.iter().take(1) {
                w.open("Location");
                let separator = if location.path.contains('\\') { '\\' } else { '/' };
                w.str("path", &format!("{}{separator}{}", location.path, item.title));
                w.close("Location");
            }
            w.end_list();
        }
    }
}

fn locks(w: &mut Writer, item: &Item) {
    if !item.locked.is_empty() && w.list("Field") {
        for name in &item.locked {
            w.open("Field");
            w.bool("locked", true);
            w.str("name", name);
            w.close("Field");
        }
        w.end_list();
    }
}

fn tags(w: &mut Writer, item: &Item, element: &str, shape: Shape, most: usize) {
    if !w.list(element) {
        return;
    }
    let filter = tag_filter(element);
    for tag in item.tags_of(element).iter().take(most) {
        w.open(element);
        if shape.detail {
            let id = tag_id(element, tag);
            w.int("id", id);
            w.str("filter", &format!("{filter}={id}"));
        }
        w.str("tag", tag);
        w.close(element);
    }
    w.end_list();
}

fn all_media(w: &mut Writer, item: &Item, shape: Shape) {
    if item.media.is_empty() || !w.list("Media") {
        return;
    }
    for media in &item.media {
        w.open("Media");
        one_media(w, item, media);
        if w.list("Part") {
            for part in &media.parts {
                one_part(w, item, media, part, shape);
            }
            w.end_list();
        }
        w.close("Media");
    }
    w.end_list();
}

fn size_of(resolution: &Text) -> (u32, u32) {
    match &**resolution {
        "4k" => (3840, 2160),
        "720" => (1280, 720),
        _ => (1920, 1080),
    }
}

fn one_media(w: &mut Writer, item: &Item, media: &Media) {
    w.int("id", media.id);
    if !media.analysed {
        return;
    }
    if item.duration > 0 {
        w.int("duration", item.duration);
    }
    match item.kind {
        ItemType::Photo => {
            w.int("width", 4032);
            w.int("height", 3024);
            w.tenths("aspectRatio", 13);
        }
        ItemType::Track => {
            w.int("bitrate", 921);
            w.int("audioChannels", 2);
            w.str("audioCodec", "flac");
        }
        _ => {
            let (width, height) = size_of(&media.resolution);
            w.int("bitrate", 8_178);
            w.int("width", width);
            w.int("height", height);
            w.tenths("aspectRatio", 18);
            w.int("audioChannels", 2);
            w.str("audioCodec", "aac");
            w.str("videoCodec", "h264");
            w.str_if("videoResolution", &media.resolution);
        }
    }
    w.str_if("container", &media.container);
    if !matches!(item.kind, ItemType::Photo | ItemType::Track) {
        w.str("videoFrameRate", "24p");
        w.str("audioProfile", "lc");
        w.str("videoProfile", "high");
    }
    if media.optimized.is_some() || media.container == "mp4" {
        // A number here, a boolean on the part (Plex API notes §1).
        w.int("optimizedForStreaming", u8::from(media.container == "mp4"));
    }
    if let Some(target) = &media.optimized {
        w.int("proxyType", 42);
        w.str("target", target);
        w.str("title", target);
    }
}

fn one_part(w: &mut Writer, item: &Item, media: &Media, part: &Part, shape: Shape) {
    w.open("Part");
    w.int("id", part.id);
    let extension = if media.container.is_empty() {
        "bin"
    } else {
        &media.container
    };
    w.str(
        "key",
        &format!("/library/parts/{}/{}/file.{extension}", part.id, part.stamp),
    );
    if media.analysed && item.duration > 0 {
        w.int("duration", item.duration);
    }
    w.str_if("file", &part.file);
    w.int("size", part.size);
    let video = media.analysed && !matches!(item.kind, ItemType::Photo | ItemType::Track);
    if video {
        w.str("audioProfile", "lc");
    }
    if media.analysed {
        w.str_if("container", &media.container);
    }
    if video {
        w.str("videoProfile", "high");
        if media.container == "mp4" {
            w.bool("optimizedForStreaming", true);
        }
    }
    if shape.check_files {
        w.bool("accessible", !part.missing);
        w.bool("exists", !part.missing);
    }
    if shape.detail && media.analysed && item.kind != ItemType::Photo && w.list("Stream") {
        streams(w, item, media, part);
        w.end_list();
    }
    w.close("Part");
}

fn streams(w: &mut Writer, item: &Item, media: &Media, part: &Part) {
    let mut index = 0;
    if item.kind != ItemType::Track {
        let (width, height) = size_of(&media.resolution);
        w.open("Stream");
        w.int("id", part.id * 2);
        w.int("streamType", 1);
        w.bool("default", true);
        w.str("codec", "h264");
        w.int("index", index);
        w.int("bitrate", 8_050);
        w.int("bitDepth", 8);
        w.tenths("frameRate", 240);
        w.int("width", width);
        w.int("height", height);
        w.str("profile", "high");
        w.str("displayTitle", &format!("{height}p (H.264)"));
        w.close("Stream");
        index = 1;
    }
    w.open("Stream");
    w.int("id", part.id * 2 + 1);
    w.int("streamType", 2);
    w.bool("selected", true);
    w.bool("default", true);
    w.str("codec", if index == 0 { "flac" } else { "aac" });
    w.int("index", index);
    w.int("channels", 2);
    w.int("samplingRate", 48_000);
    w.str("displayTitle", "Unknown (Stereo)");
    w.close("Stream");
}
