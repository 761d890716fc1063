//! The macro that defines the names of an enum's variants.

/// Implements `name`, `Display`, `FromStr`, `Serialize` and, with the feature `schema`, `JsonSchema` for an enum.
#[doc(hidden)]
#[macro_export]
macro_rules! enum_names {
    ($enum_type:ident: $($variant:ident $text:literal),*) => {
        impl $enum_type {
            /// Returns the variant's name, which `Display` and JSON use too. Names never change and are never reused.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $enum_type {
            /// Writes the variant's name, padded as the format string requests.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $enum_type {
            type Err = $crate::error::Error;

            /// Parses a name that `name` returned; rejects any other text.
            fn from_str(name: &str) -> Result<Self, Self::Err> {
                match name {
                    // `none` is a value only in C; the Rust API uses `Option`.
                    $($text if $text != "none" => Ok(Self::$variant),)*
                    _ => $crate::error::invalid_argument_error(format!(
                        "'{}' is not a valid {}",
                        $crate::error::truncate_for_message(name.as_bytes()),
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
