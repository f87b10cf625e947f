//! Client and server hellos (RFC 8446, section 4.1; RFC 5246, section 7.4.1).

use crate::app::bytes::Bytes;

/// TLS 1.2 on the wire.
pub(crate) const TLS12: u16 = 0x0303;
/// TLS 1.3 on the wire.
pub(crate) const TLS13: u16 = 0x0304;
/// How drafts of TLS 1.3 before the sixteenth are known: they did not say which they are.
const TLS13_EARLY_DRAFT: u16 = 0x7f01;

/// Longest name of a server, by the limits of DNS.
const MOST_SNI: usize = 255;

/// Something odd in a hello; the last part of the event's name.
pub(crate) type Oddity = &'static str;

/// What a hello says. Lists have all values, GREASE (RFC 8701) among them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hello {
    /// As it is in its old place.
    pub(crate) legacy_version: u16,
    /// With `supported_versions` taken into account: the first that is known.
    pub(crate) version: u16,
    pub(crate) random: [u8; 32],
    pub(crate) session_id: Vec<u8>,
    pub(crate) ciphers: Vec<u16>,
    pub(crate) extensions: Vec<u16>,
    pub(crate) groups: Vec<u16>,
    pub(crate) point_formats: Vec<u8>,
    pub(crate) signatures: Vec<u16>,
    pub(crate) alpns: Vec<Vec<u8>>,
    pub(crate) sni: Option<Vec<u8>>,
    /// It has `supported_versions`.
    pub(crate) has_versions: bool,
    /// It has `early_data`.
    pub(crate) early_data: bool,
    /// It has `session_ticket`.
    pub(crate) ticket: bool,
    /// All of it could be read.
    pub(crate) whole: bool,
}

/// True for a version that a record or a hello can have.
pub(crate) fn is_version(version: u16) -> bool {
    matches!(version, 0x0300..=0x0304 | 0x7f01 | 0x7f10..=0x7f1c | 0xfb17 | 0xfb1a)
}

/// True for a value that is there to be ignored (RFC 8701).
pub(crate) fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// Early drafts of TLS 1.3: their server hello has neither session id nor compression.
fn is_old_draft(legacy_version: u16) -> bool {
    legacy_version == TLS13 || legacy_version >> 8 == 0x7f
}

const LENGTH: Oddity = "tls.handshake_invalid_length";

/// Why extensions are read no further.
enum Stop {
    /// It is as if the list ended here.
    End,
    /// The hello is not to be trusted.
    Error,
}

impl Hello {
    /// Reads a hello, as far as it goes; `odd` is told what is wrong with it. `named` says that the name of the server
    /// is known from an earlier hello.
    pub(crate) fn read(
        body: &[u8],
        server: bool,
        named: bool,
        odd: &mut impl FnMut(Oddity),
    ) -> Self {
        let mut hello = Self::default();
        let mut bytes = Bytes(body);
        if hello.read_fixed(&mut bytes, server).is_none() {
            odd(LENGTH);
            return hello;
        }
        match hello.read_extensions(bytes, server, named, odd) {
            Ok(()) | Err(Stop::End) => hello.whole = true,
            Err(Stop::Error) => odd(LENGTH),
        }
        hello
    }

    fn read_fixed(&mut self, bytes: &mut Bytes<'_>, server: bool) -> Option<()> {
        self.legacy_version = bytes.u16()?;
        self.version = match self.legacy_version {
            TLS13 | 0x7f01..=0x7f0f => TLS13_EARLY_DRAFT,
            version => version,
        };
        self.random = bytes.take(32)?.try_into().ok()?;
        let old_draft = server && is_old_draft(self.legacy_version);
        if !old_draft {
            let len = bytes.u8()?;
            self.session_id = bytes.take(len.into())?.to_vec();
        }
        let ciphers = if server {
            bytes.take(2)?
        } else {
            bytes.counted16()?
        };
        if ciphers.len() % 2 != 0 {
            return None;
        }
        self.ciphers = pairs(ciphers).collect();
        if !old_draft {
            let compressions = if server { 1 } else { bytes.u8()? };
            bytes.take(compressions.into())?;
        }
        Some(())
    }

    fn read_extensions(
        &mut self,
        mut bytes: Bytes<'_>,
        server: bool,
        named: bool,
        odd: &mut impl FnMut(Oddity),
    ) -> Result<(), Stop> {
        if bytes.len() < 2 {
            return Ok(());
        }
        let mut list = Bytes(bytes.counted16().ok_or(Stop::Error)?);
        while !list.is_empty() {
            let kind = list.u16().ok_or(Stop::Error)?;
            let body = list.counted16().ok_or(Stop::Error)?;
            // An empty one says that it is there.
            if !body.is_empty() {
                self.read_extension(kind, Bytes(body), server, named, odd)?;
            }
            if kind == 35 && !server {
                self.ticket = true;
            }
            if kind == 42 && !server {
                self.early_data = true;
            }
            self.extensions.push(kind);
        }
        Ok(())
    }

    fn read_extension(
        &mut self,
        kind: u16,
        mut body: Bytes<'_>,
        server: bool,
        named: bool,
        odd: &mut impl FnMut(Oddity),
    ) -> Result<(), Stop> {
        match kind {
            0 => {
                if let Err(oddity) = self.read_sni(body, named, odd) {
                    odd(oddity);
                    return Err(Stop::End);
                }
            }
            10 => {
                let groups = body.counted16().ok_or(Stop::Error)?;
                if !server {
                    if groups.len() % 2 != 0 {
                        return Err(Stop::Error);
                    }
                    self.groups.extend(pairs(groups));
                }
            }
            11 => {
                let len = body.u8().ok_or(Stop::Error)?;
                let formats = body.take(len.into()).ok_or(Stop::Error)?;
                if !server {
                    self.point_formats.extend_from_slice(formats);
                }
            }
            13 => {
                let signatures = body.counted16().filter(|list| list.len() % 2 == 0);
                let Some(signatures) = signatures else {
                    odd(LENGTH);
                    return Err(Stop::End);
                };
                if !server {
                    self.signatures.extend(pairs(signatures));
                }
            }
            16 => {
                let Some(list) = body.counted16() else {
                    odd(LENGTH);
                    return Err(Stop::End);
                };
                let mut list = Bytes(list);
                while let Some(len) = list.u8() {
                    let Some(alpn) = list.take(len.into()) else {
                        break;
                    };
                    self.alpns.push(alpn.to_vec());
                }
            }
            43 if server => {
                let Some(version) = body.u16() else {
                    odd(LENGTH);
                    return Err(Stop::End);
                };
                self.version = version;
                self.has_versions = true;
            }
            43 => {
                let len = body.u8().filter(|&len| len >= 2);
                let Some(versions) = len.and_then(|len| body.take(len.into())) else {
                    odd(LENGTH);
                    return Err(Stop::End);
                };
                if let Some(version) = pairs(versions).find(|&version| is_version(version)) {
                    self.version = version;
                }
                self.has_versions = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn read_sni(
        &mut self,
        mut body: Bytes<'_>,
        named: bool,
        odd: &mut impl FnMut(Oddity),
    ) -> Result<(), Oddity> {
        body.u16().ok_or(LENGTH)?;
        if body.u8().ok_or(LENGTH)? != 0 {
            return Err("tls.invalid_sni_type");
        }
        let len = usize::from(body.u16().ok_or(LENGTH)?);
        let name = body.take(len).filter(|_| len > 0 && len <= MOST_SNI);
        let name = name.ok_or("tls.invalid_sni_length")?;
        if named || self.sni.is_some() {
            odd("tls.multiple_sni_extensions");
        } else {
            self.sni = Some(name.to_vec());
        }
        Ok(())
    }

    /// Bytes that it holds.
    pub(crate) fn memory(&self) -> usize {
        let lists = self.ciphers.len() + self.extensions.len() + self.groups.len();
        let alpns: usize = self.alpns.iter().map(|alpn| alpn.len() + 24).sum();
        size_of::<Self>() + 2 * (lists + self.signatures.len()) + self.point_formats.len() + alpns
    }
}

fn pairs(bytes: &[u8]) -> impl Iterator<Item = u16> {
    let pairs = bytes.as_chunks::<2>().0.iter();
    pairs.map(|&pair| u16::from_be_bytes(pair))
}
