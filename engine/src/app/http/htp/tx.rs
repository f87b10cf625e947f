//! Transactions of htp's, as they are to look at.

use std::ffi::CStr;

use suricata_htp::bstr::Bstr;
use suricata_htp::c_api::bstr::{bstr_len, bstr_ptr};
use suricata_htp::c_api::header::*;
use suricata_htp::c_api::transaction::*;
use suricata_htp::c_api::uri::{htp_uri_hostname, htp_uri_path};
use suricata_htp::request::HtpMethod;
use suricata_htp::transaction::{
    Header, Headers, HtpAuthType, HtpProtocol, HtpRequestProgress, HtpResponseProgress, Transaction,
};

use crate::app::{Way, level};

/// A transaction of htp's.
#[derive(Clone, Copy)]
pub(in crate::app::http) struct Tx<'a>(pub(super) &'a Transaction);

fn bytes(_: &Transaction, text: *const Bstr) -> Option<&[u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: htp gave it for a part of the transaction, which is borrowed as long as they are and is not changed meanwhile.
    Some(unsafe { std::slice::from_raw_parts(bstr_ptr(text), bstr_len(text)) })
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $get:ident;)*) => {
        $($(#[$doc])* pub(in crate::app::http) fn $name(self) -> Option<&'a [u8]> {
            // SAFETY: a transaction that lives.
            bytes(self.0, unsafe { $get(self.0) })
        })*
    };
}

impl<'a> Tx<'a> {
    texts! {
        /// The first line of the request, without its end.
        request_line = htp_tx_request_line;
        method = htp_tx_request_method;
        /// The URI as it was sent.
        uri = htp_tx_request_uri;
        /// Path, query and fragment, decoded.
        uri_normal = htp_tx_normalized_uri;
        request_protocol = htp_tx_request_protocol;
        /// In lower case, without a port.
        hostname = htp_tx_request_hostname;
        response_line = htp_tx_response_line;
        response_protocol = htp_tx_response_protocol;
        status = htp_tx_response_status;
        message = htp_tx_response_message;
    }

    /// Its number on the connection.
    pub(in crate::app::http) fn number(self) -> usize {
        // SAFETY: a transaction that lives, here and below.
        unsafe { htp_tx_index(self.0) }
    }

    /// The decoded path.
    pub(in crate::app::http) fn path(self) -> Option<&'a [u8]> {
        // SAFETY: as above; the URI is part of the transaction, and may be null.
        bytes(self.0, unsafe { htp_uri_path(htp_tx_parsed_uri(self.0)) })
    }

    /// The host in the URI.
    pub(in crate::app::http) fn uri_host(self) -> Option<&'a [u8]> {
        // SAFETY: as above.
        bytes(self.0, unsafe {
            htp_uri_hostname(htp_tx_parsed_uri(self.0))
        })
    }

    /// The port that the client asked for.
    pub(in crate::app::http) fn port(self) -> Option<u16> {
        // SAFETY: as above.
        u16::try_from(unsafe { htp_tx_request_port_number(self.0) }).ok()
    }

    /// The status as a number, where it is one.
    pub(in crate::app::http) fn status_number(self) -> Option<u32> {
        // SAFETY: as above.
        let number = unsafe { htp_tx_response_status_number(self.0) };
        u32::try_from(number).ok().filter(|&number| number > 0)
    }

    /// Bytes of the response's body on the wire.
    pub(in crate::app::http) fn response_len(self) -> u64 {
        // SAFETY: as above.
        u64::try_from(unsafe { htp_tx_response_message_len(self.0) }).unwrap_or(0)
    }

    /// Which method it is.
    pub(in crate::app::http) fn method_number(self) -> HtpMethod {
        // SAFETY: as above.
        unsafe { htp_tx_request_method_number(self.0) }
    }

    /// The version that the request names.
    pub(in crate::app::http) fn protocol_number(self) -> HtpProtocol {
        // SAFETY: as above.
        unsafe { htp_tx_request_protocol_number(self.0) }
    }

    /// How the client says who it is.
    pub(in crate::app::http) fn auth(self) -> HtpAuthType {
        // SAFETY: as above.
        unsafe { htp_tx_request_auth_type(self.0) }
    }

    /// No version was named: there are no headers, and the response is a body alone.
    pub(in crate::app::http) fn is_0_9(self) -> bool {
        // SAFETY: as above.
        unsafe { htp_tx_is_protocol_0_9(self.0) != 0 }
    }

    /// `HtpFlags`.
    pub(in crate::app::http) fn flags(self) -> u64 {
        // SAFETY: as above.
        unsafe { htp_tx_flags(self.0) }
    }

    /// How far a direction has come ([`level`]).
    pub(in crate::app::http) fn level(self, way: Way) -> u8 {
        // SAFETY: as above.
        let (request, response) = unsafe {
            (
                htp_tx_request_progress(self.0),
                htp_tx_response_progress(self.0),
            )
        };
        match way {
            Way::ToServer => match request {
                HtpRequestProgress::HEADERS => level::START,
                HtpRequestProgress::BODY => level::HEAD,
                HtpRequestProgress::TRAILER => level::BODY,
                HtpRequestProgress::COMPLETE => level::DONE,
                _ => level::BEGUN,
            },
            Way::ToClient => match response {
                HtpResponseProgress::HEADERS => level::START,
                HtpResponseProgress::BODY => level::HEAD,
                HtpResponseProgress::TRAILER => level::BODY,
                HtpResponseProgress::COMPLETE => level::DONE,
                _ => level::BEGUN,
            },
        }
    }

    /// The request is complete and nothing of a response has come.
    pub(in crate::app::http) fn is_unanswered(self) -> bool {
        // SAFETY: as above.
        let response = unsafe { htp_tx_response_progress(self.0) };
        self.level(Way::ToServer) == level::DONE && response == HtpResponseProgress::NOT_STARTED
    }

    fn table(self, way: Way) -> *const Headers {
        // SAFETY: as above.
        unsafe {
            match way {
                Way::ToServer => htp_tx_request_headers(self.0),
                Way::ToClient => htp_tx_response_headers(self.0),
            }
        }
    }

    /// The value of a header; values of several are one, with ", " between them.
    pub(in crate::app::http) fn header(self, way: Way, name: &CStr) -> Option<&'a [u8]> {
        // SAFETY: the table is part of the transaction; the name ends with a zero.
        let header = unsafe { htp_headers_get(self.table(way), name.as_ptr()) };
        self.pair(header).map(|(_, value)| value)
    }

    /// Headers in order: names and values.
    pub(in crate::app::http) fn headers(
        self,
        way: Way,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let table = self.table(way);
        (0..).map_while(move |at| {
            // SAFETY: the table is part of the transaction; past its end it gives null.
            self.pair(unsafe { htp_headers_get_index(table, at) })
        })
    }

    fn pair(self, header: *const Header) -> Option<(&'a [u8], &'a [u8])> {
        if header.is_null() {
            return None;
        }
        // SAFETY: not null, and part of the transaction.
        let (name, value) = unsafe { (htp_header_name(header), htp_header_value(header)) };
        Some((bytes(self.0, name)?, bytes(self.0, value)?))
    }
}
