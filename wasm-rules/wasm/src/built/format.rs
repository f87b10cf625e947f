//! The file as bytes.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use weir_rules::stored;

use super::BuiltError;
use super::keys::{self, SecretKey};
use super::native::Machine;
use super::source::Source;

/// What a file begins with. Like PNG's, it does not survive being taken for text.
const MAGIC: &[u8; 8] = b"\x89WEIR\r\n\x1a";

/// The version of the format.
const FORMAT: u32 = 1;

/// Bytes before the header: magic, version, length of the header.
const FIXED: u64 = 16;

/// Most signatures of a file.
const MAX_SIGNATURES: usize = 16;

/// True for bytes that begin as a built rule set does.
pub fn is_built(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// How much is in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rules.
    pub rules: u32,
    /// Data sets that they use.
    pub data_sets: u32,
    /// Authors' modules.
    pub modules: u32,
}

/// What a section is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// What all rules share.
    Shared,
    /// Some rules.
    Piece,
    /// Text rules as a core module.
    Code,
    /// An author's component.
    Module,
    /// What the runtime made.
    Native {
        /// Of which module; `None`: of the code.
        module: Option<u16>,
        /// For which machine.
        machine: Machine,
    },
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Self::Shared | Self::Piece => "part with rules",
            Self::Code => "compiled rules",
            Self::Module => "module",
            Self::Native { .. } => "native code",
        }
    }
}

/// A section, and what is in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Section {
    pub(super) kind: Kind,
    /// Of a module: the name of its file.
    pub(super) name: String,
    pub(super) length: u64,
    pub(super) sha256: [u8; 32],
    /// Where it begins in the file.
    #[serde(skip)]
    pub(super) start: u64,
}

/// What a file says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Header {
    /// The version of Weir that made it.
    pub(super) weir: String,
    /// [`stored::VERSION`]
    encoding: u32,
    /// [`stored::vocabulary`]
    vocabulary: u64,
    pub(super) counts: Counts,
    pub(super) sections: Vec<Section>,
}

/// A file that was taken apart.
pub(super) struct Layout {
    pub(super) header: Header,
    pub(super) signatures: Vec<keys::Signature>,
    /// What is signed.
    pub(super) digest: [u8; 32],
}

impl Section {
    /// What is wrong with it where its bytes are not those that the header says.
    pub(super) fn wrong(&self) -> BuiltError {
        BuiltError::Section(self.kind.name())
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Puts a file together.
pub(super) fn write(
    counts: Counts,
    contents: Vec<(Kind, String, Vec<u8>)>,
    keys: &[&SecretKey],
) -> Result<Vec<u8>, BuiltError> {
    let sections = contents.iter().map(|(kind, name, bytes)| Section {
        kind: kind.clone(),
        name: name.clone(),
        length: bytes.len() as u64,
        sha256: sha256(bytes),
        start: 0,
    });
    let header = Header {
        weir: env!("CARGO_PKG_VERSION").to_owned(),
        encoding: stored::VERSION,
        vocabulary: stored::vocabulary(),
        counts,
        sections: sections.collect(),
    };
    let unwritable =
        |why: &dyn std::fmt::Display| BuiltError::Broken(format!("cannot write it: {why}"));
    let header = postcard::to_allocvec(&header).map_err(|error| unwritable(&error))?;
    let length = u32::try_from(header.len()).map_err(|error| unwritable(&error))?;
    let mut file = MAGIC.to_vec();
    file.extend(FORMAT.to_le_bytes());
    file.extend(length.to_le_bytes());
    file.extend(header);
    let digest = sha256(&file);
    let signatures: Vec<keys::Signature> = keys.iter().map(|key| key.sign(&digest)).collect();
    let signatures = postcard::to_allocvec(&signatures).map_err(|error| unwritable(&error))?;
    let length = u32::try_from(signatures.len()).map_err(|error| unwritable(&error))?;
    file.extend(length.to_le_bytes());
    file.extend(signatures);
    for (_, _, bytes) in contents {
        file.extend(bytes);
    }
    Ok(file)
}

/// Takes a file apart. What is allocated is bounded by the header, and that by the file.
pub(super) fn parse(file: &Source) -> Result<Layout, BuiltError> {
    let broken = |why: &str| BuiltError::Broken(why.to_owned());
    let cut = || broken("it ends within its header");
    let start = file.part(0, FIXED.min(file.len()))?;
    if !start.is_some_and(|start| is_built(&start)) {
        return Err(BuiltError::Other);
    }
    let number = |at: u64| -> Result<u32, BuiltError> {
        let bytes = file.part(at, 4)?.ok_or_else(cut)?;
        let bytes = bytes.first_chunk().ok_or_else(cut)?;
        Ok(u32::from_le_bytes(*bytes))
    };
    let after_magic = MAGIC.len() as u64;
    let format = number(after_magic)?;
    if format != FORMAT {
        return Err(BuiltError::Version {
            weir: "of another version".to_owned(),
            found: format.to_string(),
            known: FORMAT.to_string(),
        });
    }
    let end = FIXED + u64::from(number(after_magic + 4)?);
    let signed = file.part(0, end)?.ok_or_else(cut)?;
    let header = signed.get(FIXED as usize..).ok_or_else(cut)?;
    let unreadable = |_| broken("its header cannot be read");
    let (mut header, rest): (Header, _) = postcard::take_from_bytes(header).map_err(unreadable)?;
    if !rest.is_empty() {
        return Err(broken("its header is longer than what is in it"));
    }
    if (header.encoding, header.vocabulary) != (stored::VERSION, stored::vocabulary()) {
        let version = |encoding, vocabulary| format!("{FORMAT}.{encoding}-{vocabulary:016x}");
        return Err(BuiltError::Version {
            weir: header.weir,
            found: version(header.encoding, header.vocabulary),
            known: version(stored::VERSION, stored::vocabulary()),
        });
    }
    let length = u64::from(number(end)?);
    let signatures = file.part(end + 4, length)?.ok_or_else(cut)?;
    let end = end + 4 + length;
    let (signatures, rest): (Vec<keys::Signature>, _) = postcard::take_from_bytes(&signatures)
        .map_err(|_| broken("its signatures cannot be read"))?;
    if !rest.is_empty() || signatures.len() > MAX_SIGNATURES {
        return Err(broken("its signatures cannot be read"));
    }
    place(&mut header.sections, end, file.len())?;
    Ok(Layout {
        digest: sha256(&signed),
        header,
        signatures,
    })
}

/// Says where each section begins, and that there is what there must be.
fn place(sections: &mut [Section], mut at: u64, end: u64) -> Result<(), BuiltError> {
    let broken = |why: String| Err(BuiltError::Broken(why));
    for section in sections.iter_mut() {
        section.start = at;
        let next = at.checked_add(section.length);
        match next.filter(|&next| next <= end) {
            Some(next) => at = next,
            None => {
                let name = section.kind.name();
                return broken(format!("it ends at byte {end}, within its {name}"));
            }
        }
    }
    if at != end {
        return broken(format!("{} bytes follow its end", end - at));
    }
    let count = |is: fn(&Kind) -> bool| sections.iter().filter(|of| is(&of.kind)).count();
    let modules = count(|kind| matches!(kind, Kind::Module));
    let right = sections.first().is_some_and(|of| of.kind == Kind::Shared)
        && count(|kind| matches!(kind, Kind::Shared)) == 1
        && count(|kind| matches!(kind, Kind::Code)) <= 1
        && modules <= usize::from(u16::MAX)
        && sections.iter().all(|of| match of.kind {
            Kind::Native { module, .. } => module.is_none_or(|of| usize::from(of) < modules),
            _ => true,
        });
    if right {
        Ok(())
    } else {
        broken("its sections are not those of a rule set".to_owned())
    }
}
