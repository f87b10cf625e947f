//! The file as bytes.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use weir_rules::stored;

use super::BuiltError;
use super::keys::{self, SecretKey};
use super::native::Machine;

/// What a file begins with. Like PNG's, it does not survive being taken for text.
const MAGIC: &[u8; 8] = b"\x89WEIR\r\n\x1a";

/// The version of the format.
const FORMAT: u32 = 1;

/// Bytes before the header: magic, version, length of the header.
const FIXED: usize = 16;

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
    length: u64,
    sha256: [u8; 32],
    /// Where it begins in the file.
    #[serde(skip)]
    start: usize,
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
    /// Its bytes, whatever they are.
    fn bytes<'b>(&self, file: &'b [u8]) -> Option<&'b [u8]> {
        let length = usize::try_from(self.length).ok()?;
        file.get(self.start..self.start.checked_add(length)?)
    }

    /// Its bytes, if they are what the header says.
    pub(super) fn checked<'b>(&self, file: &'b [u8]) -> Result<&'b [u8], BuiltError> {
        let bytes = self.bytes(file);
        let right = bytes.filter(|bytes| sha256(bytes) == self.sha256);
        right.ok_or(BuiltError::Section(self.kind.name()))
    }
}

/// The bytes of several sections, if all are what the header says; looked at by as many threads as there are cores.
pub(super) fn check_all<'b>(
    file: &'b [u8],
    sections: &[&Section],
) -> Result<Vec<&'b [u8]>, BuiltError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, wrong) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(section) = sections.get(at) else {
                return;
            };
            if section.checked(file).is_err() {
                wrong.fetch_min(at, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(sections.len()) {
            scope.spawn(work);
        }
        work();
    });
    if let Some(section) = sections.get(wrong.into_inner()) {
        return Err(BuiltError::Section(section.kind.name()));
    }
    Ok(sections
        .iter()
        .filter_map(|section| section.bytes(file))
        .collect())
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
pub(super) fn parse(file: &[u8]) -> Result<Layout, BuiltError> {
    if !is_built(file) {
        return Err(BuiltError::Other);
    }
    let broken = |why: &str| BuiltError::Broken(why.to_owned());
    let cut = || broken("it ends within its header");
    let format = number(file, MAGIC.len()).ok_or_else(cut)?;
    if format != FORMAT {
        return Err(BuiltError::Version {
            weir: "of another version".to_owned(),
            found: format.to_string(),
            known: FORMAT.to_string(),
        });
    }
    let length = number(file, MAGIC.len() + 4).ok_or_else(cut)? as usize;
    let end = FIXED.checked_add(length).ok_or_else(cut)?;
    let signed = file.get(..end).ok_or_else(cut)?;
    let header = signed.get(FIXED..).ok_or_else(cut)?;
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
    let length = number(file, end).ok_or_else(cut)? as usize;
    let start = end.checked_add(4).ok_or_else(cut)?;
    let end = start.checked_add(length).ok_or_else(cut)?;
    let signatures = file.get(start..end).ok_or_else(cut)?;
    let (signatures, rest): (Vec<keys::Signature>, _) = postcard::take_from_bytes(signatures)
        .map_err(|_| broken("its signatures cannot be read"))?;
    if !rest.is_empty() || signatures.len() > MAX_SIGNATURES {
        return Err(broken("its signatures cannot be read"));
    }
    place(&mut header.sections, end, file.len())?;
    Ok(Layout {
        digest: sha256(signed),
        header,
        signatures,
    })
}

/// Says where each section begins, and that there is what there must be.
fn place(sections: &mut [Section], mut at: usize, end: usize) -> Result<(), BuiltError> {
    let broken = |why: String| Err(BuiltError::Broken(why));
    for section in sections.iter_mut() {
        section.start = at;
        let length = usize::try_from(section.length).ok();
        let next = length.and_then(|length| at.checked_add(length));
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

fn number(file: &[u8], at: usize) -> Option<u32> {
    let bytes = file.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}
