//! A reply's document: rows of fields and lists, written as JSON or as XML (Plex API notes §1).

use std::collections::BTreeMap;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesStart, Event};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Number, Value};

use crate::model::Text;

/// What a field has. Rows leave out what is absent, and empty lists.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Absent,
    Text(String),
    Number(Number),
    Bool(bool),
    List(Vec<Row>),
}

/// The fields of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row(pub Vec<(Text, Node)>);

/// A row from names and values.
macro_rules! row {
    ($($name:literal: $value:expr),* $(,)?) => {
        $crate::tree::Row(vec![$((std::borrow::Cow::Borrowed($name), $crate::tree::Node::from($value))),*])
    };
}
pub(crate) use row;

macro_rules! from {
    ($($from:ty => $make:expr;)*) => {
        $(impl From<$from> for Node {
            fn from(value: $from) -> Self {
                $make(value)
            }
        })*
    };
}

from! {
    &str => |text: &str| Node::Text(text.to_owned());
    &String => |text: &String| Node::Text(text.clone());
    &Text => |text: &Text| Node::Text(text.to_string());
    String => Node::Text;
    bool => Node::Bool;
    u32 => |number: u32| Node::Number(number.into());
    u64 => |number: u64| Node::Number(number.into());
    usize => |number: usize| Node::Number(number.into());
    i32 => |number: i32| Node::Number(number.into());
    i64 => |number: i64| Node::Number(number.into());
    f64 => |number: f64| Number::from_f64(number).map_or(Node::Absent, Node::Number);
    Vec<Row> => |rows: Vec<Row>| if rows.is_empty() { Node::Absent } else { Node::List(rows) };
}

impl<T> From<Option<T>> for Node
where
    Node: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Node::Absent, Node::from)
    }
}

impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        match value {
            Value::Number(number) => Node::Number(number.clone()),
            Value::String(text) => text.into(),
            other => panic!("a field is a number or a text, and no {other}"),
        }
    }
}

impl Node {
    fn is_element(&self) -> bool {
        matches!(self, Node::List(_))
    }
}

impl Row {
    pub fn set(&mut self, name: impl Into<Text>, value: impl Into<Node>) {
        self.0.push((name.into(), value.into()));
    }

    pub fn get(&self, name: &str) -> &Node {
        let field = self.0.iter().find(|(field, _)| field == name);
        field.map_or(&Node::Absent, |(_, value)| value)
    }

    /// Leaves out fields and lists of these names, at any depth.
    pub fn omit(&mut self, names: &[String]) {
        self.0.retain(|(name, _)| !names.iter().any(|one| one == name));
        for (_, value) in &mut self.0 {
            if let Node::List(rows) = value {
                rows.iter_mut().for_each(|row| row.omit(names));
            }
        }
    }

    /// Leaves out elements and fields of an item.
    pub fn exclude(&mut self, elements: &[String], fields: &[String]) {
        self.0.retain(|(name, value)| {
            let excluded = if value.is_element() { elements } else { fields };
            !excluded.iter().any(|one| one == name)
        });
    }

    /// The document as bytes.
    pub fn write(self, format: Format) -> Vec<u8> {
        if format == Format::Json {
            // Writing to a vector does not fail, here and below.
            return serde_json::to_vec(&BTreeMap::from([("MediaContainer", self)])).unwrap_or_default();
        }
        let mut writer = Writer::new(Vec::new());
        let _ = writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        let _ = element(&mut writer, "MediaContainer", &self);
        writer.into_inner()
    }
}

/// JSON or XML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Json,
    Xml,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.iter().filter(|(_, value)| *value != Node::Absent) {
            map.serialize_entry(&**name, value)?;
        }
        map.end()
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Absent => serializer.serialize_none(),
            Node::Text(text) => serializer.serialize_str(text),
            Node::Number(number) => number.serialize(serializer),
            Node::Bool(flag) => serializer.serialize_bool(*flag),
            Node::List(rows) => rows.serialize(serializer),
        }
    }
}

/// In XML a list is nothing but its elements, and an item's element depends on its type.
fn element(writer: &mut Writer<Vec<u8>>, name: &str, row: &Row) -> std::io::Result<()> {
    let name = match (name, row.get("type")) {
        ("Metadata", Node::Text(kind)) => match kind.as_str() {
            "movie" | "episode" | "clip" => "Video",
            "track" => "Track",
            "photo" if !matches!(row.get("key"), Node::Text(key) if key.ends_with("/children")) => "Photo",
            _ => "Directory",
        },
        _ => name,
    };
    let mut start = BytesStart::new(name);
    for (name, value) in &row.0 {
        match value {
            Node::Text(text) => start.push_attribute((&**name, text.as_str())),
            Node::Number(number) => start.push_attribute((&**name, number.to_string().as_str())),
            Node::Bool(flag) => start.push_attribute((&**name, if *flag { "1" } else { "0" })),
            Node::Absent | Node::List(_) => {}
        }
    }
    if !row.0.iter().any(|(_, value)| value.is_element()) {
        return writer.write_event(Event::Empty(start));
    }
    writer.write_event(Event::Start(start.borrow()))?;
    for (name, value) in &row.0 {
        if let Node::List(rows) = value {
            rows.iter().try_for_each(|inner| element(writer, name, inner))?;
        }
    }
    writer.write_event(Event::End(start.to_end()))
}
