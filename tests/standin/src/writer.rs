//! One writer for both formats: the same calls give JSON or XML (Plex API notes §1).
//!
//! In JSON a child element becomes an object in an array named by its element, and an empty list has no key.
//! In XML a list is nothing but its elements; fields must therefore come before lists.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// JSON or XML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Json,
    Xml,
}

/// Distortions that a fault asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Distortion {
    pub numbers_as_strings: bool,
    pub booleans_as_numbers: bool,
    pub extra_fields: bool,
    pub drop_fields: Vec<String>,
}

/// Writes one document.
pub(crate) struct Writer {
    out: String,
    format: Format,
    /// JSON: a comma is due before the next member.
    comma: bool,
    /// XML: the last start tag is open for attributes.
    tag_open: bool,
    distortion: Distortion,
    exclude_elements: Vec<String>,
    exclude_fields: Vec<String>,
    /// How deep we are, and where an item's own fields are, for which exclusions count.
    depth: u32,
    item_depth: u32,
}

impl Writer {
    pub fn new(format: Format) -> Self {
        let mut out = String::with_capacity(4 << 10);
        if format == Format::Xml {
            out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        }
        Writer {
            out,
            format,
            comma: false,
            tag_open: false,
            distortion: Distortion::default(),
            exclude_elements: Vec::new(),
            exclude_fields: Vec::new(),
            depth: 0,
            item_depth: u32::MAX,
        }
    }

    pub fn distort(&mut self, distortion: Distortion) {
        self.distortion = distortion;
    }

    pub fn exclude(&mut self, elements: Vec<String>, fields: Vec<String>) {
        self.exclude_elements = elements;
        self.exclude_fields = fields;
    }

    pub fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    pub fn finish(mut self) -> Vec<u8> {
        if self.format == Format::Xml {
            self.out.push('\n');
        }
        self.out.into_bytes()
    }

    /// Begins the document: `MediaContainer` in both formats.
    pub fn container(&mut self) {
        match self.format {
            Format::Json => self.out.push_str("{\"MediaContainer\":"),
            Format::Xml => {}
        }
        self.open("MediaContainer");
    }

    /// Ends the document.
    pub fn end_container(&mut self) {
        self.close("MediaContainer");
        if self.format == Format::Json {
            self.out.push('}');
        }
    }

    fn close_tag(&mut self) {
        if self.tag_open {
            self.out.push('>');
            self.tag_open = false;
        }
    }

    fn comma(&mut self) {
        if self.comma {
            self.out.push(',');
        }
        self.comma = true;
    }

    /// Begins a list of elements; `false`: it is excluded, write nothing and do not end it.
    pub fn list(&mut self, name: &str) -> bool {
        let at_item = self.depth == self.item_depth;
        if (at_item && self.exclude_elements.iter().any(|e| e == name))
            || self.distortion.drop_fields.iter().any(|d| d == name)
        {
            return false;
        }
        match self.format {
            Format::Json => {
                self.comma();
                let _ = write!(self.out, "\"{name}\":[");
                self.comma = false;
            }
            Format::Xml => self.close_tag(),
        }
        true
    }

    pub fn end_list(&mut self) {
        if self.format == Format::Json {
            self.out.push(']');
            self.comma = true;
        }
    }

    /// Begins an element of a list.
    pub fn open(&mut self, element: &str) {
        match self.format {
            Format::Json => {
                self.comma();
                self.out.push('{');
                self.comma = false;
            }
            Format::Xml => {
                self.close_tag();
                self.out.push('<');
                self.out.push_str(element);
                self.tag_open = true;
            }
        }
        self.depth += 1;
    }

    /// Begins an item: an element whose fields and children may be excluded.
    pub fn open_item(&mut self, element: &str) {
        self.open(element);
        self.item_depth = self.depth;
    }

    pub fn close_item(&mut self, element: &str) {
        if self.distortion.extra_fields {
            self.extra();
        }
        self.item_depth = u32::MAX;
        self.close(element);
    }

    pub fn close(&mut self, element: &str) {
        self.depth -= 1;
        match self.format {
            Format::Json => {
                self.out.push('}');
                self.comma = true;
            }
            Format::Xml if self.tag_open => {
                self.out.push_str("/>");
                self.tag_open = false;
            }
            Format::Xml => {
                let _ = write!(self.out, "</{element}>");
            }
        }
    }

    /// Begins an object that is not in a list (`Meta`, `UltraBlurColors`).
    pub fn object(&mut self, name: &str) -> bool {
        let at_item = self.depth == self.item_depth;
        if at_item && self.exclude_elements.iter().any(|e| e == name) {
            return false;
        }
        if self.format == Format::Json {
            self.comma();
            let _ = write!(self.out, "\"{name}\":");
            self.comma = false;
        }
        self.open(name);
        true
    }

    fn name(&mut self, name: &str) -> bool {
        if (self.depth == self.item_depth && self.exclude_fields.iter().any(|f| f == name))
            || self.distortion.drop_fields.iter().any(|d| d == name)
        {
            return false;
        }
        match self.format {
            Format::Json => {
                self.comma();
                self.out.push('"');
                self.out.push_str(name);
                self.out.push_str("\":");
            }
            Format::Xml => {
                debug_assert!(self.tag_open, "field {name} after a list");
                self.out.push(' ');
                self.out.push_str(name);
                self.out.push_str("=\"");
            }
        }
        true
    }

    pub fn str(&mut self, name: &str, value: &str) {
        if !self.name(name) {
            return;
        }
        match self.format {
            Format::Json => json_string(&mut self.out, value),
            Format::Xml => {
                xml_text(&mut self.out, value);
                self.out.push('"');
            }
        }
    }

    /// A field that is left out when it is empty.
    pub fn str_if(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.str(name, value);
        }
    }

    fn bare(&mut self, name: &str, value: std::fmt::Arguments<'_>, quoted: bool) {
        if !self.name(name) {
            return;
        }
        let json = self.format == Format::Json;
        if json && quoted {
            self.out.push('"');
        }
        let _ = self.out.write_fmt(value);
        if !json || quoted {
            self.out.push('"');
        }
    }

    pub fn int(&mut self, name: &str, value: impl Into<i128>) {
        let value: i128 = value.into();
        let quoted = self.distortion.numbers_as_strings;
        // Nearly all fit, and the wide ones are slow to write.
        match i64::try_from(value) {
            Ok(value) => self.bare(name, format_args!("{value}"), quoted),
            Err(_) => self.bare(name, format_args!("{value}"), quoted),
        }
    }

    /// A number in tenths.
    pub fn tenths(&mut self, name: &str, value: u32) {
        let quoted = self.distortion.numbers_as_strings;
        self.bare(name, format_args!("{}.{}", value / 10, value % 10), quoted);
    }

    pub fn bool(&mut self, name: &str, value: bool) {
        let number = self.format == Format::Xml || self.distortion.booleans_as_numbers;
        if number {
            self.bare(name, format_args!("{}", u8::from(value)), false);
        } else {
            self.bare(name, format_args!("{value}"), false);
        }
    }

    fn extra(&mut self) {
        match self.format {
            Format::Json => {
                self.comma();
                self.out
                    .push_str("\"xUnknown\":{\"deep\":[{\"deeper\":{\"list\":[1,\"two\",null,[[]]],\"flag\":true}}]}");
            }
            Format::Xml => {
                self.close_tag();
                self.out
                    .push_str("<xUnknown><deep deeper=\"1\"><list/></deep></xUnknown>");
            }
        }
    }

    /// The members of a recorded object: scalars first, then lists and objects.
    pub fn members(&mut self, map: &Map<String, Value>, skip: &[&str]) {
        for (name, value) in map {
            if skip.contains(&name.as_str()) {
                continue;
            }
            match value {
                Value::String(text) => self.str(name, text),
                Value::Bool(flag) => self.bool(name, *flag),
                Value::Number(number) => {
                    let quoted = self.distortion.numbers_as_strings;
                    self.bare(name, format_args!("{number}"), quoted);
                }
                Value::Null | Value::Array(_) | Value::Object(_) => {}
            }
        }
        for (name, value) in map {
            if skip.contains(&name.as_str()) {
                continue;
            }
            match value {
                Value::Array(list) if !list.is_empty() && self.list(name) => {
                    for row in list.iter().filter_map(Value::as_object) {
                        self.open(name);
                        self.members(row, &[]);
                        self.close(name);
                    }
                    self.end_list();
                }
                Value::Object(inner) if self.object(name) => {
                    self.members(inner, &[]);
                    self.close(name);
                }
                _ => {}
            }
        }
    }
}

/// A string of JSON.
pub(crate) fn json_string(out: &mut String, text: &str) {
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// Control characters go out as they are: Plex's XML was seen to hold illegal ones (§1).
fn xml_text(out: &mut String, text: &str) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "&quot;",
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'\'' => "&#39;",
            b'\n' => "&#10;",
            b'\r' => "&#13;",
            b'\t' => "&#9;",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        out.push_str(escape);
        from = at + 1;
    }
    out.push_str(&text[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(format: Format) -> String {
        let mut w = Writer::new(format);
        w.container();
        w.int("size", 1);
        if w.list("Metadata") {
            w.open_item("Video");
            w.str("title", "a \"b\" <c>\u{1}");
            w.bool("flag", true);
            if w.list("Media") {
                w.open("Media");
                w.close("Media");
                w.end_list();
            }
            w.close_item("Video");
            w.end_list();
        }
        w.end_container();
        String::from_utf8(w.finish()).unwrap()
    }

    #[test]
    fn both_formats() {
        assert_eq!(
            sample(Format::Json),
            r#"{"MediaContainer":{"size":1,"Metadata":[{"title":"a \"b\" <c>\u0001","flag":true,"Media":[{}]}]}}"#
        );
        assert_eq!(
            sample(Format::Xml),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MediaContainer size=\"1\">\
             <Video title=\"a &quot;b&quot; &lt;c&gt;\u{1}\" flag=\"1\"><Media/></Video></MediaContainer>\n"
        );
    }
}
