//! Rules: their text, its syntax tree, and the plans that the engine runs.
//!
//! * [`syntax`] reads rule files into syntax trees in which everything knows its place.
//! * [`keywords`] knows every keyword of the rule language and what values it takes.
//! * [`compile`] makes plans of syntax trees, or says why it cannot, and loads whole rule sets.
//! * [`contents`] lists what rules look for as it is written.
//! * [`classification`] holds what classtypes mean.
//! * [`frequency`] holds how often windows of bytes occur in traffic, and learns it.
//! * [`stored`] holds rules as bytes, their headers as they were written.
//! * [`probe`] chooses the literal that stands for a rule in the matcher.
//!
//! ```
//! use weir_rules::classification::Classification;
//! use weir_rules::compile::{Compiler, Variables, load};
//! use weir_rules::syntax::SourceFile;
//!
//! let text = r#"alert udp any any -> $HOME_NET 53 (msg:"a tunnel"; content:"exfil"; nocase; sid:1;)
//! alert modbus any any -> any any (msg:"needs a protocol"; content:"x"; sid:2;)
//! "#;
//! let file = SourceFile { name: "my.rules".into(), bytes: text.into() };
//! let loaded = load(&[file], &Compiler::new(Variables::stock(), Classification::stock()));
//!
//! let rule = &loaded.rules.rules()[0];
//! assert_eq!(rule.probe.as_ref().map(|probe| probe.bytes.as_slice()), Some(&b"exfil"[..]));
//! assert!(loaded.refused[0].to_string().starts_with("my.rules:2:7: protocol modbus: "));
//! ```

pub mod classification;
pub mod compile;
pub mod contents;
pub mod exercise;
pub mod frequency;
pub mod keywords;
pub mod probe;
pub mod stored;
pub mod syntax;
