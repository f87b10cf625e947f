//! The declaration.

/// Declares the module of a crate: its rules, what they look at, and what they keep.
///
/// ```
/// use weir_sdk::prelude::*;
///
/// weir_sdk::module! {
///     name: "example",
///     // version: "2.0.0",      that of the crate unless given
///     state_version: 3,      // 1 unless given
///     // Sections in this order; those that are empty can be left out.
///     buffers {
///         HOST = "http.host",
///     }
///     flow_bits {
///         LOGGED_IN = "logged.in",
///     }
///     state {
///         // Any type that serde can write and read.
///         VISITS: u32 { scope: Scope::Source, bytes: 5, entries: 1000, seconds: 3600 },
///     }
///     rules {
///         // The methods of `Rule` are its fields.
///         MANY_VISITS {
///             sid: 1,
///             message: "a hundred visits",
///             header: "http any any -> any any",
///             buffers: &[HOST],
///         } => many_visits,
///     }
/// }
///
/// fn many_visits(event: &Event) -> bool {
///     !event.flow_bit(LOGGED_IN)
///         && event.buffer(HOST).is_some_and(|host| host.ends_with(b".example"))
///         && event.update(VISITS, |visits| { *visits += 1; *visits == 100 }).unwrap_or(false)
/// }
/// ```
///
/// The names on the left become constants ([`Buffer`], [`FlowBit`], [`State`], [`RuleId`]) and are all that events take:
/// what is not declared cannot be asked for. The module itself is the static `MODULE`; for `wasm32` it is exported, too.
///
/// `rules by decide { … }`, without a function behind each rule, has one function decide all rules of an event:
/// `fn decide(event: &Event, asked: &mut Asked)`. That is for rules that share work, or state that an event may change
/// only once.
///
/// What can be wrong with the form of a declaration does not compile, and says why:
///
/// ```compile_fail
/// # use weir_sdk::prelude::*;
/// weir_sdk::module! {
///     name: "example",
///     rules {
///         // No `sid`.
///         BAD { message: "m", header: "tcp any any -> any any" } => never,
///     }
/// }
/// # fn never(_: &Event) -> bool { false }
/// ```
///
/// Whether header and options can be understood, and buffers and classes are known, is the sensor's to say: `weir rules
/// check` does.
///
/// [`Buffer`]: crate::Buffer
/// [`FlowBit`]: crate::FlowBit
/// [`State`]: crate::State
/// [`RuleId`]: crate::RuleId
#[macro_export]
macro_rules! module {
    (
        name: $name:expr,
        $(version: $version:expr,)?
        $(state_version: $state_version:expr,)?
        $(buffers { $($(#[$buffer_doc:meta])* $buffer:ident = $buffer_name:expr),* $(,)? })?
        $(flow_bits { $($(#[$bit_doc:meta])* $bit:ident = $bit_name:expr),* $(,)? })?
        $(state {
            $($(#[$state_doc:meta])* $state:ident : $kept:ty { $($state_field:ident : $state_value:expr),* $(,)? }),*
            $(,)?
        })?
        rules $($rules:tt)+
    ) => {
        $crate::__constants! { Buffer, __WeirBuffer; $($($(#[$buffer_doc])* $buffer = $buffer_name,)*)? }
        $crate::__constants! { FlowBit, __WeirFlowBit; $($($(#[$bit_doc])* $bit = $bit_name,)*)? }
        $($(
            $(#[$state_doc])*
            #[allow(missing_docs)]
            pub const $state: $crate::State<$kept> =
                $crate::State::of($crate::Kept { $($state_field: $state_value),* });
        )*)?

        $crate::__rules! { $($rules)+ }

        /// The module.
        pub static MODULE: $crate::Module = $crate::Module {
            name: $name,
            version: $crate::__or!($($version)?; ::core::env!("CARGO_PKG_VERSION")),
            state_version: $crate::__or!($($state_version)?; 1),
            rules: __WEIR_RULES,
            decide: __WEIR_DECIDE,
            buffers: &[$($($buffer_name),*)?],
            flow_bits: &[$($($bit_name),*)?],
            state: &[$($($state.kept()),*)?],
        }
        .checked();

        #[cfg(target_arch = "wasm32")]
        $crate::__export!(MODULE);
    };
}

/// What was given, or else what is after the semicolon.
#[doc(hidden)]
#[macro_export]
macro_rules! __or {
    (; $default:expr) => {
        $default
    };
    ($given:expr; $default:expr) => {
        $given
    };
}

/// Buffers or flow bits: constants with their index and name.
#[doc(hidden)]
#[macro_export]
macro_rules! __constants {
    ($kind:ident, $index:ident;) => {};
    ($kind:ident, $index:ident; $($(#[$doc:meta])* $constant:ident = $name:expr,)+) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u32)]
        enum $index { $($constant),+ }
        $(
            $(#[$doc])*
            #[allow(missing_docs)]
            pub const $constant: $crate::$kind = $crate::$kind::at($index::$constant as u32, $name);
        )+
    };
}

/// The rules, and who decides them.
#[doc(hidden)]
#[macro_export]
macro_rules! __rules {
    ({ $($(#[$doc:meta])* $rule:ident { $($field:ident : $value:expr),* $(,)? } => $decide:path),+ $(,)? }) => {
        $crate::__rule_constants! { $($(#[$doc])* $rule { $($field: $value,)* })+ }
        const __WEIR_DECIDE: $crate::Decide = $crate::Decide::Each(&[$($decide),+]);
    };
    (by $decide:path {
        $($(#[$doc:meta])* $rule:ident { $($field:ident : $value:expr),* $(,)? }),+ $(,)?
    }) => {
        $crate::__rule_constants! { $($(#[$doc])* $rule { $($field: $value,)* })+ }
        const __WEIR_DECIDE: $crate::Decide = $crate::Decide::Together($decide);
    };
}

/// Constants with the indexes of rules, and the rules themselves.
#[doc(hidden)]
#[macro_export]
macro_rules! __rule_constants {
    ($($(#[$doc:meta])* $rule:ident { $($field:ident : $value:expr,)* })+) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u32)]
        enum __WeirRule { $($rule),+ }
        $(
            $(#[$doc])*
            #[allow(missing_docs)]
            pub const $rule: $crate::RuleId = $crate::RuleId::at(__WeirRule::$rule as u32);
        )+
        const __WEIR_RULES: &[$crate::Rule] = &[$($crate::Rule::new()$(.$field($value))*),+];
    };
}

/// Exports a module to the host.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($module:ident) => {
        const _: () = {
            struct Exported;
            impl $crate::guest::bindings::Guest for Exported {
                fn declare() -> $crate::guest::bindings::Module {
                    $crate::guest::declare(&$module)
                }
                fn evaluate(candidates: ::std::vec::Vec<u32>) -> ::std::vec::Vec<u32> {
                    $crate::guest::evaluate(&$module, &candidates)
                }
            }
            $crate::guest::bindings::__export_weir_rules!(Exported with_types_in $crate::guest::bindings);
        };
    };
}
