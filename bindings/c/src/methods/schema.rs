//! Generates include/plexindex.schema.json, the JSON Schema for the requests and answers of all methods.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{Caller, METHODS, MethodResult, SHAPES};

/// The schemas of a method's request and answer.
pub struct Shapes {
    request: Schema,
    answer: Schema,
}

/// A function that generates one method's schemas.
pub type ShapesOf = fn(&mut SchemaGenerator) -> Shapes;

/// Returns the schemas of a method's request and answer. The second argument, the method's function, is not called: its
/// type names the types `R` of the request and `A` of the answer.
pub fn shapes<R: JsonSchema, A: JsonSchema>(
    generator: &mut SchemaGenerator,
    _: fn(&Caller<'_>, R) -> MethodResult<A>,
) -> Shapes {
    Shapes {
        request: generator.subschema_for::<R>(),
        answer: generator.subschema_for::<A>(),
    }
}

/// Returns the schema of all methods: an object with one property per method, which has a `request` and an `answer`.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft07().into_generator();
    let mut methods = Map::new();
    for (method, shapes_of) in METHODS.iter().zip(SHAPES) {
        let Shapes { request, answer } = shapes_of(&mut generator);
        methods.insert(
            method.name.to_owned(),
            json!({
                "type": "object",
                "properties": { "request": request, "answer": answer },
                "required": ["request", "answer"]
            }),
        );
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Methods",
        "description": "The methods of plexindex_call(). Generated from bindings/c/src/methods by `make header`.",
        "type": "object",
        "properties": methods,
        "definitions": generator.take_definitions(true),
    })
}

/// Returns the text of the schema, with one line per method and type.
#[must_use]
pub fn text() -> String {
    lines(&schema(), 0) + "\n"
}

fn lines(value: &Value, depth: usize) -> String {
    match value {
        Value::Object(fields) if depth < 2 => {
            let indent = "  ".repeat(depth);
            let field = |(name, value)| format!("{indent}  \"{name}\": {}", lines(value, depth + 1));
            let fields: Vec<String> = fields.iter().map(field).collect();
            format!("{{\n{}\n{indent}}}", fields.join(",\n"))
        }
        other => other.to_string(),
    }
}
