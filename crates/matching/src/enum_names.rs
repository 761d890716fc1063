//! A macro that defines the names of an enum's variants in one place.

/// Implements `name`, `Display`, `FromStr`, `Serialize` and, for the schema, `JsonSchema` from a list of names.
#[doc(hidden)]
#[macro_export]
macro_rules! enum_names {
    ($enum_type:ident: $($variant:ident $text:literal),*) => {
        impl $enum_type {
            /// The variant's name, as in `Display` and JSON. Names never change and are never reused.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $enum_type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        /// Parses the text that [`name`](Self::name) returns.
        impl std::str::FromStr for $enum_type {
            type Err = $crate::error::Error;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                match name {
                    // Only C has a value for `none`; the Rust API has an `Option`.
                    $($text if $text != "none" => Ok(Self::$variant),)*
                    _ => $crate::error::refuse(format!(
                        "'{}' is not a valid {}",
                        $crate::error::abridged(name.as_bytes()),
                        stringify!($enum_type)
                    )),
                }
            }
        }

        impl serde::Serialize for $enum_type {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.name())
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $enum_type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($enum_type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($text),*] })
            }
        }
    };
}
