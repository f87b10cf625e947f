//! Keys that sign rule sets: ed25519 (RFC 8032).
//!
//! A key is a line of text: `weir-secret-key:` or `weir-key:` and 64 hexadecimal digits. Files with secret keys are for their
//! owner alone, and are not used otherwise.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// What the text of a public key begins with.
const PUBLIC: &str = "weir-key:";
/// What the text of a secret key begins with.
const SECRET: &str = "weir-secret-key:";

/// Goes before what is signed, so that a signature of a rule set is one of nothing else.
const CONTEXT: &[u8] = b"weir rule set\0";

/// Longest file of a key.
const MAX_FILE: u64 = 4096;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub struct KeyError {
    place: String,
    message: String,
}

impl KeyError {
    fn at(path: &Path, message: impl fmt::Display) -> Self {
        Self {
            place: path.display().to_string(),
            message: message.to_string(),
        }
    }
}

/// A key that tells whose signature one is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PUBLIC)?;
        write_hex(self.0.as_bytes(), f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with(SECRET) {
            return Err(
                "this is a secret key, which belongs to who signs; expected a public key"
                    .to_owned(),
            );
        }
        let bytes = text.strip_prefix(PUBLIC).and_then(hex);
        let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
        // A weak key is one that has signed everything.
        key.filter(|key| !key.is_weak())
            .map(Self)
            .ok_or_else(|| format!("expected a public key: `{PUBLIC}` and 64 hexadecimal digits"))
    }
}

impl PublicKey {
    /// True for what is meant to be the text of a key, not the name of a file with one.
    pub fn is_text(text: &str) -> bool {
        text.trim_start().starts_with(PUBLIC)
    }

    /// Reads the file of a public key.
    ///
    /// # Errors
    /// When there is no such key in it.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
            .map_err(|error| KeyError::at(path, format!("cannot read the key: {error}")))?;
        text.parse().map_err(|message| KeyError::at(path, message))
    }
}

/// A key that signs.
pub struct SecretKey(SigningKey);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.public())
    }
}

impl SecretKey {
    /// A new key.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate() -> Result<Self, KeyError> {
        let source = Path::new("/dev/urandom");
        let mut seed = [0; 32];
        File::open(source)
            .and_then(|mut file| file.read_exact(&mut seed))
            .map_err(|error| KeyError::at(source, format!("no random numbers: {error}")))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The key that tells its signatures.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Writes it into a new file that only its owner can read.
    ///
    /// # Errors
    /// When the file is there already, or cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), KeyError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let written = options.open(path).and_then(|mut file| {
            writeln!(file, "{}", SecretText(&self.0))?;
            file.sync_all()
        });
        written.map_err(|error| KeyError::at(path, format!("cannot write the key: {error}")))
    }

    /// Reads the file of a secret key.
    ///
    /// # Errors
    /// When there is no such key in it, it belongs to someone else, or others can read it.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |error| KeyError::at(path, format!("cannot read the key: {error}"));
        let file = File::open(path).map_err(unreadable)?;
        let meta = file.metadata().map_err(unreadable)?;
        let owner = rustix::process::geteuid().as_raw();
        if meta.uid() != owner && meta.uid() != 0 {
            return Err(KeyError::at(path, "the secret key belongs to another user"));
        }
        if meta.mode() & 0o077 != 0 {
            let message =
                "others can read or change this secret key: `chmod 600` it, or make a new one";
            return Err(KeyError::at(path, message));
        }
        let mut text = String::new();
        file.take(MAX_FILE)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        let seed = text.trim().strip_prefix(SECRET).and_then(hex);
        let seed = seed.ok_or_else(|| {
            let message = format!("expected a secret key: `{SECRET}` and 64 hexadecimal digits");
            KeyError::at(path, message)
        })?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    pub(super) fn sign(&self, digest: &[u8; 32]) -> Signature {
        let signature = self.0.sign(&message(digest));
        Signature {
            key: *self.0.verifying_key().as_bytes(),
            r: *signature.r_bytes(),
            s: *signature.s_bytes(),
        }
    }
}

/// A signature, and the key whose it claims to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Signature {
    key: [u8; 32],
    r: [u8; 32],
    s: [u8; 32],
}

impl Signature {
    pub(super) fn is_of(&self, key: &PublicKey) -> bool {
        self.key == *key.0.as_bytes()
    }

    pub(super) fn fits(&self, key: &PublicKey, digest: &[u8; 32]) -> bool {
        let signature = ed25519_dalek::Signature::from_components(self.r, self.s);
        key.0.verify_strict(&message(digest), &signature).is_ok()
    }
}

fn message(digest: &[u8; 32]) -> Vec<u8> {
    [CONTEXT, digest].concat()
}

/// The folder for what Weir keeps for a user on this machine: `$XDG_STATE_HOME/weir`, or that in `~/.local/state`.
pub fn folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    let absolute = |path: &PathBuf| path.is_absolute();
    let state = set("XDG_STATE_HOME").filter(absolute);
    let home = || Some(set("HOME").filter(absolute)?.join(".local/state"));
    Some(state.or_else(home)?.join("weir"))
}

/// The file of the local key, in [`folder`].
const LOCAL: &str = "machine.key";

/// The key of this machine's user, if there is one in `folder`.
///
/// # Errors
/// As [`SecretKey::read`].
pub fn local(folder: &Path) -> Result<Option<SecretKey>, KeyError> {
    let path = folder.join(LOCAL);
    match path.symlink_metadata() {
        Ok(_) => SecretKey::read(&path).map(Some),
        Err(_) => Ok(None),
    }
}

/// The key of this machine's user, made now if there is none in `folder`.
///
/// # Errors
/// As [`SecretKey::read`], and when it cannot be written.
pub fn local_or_new(folder: &Path) -> Result<SecretKey, KeyError> {
    if let Some(key) = local(folder)? {
        return Ok(key);
    }
    let mut make = std::fs::DirBuilder::new();
    let made = make.recursive(true).mode(0o700).create(folder);
    made.map_err(|error| KeyError::at(folder, format!("cannot make the folder: {error}")))?;
    let key = SecretKey::generate()?;
    // First under another name: whoever finds the file finds it whole, and of two who make one the first wins.
    let new = folder.join(format!("{LOCAL}.{}", std::process::id()));
    key.write(&new)?;
    let path = folder.join(LOCAL);
    let linked = std::fs::hard_link(&new, &path);
    let _ = std::fs::remove_file(&new);
    match linked {
        Ok(()) => Ok(key),
        Err(error) => match local(folder)? {
            Some(key) => Ok(key),
            None => Err(KeyError::at(
                &path,
                format!("cannot write the key: {error}"),
            )),
        },
    }
}

/// The text of a secret key.
struct SecretText<'k>(&'k SigningKey);

impl fmt::Display for SecretText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SECRET)?;
        write_hex(self.0.as_bytes(), f)
    }
}

fn write_hex(bytes: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}
