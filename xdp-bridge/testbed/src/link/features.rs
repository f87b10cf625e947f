//! An interface's features and statistics, by ethtool's ioctl (`linux/ethtool.h`): offloads on and off, and what the
//! driver counts, by the kernel's names.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketType, socket};

use crate::BedError;

const GSTRINGS: u32 = 0x1b;
const GSTATS: u32 = 0x1d;
const GSSET_INFO: u32 = 0x37;
const GFEATURES: u32 = 0x3a;
const SFEATURES: u32 = 0x3b;
/// The set of strings that names the statistics.
const SS_STATS: u32 = 1;
/// The set of strings that names the features.
const SS_FEATURES: u32 = 4;
/// Bytes of a name.
const NAME: usize = 32;

/// What an interface may leave to the one at the far end.
///
/// A frame that crosses a veth with such a thing left undone has a wrong checksum, is larger than the MTU, or has its
/// VLAN tag beside it: an XDP program sees none of that put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offloads {
    /// Checksums of frames that are sent.
    pub tx_checksum: bool,
    /// Checksums of frames that are received.
    pub rx_checksum: bool,
    /// Cutting TCP into segments (TSO); needs `tx_checksum`.
    pub tso: bool,
    /// Cutting late, below the stack (GSO), UDP's included.
    pub gso: bool,
    /// Joining segments that are received (GRO). On a veth it also turns on polling and the ring, without which frames
    /// that an XDP program redirects to its peer are lost.
    pub gro: bool,
    /// VLAN tags beside the frame rather than in it, both directions.
    pub vlan: bool,
}

impl Offloads {
    /// Everything as it is on a wire.
    pub const NONE: Self = Self {
        tx_checksum: false,
        rx_checksum: false,
        tso: false,
        gso: false,
        gro: false,
        vlan: false,
    };
    /// As veth pairs are made by default, but with GRO.
    pub const ALL: Self = Self {
        tx_checksum: true,
        rx_checksum: true,
        tso: true,
        gso: true,
        gro: true,
        vlan: true,
    };

    /// By the kernel's names.
    pub(crate) fn features(self) -> Vec<(&'static str, bool)> {
        let groups: [(bool, &[&'static str]); 6] = [
            (
                self.tx_checksum,
                &["tx-checksum-ip-generic", "tx-checksum-sctp"],
            ),
            (self.rx_checksum, &["rx-checksum"]),
            (
                self.tso,
                &[
                    "tx-tcp-segmentation",
                    "tx-tcp-ecn-segmentation",
                    "tx-tcp-mangleid-segmentation",
                    "tx-tcp6-segmentation",
                ],
            ),
            (
                self.gso,
                &["tx-generic-segmentation", "tx-udp-segmentation"],
            ),
            (self.gro, &["rx-gro"]),
            (
                self.vlan,
                &[
                    "tx-vlan-hw-insert",
                    "rx-vlan-hw-parse",
                    "tx-vlan-stag-hw-insert",
                    "rx-vlan-stag-hw-parse",
                ],
            ),
        ];
        groups
            .into_iter()
            .flat_map(|(on, names)| names.iter().map(move |name| (*name, on)))
            .collect()
    }
}

/// The features of one interface.
pub(crate) struct Features {
    socket: OwnedFd,
    interface: String,
    names: Vec<String>,
}

impl Features {
    /// Of an interface in this thread's namespace.
    pub fn open(interface: &str) -> Result<Self, BedError> {
        let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)
            .map_err(BedError::system("opening a socket"))?;
        let mut features = Self {
            socket,
            interface: interface.to_owned(),
            names: Vec::new(),
        };
        features.names = features
            .strings(SS_FEATURES)
            .map_err(BedError::system(format!(
                "reading the features of {interface}"
            )))?;
        Ok(features)
    }

    /// What the driver counts.
    pub fn statistics(&self) -> Result<Vec<(String, u64)>, BedError> {
        let read = || -> io::Result<Vec<(String, u64)>> {
            let names = self.strings(SS_STATS)?;
            let mut buffer = vec![0_u32; 2 + 2 * names.len()];
            buffer[..2].copy_from_slice(&[GSTATS, u32::try_from(names.len()).unwrap_or(0)]);
            // SAFETY: there is room for as many numbers as there are names.
            unsafe { self.ethtool(&mut buffer) }?;
            let values = buffer[2..].chunks_exact(2).map(|pair| {
                let ([a, b, c, d], [e, f, g, h]) = (pair[0].to_ne_bytes(), pair[1].to_ne_bytes());
                u64::from_ne_bytes([a, b, c, d, e, f, g, h])
            });
            Ok(names.into_iter().zip(values).collect())
        };
        let what = format!("reading the statistics of {}", self.interface);
        read().map_err(BedError::system(what))
    }

    /// Whether a feature is on.
    pub fn get(&self, name: &str) -> Result<bool, BedError> {
        let bit = self.bit(name)?;
        let active = self.active().map_err(BedError::system(format!(
            "reading the features of {}",
            self.interface
        )))?;
        Ok(is_set(&active, bit))
    }

    /// Turns features on and off, all at once, and looks whether they followed.
    pub fn set(&self, wanted: &[(&str, bool)]) -> Result<(), BedError> {
        let what = || format!("setting features of {}", self.interface);
        let blocks = self.names.len().div_ceil(32);
        let mut buffer = vec![0_u32; 2 + 2 * blocks];
        buffer[..2].copy_from_slice(&[SFEATURES, u32::try_from(blocks).unwrap_or(0)]);
        for &(name, on) in wanted {
            let bit = self.bit(name)?;
            // Each block is a pair: which are meant, and what is asked for.
            let place = 2 + 2 * (bit / 32);
            buffer[place] |= 1 << (bit % 32);
            buffer[place + 1] |= u32::from(on) << (bit % 32);
        }
        // SAFETY: as many pairs follow the header as it says.
        unsafe { self.ethtool(&mut buffer) }.map_err(BedError::system(what()))?;
        let active = self.active().map_err(BedError::system(what()))?;
        for &(name, on) in wanted {
            if is_set(&active, self.bit(name)?) != on {
                return Err(BedError::Invalid(format!(
                    "{} keeps {name} {}: the interface cannot change it, or another feature forbids it",
                    self.interface,
                    if on { "off" } else { "on" }
                )));
            }
        }
        Ok(())
    }

    fn bit(&self, name: &str) -> Result<usize, BedError> {
        self.names
            .iter()
            .position(|other| other == name)
            .ok_or_else(|| {
                BedError::Invalid(format!(
                    "this kernel knows no feature {name} (of {})",
                    self.interface
                ))
            })
    }

    fn strings(&self, set: u32) -> io::Result<Vec<String>> {
        // Command, reserved, a mask of 64 bits, and the count of strings of the one set that was asked for.
        let mut count = [GSSET_INFO, 0, 0, 0, 0];
        let mask = (1_u64 << set).to_ne_bytes();
        for (word, bytes) in count[2..4].iter_mut().zip(mask.chunks_exact(4)) {
            *word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        // SAFETY: there is room for the one count that the mask asks for.
        unsafe { self.ethtool(&mut count) }?;
        let names = count[4].min(1024);
        let mut buffer = vec![0_u32; 3 + names as usize * (NAME / 4)];
        buffer[..3].copy_from_slice(&[GSTRINGS, set, names]);
        // SAFETY: there is room for as many names as the set has.
        unsafe { self.ethtool(&mut buffer) }?;
        let text: Vec<u8> = buffer[3..]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        let name = |raw: &[u8]| {
            let end = raw.iter().position(|&byte| byte == 0).unwrap_or(raw.len());
            String::from_utf8_lossy(raw.get(..end).unwrap_or_default()).into_owned()
        };
        Ok(text.chunks_exact(NAME).map(name).collect())
    }

    /// The features that are on, 32 in a word.
    fn active(&self) -> io::Result<Vec<u32>> {
        let blocks = self.names.len().div_ceil(32);
        let mut buffer = vec![0_u32; 2 + 4 * blocks];
        buffer[..2].copy_from_slice(&[GFEATURES, u32::try_from(blocks).unwrap_or(0)]);
        // SAFETY: there is room for as many blocks as the header says.
        unsafe { self.ethtool(&mut buffer) }?;
        // A block: available, requested, active, never changed.
        Ok(buffer[2..].chunks_exact(4).map(|block| block[2]).collect())
    }

    /// One command of ethtool's; `buffer` begins with its number.
    ///
    /// # Safety
    /// `buffer` has room for all that the kernel answers to the command in it.
    unsafe fn ethtool(&self, buffer: &mut [u32]) -> io::Result<()> {
        // SAFETY: all zero is a value of this plain C structure.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // The last byte stays zero.
        let room = request.ifr_name.len() - 1;
        for (to, from) in request.ifr_name[..room]
            .iter_mut()
            .zip(self.interface.bytes())
        {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_data = buffer.as_mut_ptr().cast();
        // SAFETY: the request names a buffer that is ours for the time of the call, and long enough as promised.
        let answer = unsafe {
            libc::ioctl(
                self.socket.as_raw_fd(),
                libc::SIOCETHTOOL as _,
                &raw mut request,
            )
        };
        if answer < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

fn is_set(words: &[u32], bit: usize) -> bool {
    words
        .get(bit / 32)
        .is_some_and(|word| word >> (bit % 32) & 1 == 1)
}
