//! One file for a rule set (`.weir`): rules, what they were compiled to, authors' modules, signatures.
//!
//! ```text
//! magic, version of the format, length of the header          16 bytes
//! header      who made it, counts, and of each section: what it is, its length, its SHA-256
//! signatures  ed25519 over the SHA-256 of everything above (a length and a list)
//! sections    one behind the other, nothing between them and nothing after them
//!   shared    what all rules share; their headers' expressions as they were written
//!   rules     plans, in evaluation order, some hundred a section
//!   code      the text rules as a core module
//!   module    an author's component, with the name of its file
//!   native    what the runtime made of code, or of a module, for one machine
//! ```
//!
//! Numbers are little-endian, what is structured is postcard. A section is held to its hash when it is used, so a signature
//! covers everything that is. Variables of headers are resolved by whoever loads the file ([`weir_rules::stored`]).
//!
//! **Trust.** Deserialising native code is running it. It is done only where a key that is trusted here signed the file: the
//! key of this machine's user ([`keys::local`]), with which `weir rules build` signs what it compiled itself, or one that
//! the operator named. Otherwise, and where it was made for another machine or by another runtime, the Wasm is compiled
//! again, and the reason is told. A signature of a trusted key that does not fit makes the file worthless: it is
//! refused. Signatures of keys that nobody here knows say nothing, and are not looked at.

mod format;
pub mod keys;
mod native;
mod source;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use weir_rules::compile::{Loaded, Variables};
use weir_rules::stored::{self, Parts, StoredError};

use format::{Kind, Layout};
use keys::{PublicKey, SecretKey};
use source::Source;

pub use format::{Counts, is_built};
pub use native::{Machine, Native};

/// Why a built file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuiltError {
    /// It cannot be read at all.
    #[error("{path}: cannot read the rule set: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: std::io::Error,
    },
    /// It is something else.
    #[error("not a built rule set: it begins otherwise")]
    Other,
    /// It ends before its end, or goes on after it.
    #[error("the built rule set is cut off or damaged: {0}")]
    Broken(String),
    /// Another Weir made it.
    #[error(
        "built by Weir {weir} in format {found}, and this is Weir {here}, which reads format {known}: build it again",
        here = env!("CARGO_PKG_VERSION")
    )]
    Version {
        /// The Weir that made it.
        weir: String,
        /// Its format.
        found: String,
        /// The format that is read here.
        known: String,
    },
    /// A section is not what the header says.
    #[error("the built rule set is damaged: its {0} is not what its header says")]
    Section(&'static str),
    /// A trusted key signed something else.
    #[error("forged or damaged: the signature of the trusted key {0} is of something else")]
    Forged(Box<PublicKey>),
    /// There is no signature where there must be one.
    #[error("not signed by a trusted key")]
    Unsigned,
    /// Its rules cannot be read.
    #[error(transparent)]
    Rules(#[from] StoredError),
    /// Native code could not be made.
    #[error("cannot compile {what} to native code: {why}")]
    Native {
        /// What of the file.
        what: String,
        /// The runtime's words.
        why: String,
    },
}

/// A module of a rule set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The file that it came from, as it was named.
    pub name: String,
    /// A component.
    pub component: Vec<u8>,
}

/// A rule set that is being built.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The rules.
    pub rules: Parts,
    /// Rules among them, and data sets.
    pub counts: Counts,
    /// The text rules, as [`crate::code`] compiles them.
    pub code: Option<Vec<u8>>,
    /// Authors' modules, in the order that rules number them.
    pub modules: Vec<Module>,
    /// What was compiled to native code.
    pub natives: Vec<Native>,
}

impl Draft {
    /// The file, signed with these keys.
    ///
    /// # Errors
    /// When there is more than the format has room for.
    pub fn finish(self, keys: &[&SecretKey]) -> Result<Vec<u8>, BuiltError> {
        let mut sections = vec![(Kind::Shared, String::new(), self.rules.shared)];
        let pieces = self.rules.pieces.into_iter();
        sections.extend(pieces.map(|piece| (Kind::Piece, String::new(), piece)));
        sections.extend(self.code.map(|code| (Kind::Code, String::new(), code)));
        let modules = self.modules.into_iter();
        sections.extend(modules.map(|module| (Kind::Module, module.name, module.component)));
        let natives = self.natives.into_iter();
        sections.extend(natives.map(|native| {
            let kind = Kind::Native {
                module: native.module,
                machine: native.machine,
            };
            (kind, String::new(), native.bytes)
        }));
        format::write(self.counts, sections, keys)
    }
}

/// Whose native code is run, and whose files are taken.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The key of this machine's user, if there is one.
    pub local: Option<PublicKey>,
    /// Keys that the operator named.
    pub keys: Vec<PublicKey>,
}

/// Who signed a file, of those who are trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// The local key.
    pub locally: bool,
    /// A key that the operator named: the first.
    pub by: Option<PublicKey>,
}

impl Signed {
    /// True when native code of the file may be run.
    pub fn trusted(&self) -> bool {
        self.locally || self.by.is_some()
    }
}

/// A module of a file: the name of the file that it came from, and its component.
pub type Named<'b> = (&'b str, Cow<'b, [u8]>);

/// A built rule set that was read: its structure is right, its sections are looked at when they are asked for.
pub struct Built {
    source: Source,
    layout: Layout,
    signed: Signed,
}

impl std::fmt::Debug for Built {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Built")
            .field("counts", &self.layout.header.counts)
            .field("signed", &self.signed)
            .finish_non_exhaustive()
    }
}

impl Built {
    /// Opens a file, and looks at its header and signatures. It stays open: a section is read when it is asked for, into memory,
    /// and what is used is what was held to its hash there. So the file may be replaced at any time; where it is written over, that
    /// is found.
    ///
    /// # Errors
    /// As [`Self::parse`], and when it cannot be read.
    pub fn read(path: &Path, trust: &Trust) -> Result<Self, BuiltError> {
        Self::of(Source::open(path)?, trust)
    }

    /// Takes the bytes of a file apart, and looks at its signatures.
    ///
    /// # Errors
    /// When it is no built rule set, is cut off, is of another version, or bears a signature of a trusted key that does not
    /// fit.
    pub fn parse(bytes: Vec<u8>, trust: &Trust) -> Result<Self, BuiltError> {
        Self::of(Source::Bytes(bytes), trust)
    }

    fn of(source: Source, trust: &Trust) -> Result<Self, BuiltError> {
        let layout = format::parse(&source)?;
        let mut signed = Signed::default();
        for signature in &layout.signatures {
            let local = trust.local.filter(|key| signature.is_of(key));
            let named = trust.keys.iter().find(|key| signature.is_of(key)).copied();
            let Some(key) = local.or(named) else {
                continue;
            };
            if !signature.fits(&key, &layout.digest) {
                return Err(BuiltError::Forged(Box::new(key)));
            }
            signed.locally |= local.is_some();
            signed.by = signed.by.or(named);
        }
        Ok(Self {
            source,
            layout,
            signed,
        })
    }

    /// Who signed it.
    pub fn signed(&self) -> Signed {
        self.signed
    }

    /// Refuses a file that no key of the operator's signed. The local key is not enough: it says where the file was built, and
    /// not by whom.
    ///
    /// # Errors
    /// When there is no such signature.
    pub fn must_be_signed(&self) -> Result<PublicKey, BuiltError> {
        self.signed.by.ok_or(BuiltError::Unsigned)
    }

    /// How much is in it, as its maker says.
    pub fn counts(&self) -> Counts {
        self.layout.header.counts
    }

    /// The version of Weir that built it.
    pub fn weir(&self) -> &str {
        &self.layout.header.weir
    }

    /// The rules, with these variables. Their numbers are those that the code knows.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn rules(&self, variables: &Variables) -> Result<Loaded, BuiltError> {
        let none = || BuiltError::Broken("it has no rules".to_owned());
        let shared = self.sections(|kind| matches!(kind, Kind::Shared)).next();
        let shared = self.source.checked(shared.ok_or_else(none)?)?;
        let pieces = self.sections(|kind| matches!(kind, Kind::Piece));
        let pieces = Pieces {
            source: &self.source,
            sections: pieces.collect(),
        };
        let mut loaded = stored::read_pieces(&shared, &pieces, variables)?;
        let modules = self.modules_len();
        let strays = |rule: &weir_engine::plan::Rule| {
            (rule.module.as_ref()).is_some_and(|of| usize::from(of.module) >= modules)
        };
        if loaded.rules.rules().iter().any(strays) {
            return Err(BuiltError::Broken(
                "a rule is decided by a module that there is not".to_owned(),
            ));
        }
        // What was loaded counts, whatever was said when it was built.
        loaded.counts.evaluated = loaded.counts.evaluated.min(loaded.rules.rules().len());
        Ok(loaded)
    }

    /// The text rules as a core module, if it has been compiled.
    ///
    /// # Errors
    /// When the section is damaged.
    pub fn code(&self) -> Result<Option<Cow<'_, [u8]>>, BuiltError> {
        let section = self.sections(|kind| matches!(kind, Kind::Code)).next();
        section
            .map(|section| self.source.checked(section))
            .transpose()
    }

    /// The modules, in the order that rules number them.
    ///
    /// # Errors
    /// When a section is damaged.
    pub fn modules(&self) -> Result<Vec<Named<'_>>, BuiltError> {
        let sections = self.sections(|kind| matches!(kind, Kind::Module));
        let checked = sections.map(|section| {
            let component = self.source.checked(section)?;
            Ok((section.name.as_str(), component))
        });
        checked.collect()
    }

    fn modules_len(&self) -> usize {
        self.sections(|kind| matches!(kind, Kind::Module)).count()
    }

    fn sections(&self, is: impl Fn(&Kind) -> bool) -> impl Iterator<Item = &format::Section> {
        let sections = self.layout.header.sections.iter();
        sections.filter(move |section| is(&section.kind))
    }
}

/// Rules of a file, in the order of its sections.
struct Pieces<'b> {
    source: &'b Source,
    sections: Vec<&'b format::Section>,
}

impl stored::Pieces for Pieces<'_> {
    type Error = BuiltError;

    fn count(&self) -> usize {
        self.sections.len()
    }

    fn get<'b>(&'b self, at: usize, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], BuiltError> {
        match self.sections.get(at) {
            Some(section) => self.source.checked_into(section, buffer),
            None => Err(BuiltError::Broken("it has fewer rules".to_owned())),
        }
    }
}
