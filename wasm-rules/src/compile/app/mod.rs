//! Keywords of application layers and files.
//!
//! What chooses a buffer, and what compares one of a transaction's numbers, goes by the tables of
//! [`weir_engine::app`]; keywords with a form of their own have rooms here.

mod dcerpc;
mod files;
mod http;
mod protocol;
mod tls;
mod values;

use weir_engine::app::{self, AppBuffer, AppField, AppProto, AppSet, Ways};
use weir_engine::plan::{AppTest, Buffer, ProtocolTest};

use super::args;
use super::content;
use super::draft::{Draft, Latest, Target};
use super::names;
use crate::keywords::Keyword;
use crate::syntax::ast::{Place, Problem, RuleOption};
use dcerpc::{interface, opnum};
pub(super) use files::read_hashes;
use files::{Look, direction, filesize, filestore, hashes, text_in};
use http::{http2_settings, urilen};
use protocol::{event, protocol};
use tls::{ages, date, ssl_state, ssl_version, tls_version};
use values::{Names, YES_NO, bits, indexed, is_set, one_of};

/// Old modifiers of `content`, and the buffer that each moves its content to.
const MODIFIERS: [(&str, AppBuffer); 14] = [
    ("http_uri", AppBuffer::HttpUri),
    ("http_raw_uri", AppBuffer::HttpUriRaw),
    ("http_header", AppBuffer::HttpHeader),
    ("http_raw_header", AppBuffer::HttpHeaderRaw),
    ("http_method", AppBuffer::HttpMethod),
    ("http_cookie", AppBuffer::HttpCookie),
    ("http_user_agent", AppBuffer::HttpUserAgent),
    ("http_host", AppBuffer::HttpHost),
    ("http_raw_host", AppBuffer::HttpHostRaw),
    ("http_stat_code", AppBuffer::HttpStatCode),
    ("http_stat_msg", AppBuffer::HttpStatMsg),
    ("http_client_body", AppBuffer::HttpRequestBody),
    ("http_server_body", AppBuffer::HttpResponseBody),
    ("uricontent", AppBuffer::HttpUri),
];

/// A problem where nothing reads the protocols.
fn readable(protos: AppSet, name: &str, place: Place) -> Result<(), Problem> {
    if !protos
        .and(app::read_over(false).or(app::read_over(true)))
        .is_empty()
    {
        return Ok(());
    }
    let names: Vec<&str> = protos.iter().map(AppProto::name).collect();
    let message = format!(
        "`{name}` is not supported yet: it needs a parser for {}",
        names.join(", ")
    );
    Err(Problem::unsupported(place, name.to_owned(), message))
}

impl Draft<'_> {
    /// The rule concerns only flows of these protocols.
    pub(super) fn restrict(&mut self, protos: AppSet, place: Place) -> Result<(), Problem> {
        let both = match self.app.protos.is_empty() {
            true => protos,
            false => self.app.protos.and(protos),
        };
        if both.is_empty() {
            let message = "the rule's protocols and keywords have no application layer in common";
            return Err(Problem::syntax(place, message));
        }
        self.app.protos = both;
        Ok(())
    }

    /// A problem where a rule about request and answer does not say in which of them it looks for a buffer.
    pub(super) fn one_way(&self, buffer: AppBuffer, place: Place) -> Result<(), Problem> {
        if self.app.both_ways && buffer.ways() == Ways::Both && buffer != AppBuffer::FileData {
            let message = "in a transactional rule (`=>`) this buffer needs a direction: `to_server` or `to_client`";
            return Err(Problem::syntax(place, message));
        }
        Ok(())
    }

    fn protocol_test(&mut self, test: ProtocolTest) {
        self.app.protocols.push(test);
        self.latest = Some(Latest::Test);
    }

    fn app_test(&mut self, test: AppTest) {
        self.app.tests.push(test);
        self.latest = Some(Latest::Test);
    }
}

/// The keywords that choose a buffer of a transaction, and those that compare one of its numbers. `None` for other
/// keywords.
pub(super) fn of_table(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    keyword: &Keyword,
) -> Option<Result<(), Problem>> {
    let place = option.name.place;
    if let Some(&(_, buffer)) = MODIFIERS.iter().find(|(name, _)| *name == keyword.name) {
        return Some((|| {
            readable(buffer.protos(), keyword.name, place)?;
            draft.restrict(buffer.protos(), place)?;
            if keyword.name == "uricontent" {
                content::content(draft, option)?;
            } else {
                args::no_value(option)?;
            }
            draft.one_way(buffer, place)?;
            content::move_content(draft, option, Target::Buffer(Buffer::App(buffer)))
        })());
    }
    if let Some(buffer) = AppBuffer::named(keyword.name) {
        return Some((|| {
            readable(buffer.protos(), keyword.name, place)?;
            draft.restrict(buffer.protos(), place)?;
            let target = match &option.value {
                None => {
                    draft.one_way(buffer, place)?;
                    Buffer::App(buffer)
                }
                Some(_) if !draft.app.both_ways => {
                    let message = "a direction is for transactional rules (`=>`)";
                    return Err(Problem::syntax(place, message));
                }
                Some(value) => Buffer::AppOf(buffer, direction(&args::bare(value))?),
            };
            draft.select(Target::Buffer(target), place)
        })());
    }
    let names: Names<'_> = match keyword.name {
        "dns.rcode" => names::DNS_RCODES,
        "dns.rrtype" => names::DNS_TYPES,
        "mqtt.type" => names::MQTT_TYPES,
        "snmp.pdu_type" => names::SNMP_PDUS,
        "snmp.trap_type" => names::SNMP_TRAPS,
        "websocket.opcode" => names::WEBSOCKET_OPCODES,
        "rfb.secresult" => names::RFB_RESULTS,
        "http2.frametype" => names::HTTP2_FRAMES,
        "http2.errorcode" => names::HTTP2_ERRORS,
        // These have no names that rules use.
        "dns.opcode"
        | "ftp.dynamic_port"
        | "tls.cert_chain_len"
        | "smb.version"
        | "snmp.version"
        | "mqtt.protocol_version"
        | "mqtt.reason_code"
        | "krb5_msg_type"
        | "krb5_err_code"
        | "websocket.mask"
        | "rfb.sectype"
        | "http2.priority"
        | "http2.window"
        | "http2.size_update"
        | "dhcp.leasetime"
        | "dhcp.rebinding_time"
        | "dhcp.renewal_time" => &[],
        _ => return None,
    };
    let field = AppField::named(keyword.name)?;
    Some(indexed(draft, option, field, names))
}

/// The other keywords. `None` for those of other rooms.
pub(super) fn special(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    name: &str,
) -> Option<Result<(), Problem>> {
    Some(match name {
        "urilen" => urilen(draft, option),
        "app-layer-protocol" => protocol(draft, option),
        "app-layer-event" => event(draft, option),
        "filename" => text_in(draft, option, AppBuffer::FileName, Look::Anywhere),
        "fileext" => text_in(draft, option, AppBuffer::FileName, Look::Extension),
        "filemagic" => text_in(draft, option, AppBuffer::FileMagic, Look::Anywhere),
        "filesize" => filesize(draft, option),
        "filestore" => filestore(draft, option),
        "filemd5" => hashes(draft, option, AppBuffer::FileMd5, 16),
        "filesha1" => hashes(draft, option, AppBuffer::FileSha1, 20),
        "filesha256" => hashes(draft, option, AppBuffer::FileSha256, 32),
        "tls.version" => tls_version(draft, option),
        "ssl_version" => ssl_version(draft, option),
        "ssl_state" => ssl_state(draft, option),
        "tls.subject" => text_in(draft, option, AppBuffer::TlsCertSubject, Look::Exact),
        "tls.issuerdn" => text_in(draft, option, AppBuffer::TlsCertIssuer, Look::Exact),
        "tls.fingerprint" => text_in(draft, option, AppBuffer::TlsCertFingerprint, Look::Lower),
        "tls.store" => {
            args::no_value(option).and_then(|()| need(draft, option, AppBuffer::TlsCerts.protos()))
        }
        "tls_cert_notbefore" => date(draft, option, AppField::TlsCertNotBefore),
        "tls_cert_notafter" => date(draft, option, AppField::TlsCertNotAfter),
        "tls_cert_expired" => ages(draft, option, &[(AppField::TlsCertNotAfter, true)]),
        "tls_cert_valid" => ages(
            draft,
            option,
            &[
                (AppField::TlsCertNotAfter, false),
                (AppField::TlsCertNotBefore, true),
            ],
        ),
        "dcerpc.iface" => interface(draft, option),
        "dcerpc.opnum" => opnum(draft, option),
        "ftp.mode" => one_of(
            draft,
            option,
            AppField::FtpMode,
            &[("active", 1), ("passive", 2)],
        ),
        "ftpdata_command" => one_of(
            draft,
            option,
            AppField::FtpDataCommand,
            &[("retr", 1), ("stor", 2)],
        ),
        "ftp.reply_received" => one_of(draft, option, AppField::FtpReplyReceived, YES_NO),
        "ftpbounce" => is_set(draft, option, AppField::FtpBounce),
        "mqtt.qos" => one_of(
            draft,
            option,
            AppField::MqttQos,
            &[("0", 0), ("1", 1), ("2", 2)],
        ),
        "mqtt.connack.session_present" => {
            one_of(draft, option, AppField::MqttSessionPresent, YES_NO)
        }
        "mqtt.flags" => bits(
            draft,
            option,
            AppField::MqttFlags,
            &[("dup", 8), ("retain", 1)],
        ),
        "mqtt.connect.flags" => bits(
            draft,
            option,
            AppField::MqttConnectFlags,
            &[
                ("username", 0x80),
                ("password", 0x40),
                ("will", 4),
                ("will_retain", 0x20),
                ("clean_session", 2),
            ],
        ),
        "websocket.flags" => bits(
            draft,
            option,
            AppField::WebsocketFlags,
            &[("fin", 0x80), ("comp", 0x40)],
        ),
        "http2.settings" => http2_settings(draft, option),
        _ => return None,
    })
}

/// What the keyword needs of the flow.
fn need(draft: &mut Draft<'_>, option: &RuleOption, protos: AppSet) -> Result<(), Problem> {
    let name = &option.name;
    readable(protos, &name.value, name.place)?;
    draft.restrict(protos, name.place)
}
