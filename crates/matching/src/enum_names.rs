//! The names of plain enums, in one place each.

/// Gives an enum its names: `name`, `Display`, `FromStr`, `Serialize` and, for the schema, `JsonSchema`.
#[doc(hidden)]
#[macro_export]
macro_rules! enum_names {
    ($of:ident: $($variant:ident $text:literal),*) => {
        impl $of {
            /// Its name, as in `Display` and JSON. Names never change and are never reused.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $of {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        /// Parses a name: [`name`](Self::name).
        impl std::str::FromStr for $of {
            type Err = $crate::error::Error;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                match name {
                    // In C `none` is the absence of a value, which is an `Option` here.
                    $($text if $text != "none" => Ok(Self::$variant),)*
                    _ => $crate::error::refuse(format!(
                        "'{}' names no {}",
                        $crate::error::abridged(name.as_bytes()),
                        stringify!($of)
                    )),
                }
            }
        }

        impl serde::Serialize for $of {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.name())
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $of {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($of).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($text),*] })
            }
        }
    };
}
