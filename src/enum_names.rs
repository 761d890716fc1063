//! The names of plain enums, in one place each.

/// Gives an enum its names: `name`, `Display` and `Serialize`.
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

        impl serde::Serialize for $of {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.name())
            }
        }
    };
}
