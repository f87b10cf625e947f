//! What rules and records show of a certificate (RFC 5280).

use std::net::IpAddr;

use sha1::{Digest, Sha1};
use x509_parser::error::X509Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::app::text::hex;

/// Most alternative names of a certificate.
pub(super) const MOST_NAMES: usize = 4096;

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cert {
    /// `C=DE, O=Example, CN=www.example.org`.
    pub(super) subject: String,
    pub(super) issuer: String,
    /// `0A:1B:…`.
    pub(super) serial: String,
    /// SHA-1, `0a:1b:…`.
    pub(super) fingerprint: String,
    pub(super) names: Vec<String>,
    /// Seconds since the Unix epoch.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

impl Cert {
    /// Reads a certificate; the error is the event.
    pub(super) fn read(der: &[u8]) -> Result<Self, &'static str> {
        let (_, cert) = X509Certificate::from_der(der).map_err(event)?;
        let serial = cert.raw_serial();
        let mut digits = hex(serial, ":");
        digits.make_ascii_uppercase();
        let alternatives = cert.subject_alternative_name().ok().flatten();
        let alternatives = alternatives.map(|extension| &extension.value.general_names);
        let names = alternatives.into_iter().flatten().filter_map(name);
        let validity = cert.validity();
        Ok(Self {
            subject: cert.subject().to_string(),
            issuer: cert.issuer().to_string(),
            serial: digits,
            fingerprint: hex(&Sha1::digest(der), ":"),
            names: names.take(MOST_NAMES).collect(),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
        })
    }

    /// Bytes that it holds.
    pub(super) fn memory(&self) -> usize {
        let names: usize = self.names.iter().map(|name| name.len() + 24).sum();
        size_of::<Self>() + self.subject.len() + self.issuer.len() + self.serial.len() + 60 + names
    }
}

/// An alternative name as text: those that are text, and addresses.
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            Some((*name).to_owned())
        }
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            v4.or(v6).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

fn event(error: x509_parser::nom::Err<X509Error>) -> &'static str {
    use x509_parser::nom::Err;
    match error {
        Err::Incomplete(_) => "tls.certificate_invalid_length",
        Err::Error(error) | Err::Failure(error) => match error {
            X509Error::InvalidVersion => "tls.certificate_invalid_version",
            X509Error::InvalidSerial => "tls.certificate_invalid_serial",
            X509Error::InvalidAlgorithmIdentifier => "tls.certificate_invalid_algorithmidentifier",
            X509Error::InvalidX509Name => "tls.certificate_invalid_x509name",
            X509Error::InvalidDate => "tls.certificate_invalid_date",
            X509Error::InvalidExtensions => "tls.certificate_invalid_extensions",
            X509Error::Der(_) => "tls.certificate_invalid_der",
            _ => "tls.invalid_certificate",
        },
    }
}
