//! `[eve]`: which records are written.

use std::collections::BTreeSet;

use clap::ValueEnum;

use super::ConfigError;
use super::read::Section;

/// Types of EVE records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum EveType {
    /// A rule matched
    Alert,
    /// A flow ended
    Flow,
    /// A packet of a flow or host that a rule has tagged
    Packet,
    /// What has been counted, from time to time and at the end
    Stats,
    /// HTTP/1 and HTTP/2 transactions
    Http,
    /// DNS requests and responses
    Dns,
    /// Multicast DNS messages
    Mdns,
    /// TLS handshakes
    Tls,
    /// QUIC handshakes
    Quic,
    /// SSH banners and offers
    Ssh,
    /// Mails, with their headers
    Smtp,
    /// FTP commands with their replies
    Ftp,
    /// FTP data connections
    #[value(name = "ftp_data")]
    FtpData,
    /// SMB transactions
    Smb,
    /// DCE/RPC calls
    Dcerpc,
    /// SIP messages
    Sip,
    /// MQTT messages
    Mqtt,
    /// SNMP messages
    Snmp,
    /// Kerberos messages
    Krb5,
    /// WebSocket messages
    Websocket,
    /// RFB handshakes
    Rfb,
    /// DHCP messages
    Dhcp,
    /// Files that HTTP, mail, FTP or SMB carried
    Fileinfo,
    /// A rule module failed, or is not asked any more
    Module,
}

/// Types by name.
const TYPES: [(&str, EveType); 24] = [
    ("alert", EveType::Alert),
    ("flow", EveType::Flow),
    ("packet", EveType::Packet),
    ("stats", EveType::Stats),
    ("http", EveType::Http),
    ("dns", EveType::Dns),
    ("mdns", EveType::Mdns),
    ("tls", EveType::Tls),
    ("quic", EveType::Quic),
    ("ssh", EveType::Ssh),
    ("smtp", EveType::Smtp),
    ("ftp", EveType::Ftp),
    ("ftp_data", EveType::FtpData),
    ("smb", EveType::Smb),
    ("dcerpc", EveType::Dcerpc),
    ("sip", EveType::Sip),
    ("mqtt", EveType::Mqtt),
    ("snmp", EveType::Snmp),
    ("krb5", EveType::Krb5),
    ("websocket", EveType::Websocket),
    ("rfb", EveType::Rfb),
    ("dhcp", EveType::Dhcp),
    ("fileinfo", EveType::Fileinfo),
    ("module", EveType::Module),
];

/// What `[eve]` says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EveSection {
    /// `types`
    pub types: Option<BTreeSet<EveType>>,
    /// `stats-interval`, in seconds.
    pub stats_interval: Option<usize>,
}

impl EveSection {
    /// Reads the table.
    pub fn read(eve: &Section<'_, '_>) -> Result<Self, ConfigError> {
        eve.only(&["types", "stats-interval"])?;
        Ok(Self {
            types: eve
                .choices("types", &TYPES)?
                .map(|types| types.into_iter().collect()),
            stats_interval: eve.number("stats-interval", 1, 86_400)?,
        })
    }

    /// The records of application layers that are to be written, by their names.
    pub fn app_records(&self) -> Vec<&'static str> {
        let packets = [
            EveType::Alert,
            EveType::Flow,
            EveType::Packet,
            EveType::Stats,
            EveType::Module,
        ];
        let of_apps = TYPES.iter().filter(|(_, kind)| !packets.contains(kind));
        of_apps
            .filter(|(_, kind)| self.wants(*kind))
            .map(|&(name, _)| name)
            .collect()
    }

    /// True for a type of records that is to be written: the alerts, unless others are named.
    pub fn wants(&self, kind: EveType) -> bool {
        match &self.types {
            Some(types) => types.contains(&kind),
            None => kind == EveType::Alert,
        }
    }
}
