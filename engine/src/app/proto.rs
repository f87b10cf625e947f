//! Application protocols, by Suricata's names.

use serde::{Deserialize, Serialize};

macro_rules! protocols {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// An application protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum AppProto {
            $($(#[$doc])* #[doc = concat!("`", $name, "`")] $variant),*
        }

        impl AppProto {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Suricata's name, as rules and EVE have it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }
        }
    };
}

protocols! {
    Http1 = "http",
    Http2 = "http2",
    /// HTTP/2 that carries DNS.
    Doh2 = "doh2",
    Dns = "dns",
    Mdns = "mdns",
    Tls = "tls",
    Quic = "quic",
    Ssh = "ssh",
    Smtp = "smtp",
    Imap = "imap",
    Pop3 = "pop3",
    Ftp = "ftp",
    FtpData = "ftp-data",
    Smb = "smb",
    DceRpc = "dcerpc",
    Sip = "sip",
    Mqtt = "mqtt",
    Snmp = "snmp",
    Krb5 = "krb5",
    Ntp = "ntp",
    Dhcp = "dhcp",
    Tftp = "tftp",
    Rdp = "rdp",
    Rfb = "rfb",
    Telnet = "telnet",
    Websocket = "websocket",
    Irc = "irc",
    Nfs = "nfs",
    Ldap = "ldap",
    Pgsql = "pgsql",
    Ike = "ike",
    Modbus = "modbus",
    Dnp3 = "dnp3",
    Enip = "enip",
    BittorrentDht = "bittorrent-dht",
    /// Looked at, and none that is known: a rule can ask for it with `app-layer-protocol:failed`.
    Failed = "failed",
}

/// Protocols, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AppSet(u64);

impl AppSet {
    /// No protocol.
    pub const EMPTY: Self = Self(0);

    /// These protocols.
    pub const fn of(protos: &[AppProto]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < protos.len() {
            bits |= 1 << protos[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// The same, and where HTTP/2 or DNS is one of them, HTTP/2 that carries DNS.
    pub const fn with_carriers(self) -> Self {
        if self.has(AppProto::Http2) || self.has(AppProto::Dns) {
            Self(self.0 | 1 << AppProto::Doh2 as u8)
        } else {
            self
        }
    }

    /// True when the protocol is one of them.
    #[inline]
    pub const fn has(self, proto: AppProto) -> bool {
        self.0 >> proto as u8 & 1 == 1
    }

    /// True when there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The protocols that a name in a rule stands for: `http` is HTTP of any version, and DCE/RPC travels over SMB, too.
    /// `None` for a name that is none.
    pub fn named(name: &str) -> Option<Self> {
        use AppProto::{DceRpc, Dns, Doh2, Http1, Http2, Mdns, Smb, Tls};
        Some(match name {
            "http" => Self::of(&[Http1, Http2, Doh2]),
            "http1" => Self::of(&[Http1]),
            "http2" => Self::of(&[Http2, Doh2]),
            "dns" => Self::of(&[Dns, Doh2]),
            "mdns" => Self::of(&[Mdns]),
            "tls" | "ssl" => Self::of(&[Tls]),
            "dcerpc" => Self::of(&[DceRpc, Smb]),
            _ => {
                let is_it = |proto: &&AppProto| proto.name() == name;
                Self::of(&[*AppProto::ALL.iter().find(is_it)?])
            }
        })
    }

    /// The protocols in it.
    pub fn iter(self) -> impl Iterator<Item = AppProto> {
        AppProto::ALL
            .iter()
            .copied()
            .filter(move |&proto| self.has(proto))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        assert!(AppProto::ALL.len() <= 64, "a set has 64 bits");
        for &proto in AppProto::ALL {
            let set = AppSet::named(proto.name()).expect("a name");
            assert!(set.has(proto), "{}", proto.name());
            assert!(AppSet::of(&[proto]).iter().eq([proto]));
        }
        assert_eq!(AppSet::named("nothing"), None);
        let http = AppSet::named("http").expect("http");
        assert!(http.has(AppProto::Http2) && !http.has(AppProto::Dns));
    }
}
