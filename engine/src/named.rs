//! Enumerations of events that rules name.

/// Makes an enumeration whose members have the names that rules use, with `ALL` and `name()`.
macro_rules! named_events {
    (
        $(#[$outer:meta])*
        $Event:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)* }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[repr(u8)]
        pub enum $Event {
            $(#[doc = concat!("`", $name, "`")] #[doc = ""] $(#[$doc])* $variant,)*
        }

        impl $Event {
            /// Every event, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that rules use.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

pub(crate) use named_events;
