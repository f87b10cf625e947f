//! What rules can look at in a transaction: buffers of bytes, and numbers.
//!
//! Every buffer says which protocols have it, in which direction, and how far the transaction must have come in that
//! direction before it is complete ([`level`]). This table is all that rules, matcher groups and parsers have in common.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::proto::AppProto;
use super::proto::AppSet;

/// How far one direction of a transaction has come. A parser raises it step by step; what a step completes can be
/// inspected from then on.
pub mod level {
    /// It has begun: nothing is complete but what needs nothing.
    pub const BEGUN: u8 = 0;
    /// The first line, or the first message: an HTTP request or status line, a TLS hello, an SSH banner, a command.
    pub const START: u8 = 1;
    /// Headers, or certificates, or the key exchange.
    pub const HEAD: u8 = 2;
    /// The body: files, mails, HTTP bodies.
    pub const BODY: u8 = 3;
    /// All of it.
    pub const DONE: u8 = 4;
}

use level::{BODY, DONE, HEAD, START};

/// In which directions something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// To the server.
    ToServer,
    /// To the client.
    ToClient,
    /// Each direction has its own.
    Both,
}

impl Ways {
    /// True when it is there in this direction: 0 to the server, 1 to the client.
    pub fn has(self, way: usize) -> bool {
        match self {
            Self::ToServer => way == 0,
            Self::ToClient => way != 0,
            Self::Both => true,
        }
    }
}

macro_rules! table {
    ($(#[$doc:meta])* $kind:ident: $($variant:ident = $name:literal, [$($proto:ident),+], $ways:ident, $level:ident;)*) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum $kind {
            $(#[doc = concat!("`", $name, "`")] $variant),*
        }

        impl $kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The keyword; in brackets where rules have none.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }

            /// The protocols that have it.
            pub fn protos(self) -> AppSet {
                match self {
                    $(Self::$variant => const { AppSet::of(&[$(AppProto::$proto),+]).with_carriers() }),*
                }
            }

            /// In which directions.
            pub fn ways(self) -> Ways {
                match self {
                    $(Self::$variant => Ways::$ways),*
                }
            }

            /// From which [`level`] on it is complete.
            pub fn level(self) -> u8 {
                match self {
                    $(Self::$variant => $level),*
                }
            }

            /// The one that a keyword names.
            pub fn named(name: &str) -> Option<Self> {
                static NAMED: LazyLock<HashMap<&str, $kind>> =
                    LazyLock::new(|| $kind::ALL.iter().map(|of| (of.name(), *of)).collect());
                NAMED.get(name).copied()
            }
        }
    };
}

table! {
    /// Bytes of a transaction. A transaction can have several of a kind, and then any of them may satisfy a rule.
    AppBuffer:
    HttpUri = "http.uri", [Http1, Http2], ToServer, START;
    HttpUriRaw = "http.uri.raw", [Http1, Http2], ToServer, START;
    HttpMethod = "http.method", [Http1, Http2], ToServer, START;
    HttpProtocol = "http.protocol", [Http1, Http2], Both, START;
    HttpRequestLine = "http.request_line", [Http1, Http2], ToServer, START;
    HttpHeader = "http.header", [Http1, Http2], Both, HEAD;
    HttpHeaderRaw = "http.header.raw", [Http1, Http2], Both, HEAD;
    HttpCookie = "http.cookie", [Http1, Http2], Both, HEAD;
    HttpUserAgent = "http.user_agent", [Http1, Http2], ToServer, HEAD;
    HttpHost = "http.host", [Http1, Http2], ToServer, HEAD;
    HttpHostRaw = "http.host.raw", [Http1, Http2], ToServer, HEAD;
    HttpRequestHeader = "http.request_header", [Http1, Http2], ToServer, HEAD;
    HttpAccept = "http.accept", [Http1, Http2], ToServer, HEAD;
    HttpAcceptEnc = "http.accept_enc", [Http1, Http2], ToServer, HEAD;
    HttpAcceptLang = "http.accept_lang", [Http1, Http2], ToServer, HEAD;
    HttpReferer = "http.referer", [Http1, Http2], ToServer, HEAD;
    HttpConnection = "http.connection", [Http1, Http2], Both, HEAD;
    HttpContentLen = "http.content_len", [Http1, Http2], Both, HEAD;
    HttpContentType = "http.content_type", [Http1, Http2], Both, HEAD;
    HttpHeaderNames = "http.header_names", [Http1, Http2], Both, HEAD;
    HttpStart = "http.start", [Http1, Http2], Both, HEAD;
    HttpRequestBody = "http.request_body", [Http1, Http2], ToServer, BODY;
    HttpResponseLine = "http.response_line", [Http1, Http2], ToClient, START;
    HttpStatCode = "http.stat_code", [Http1, Http2], ToClient, START;
    HttpStatMsg = "http.stat_msg", [Http1, Http2], ToClient, START;
    HttpResponseHeader = "http.response_header", [Http1, Http2], ToClient, HEAD;
    HttpLocation = "http.location", [Http1, Http2], ToClient, HEAD;
    HttpServer = "http.server", [Http1, Http2], ToClient, HEAD;
    HttpResponseBody = "http.response_body", [Http1, Http2], ToClient, BODY;
    Http2HeaderName = "http2.header_name", [Http2], Both, HEAD;
    FileData = "file.data", [Http1, Http2, Smtp, FtpData, Smb, Nfs], Both, BODY;
    FileName = "file.name", [Http1, Http2, Smtp, FtpData, Smb, Nfs], Both, BODY;
    FileMagic = "file.magic", [Http1, Http2, Smtp, FtpData, Smb, Nfs], Both, BODY;
    FileMd5 = "(file md5)", [Http1, Http2, Smtp, FtpData, Smb, Nfs], Both, DONE;
    FileSha1 = "(file sha1)", [Http1, Http2, Smtp, FtpData, Smb, Nfs], Both, DONE;
    FileSha256 = "(file sha256)", [Http1, Http2, Smtp, FtpData, Smb, Nfs], Both, DONE;
    DnsQuery = "dns.query", [Dns], ToServer, DONE;
    DnsQueriesRrname = "dns.queries.rrname", [Dns], Both, DONE;
    DnsAnswersRrname = "dns.answers.rrname", [Dns], Both, DONE;
    DnsAuthoritiesRrname = "dns.authorities.rrname", [Dns], Both, DONE;
    DnsAdditionalsRrname = "dns.additionals.rrname", [Dns], Both, DONE;
    DnsResponseRrname = "dns.response.rrname", [Dns], ToClient, DONE;
    MdnsQueriesRrname = "mdns.queries.rrname", [Mdns], Both, DONE;
    MdnsAnswersRrname = "mdns.answers.rrname", [Mdns], Both, DONE;
    MdnsAuthoritiesRrname = "mdns.authorities.rrname", [Mdns], Both, DONE;
    MdnsAdditionalsRrname = "mdns.additionals.rrname", [Mdns], Both, DONE;
    MdnsResponseRrname = "mdns.response.rrname", [Mdns], Both, DONE;
    TlsSni = "tls.sni", [Tls], ToServer, START;
    TlsAlpn = "tls.alpn", [Tls], Both, START;
    TlsRandom = "tls.random", [Tls], Both, START;
    TlsRandomTime = "tls.random_time", [Tls], Both, START;
    TlsRandomBytes = "tls.random_bytes", [Tls], Both, START;
    TlsCertSubject = "tls.cert_subject", [Tls], Both, HEAD;
    TlsCertIssuer = "tls.cert_issuer", [Tls], Both, HEAD;
    TlsCertSerial = "tls.cert_serial", [Tls], Both, HEAD;
    TlsCertFingerprint = "tls.cert_fingerprint", [Tls], Both, HEAD;
    TlsCerts = "tls.certs", [Tls], Both, HEAD;
    TlsSubjectAltName = "tls.subjectaltname", [Tls], ToClient, HEAD;
    Ja3Hash = "ja3.hash", [Tls, Quic], ToServer, START;
    Ja3String = "ja3.string", [Tls, Quic], ToServer, START;
    Ja3sHash = "ja3s.hash", [Tls, Quic], ToClient, START;
    Ja3sString = "ja3s.string", [Tls, Quic], ToClient, START;
    Ja4Hash = "ja4.hash", [Tls, Quic], ToServer, START;
    SshProto = "ssh.proto", [Ssh], Both, START;
    SshSoftware = "ssh.software", [Ssh], Both, START;
    SshHassh = "ssh.hassh", [Ssh], ToServer, HEAD;
    SshHasshString = "ssh.hassh.string", [Ssh], ToServer, HEAD;
    SshHasshServer = "ssh.hassh.server", [Ssh], ToClient, HEAD;
    SshHasshServerString = "ssh.hassh.server.string", [Ssh], ToClient, HEAD;
    SmtpHelo = "smtp.helo", [Smtp], ToServer, START;
    SmtpMailFrom = "smtp.mail_from", [Smtp], ToServer, START;
    SmtpRcptTo = "smtp.rcpt_to", [Smtp], ToServer, START;
    EmailFrom = "email.from", [Smtp], ToServer, HEAD;
    EmailSubject = "email.subject", [Smtp], ToServer, HEAD;
    EmailTo = "email.to", [Smtp], ToServer, HEAD;
    EmailCc = "email.cc", [Smtp], ToServer, HEAD;
    EmailDate = "email.date", [Smtp], ToServer, HEAD;
    EmailMessageId = "email.message_id", [Smtp], ToServer, HEAD;
    EmailXMailer = "email.x_mailer", [Smtp], ToServer, HEAD;
    EmailUrl = "email.url", [Smtp], ToServer, BODY;
    EmailReceived = "email.received", [Smtp], ToServer, HEAD;
    EmailBodyMd5 = "email.body_md5", [Smtp], ToServer, BODY;
    FtpCommand = "ftp.command", [Ftp], ToServer, START;
    FtpCommandData = "ftp.command_data", [Ftp], ToServer, START;
    FtpCompletionCode = "ftp.completion_code", [Ftp], ToClient, DONE;
    FtpReply = "ftp.reply", [Ftp], ToClient, DONE;
    SmbNamedPipe = "smb.named_pipe", [Smb], ToServer, DONE;
    SmbShare = "smb.share", [Smb], ToServer, START;
    SmbNtlmsspUser = "smb.ntlmssp_user", [Smb], ToServer, START;
    SmbNtlmsspDomain = "smb.ntlmssp_domain", [Smb], ToServer, START;
    DceStubData = "dcerpc.stub_data", [DceRpc, Smb], Both, DONE;
    // 16 bytes of interface (as they are written in rules), two of version (big endian), one that is 1 for the first of
    // a bind that was accepted.
    DceInterface = "(dcerpc interface)", [DceRpc, Smb], Both, START;
    SipMethod = "sip.method", [Sip], ToServer, DONE;
    SipUri = "sip.uri", [Sip], ToServer, DONE;
    SipProtocol = "sip.protocol", [Sip], Both, DONE;
    SipStatCode = "sip.stat_code", [Sip], ToClient, DONE;
    SipStatMsg = "sip.stat_msg", [Sip], ToClient, DONE;
    SipRequestLine = "sip.request_line", [Sip], ToServer, DONE;
    SipResponseLine = "sip.response_line", [Sip], ToClient, DONE;
    SipFrom = "sip.from", [Sip], Both, DONE;
    SipTo = "sip.to", [Sip], Both, DONE;
    SipVia = "sip.via", [Sip], Both, DONE;
    SipUserAgent = "sip.user_agent", [Sip], Both, DONE;
    SipContentType = "sip.content_type", [Sip], Both, DONE;
    SipContentLength = "sip.content_length", [Sip], Both, DONE;
    SdpOrigin = "sdp.origin", [Sip], Both, DONE;
    SdpSessionName = "sdp.session_name", [Sip], Both, DONE;
    SdpSessionInfo = "sdp.session_info", [Sip], Both, DONE;
    SdpUri = "sdp.uri", [Sip], Both, DONE;
    SdpEmail = "sdp.email", [Sip], Both, DONE;
    SdpPhoneNumber = "sdp.phone_number", [Sip], Both, DONE;
    SdpConnectionData = "sdp.connection_data", [Sip], Both, DONE;
    SdpBandwidth = "sdp.bandwidth", [Sip], Both, DONE;
    SdpTime = "sdp.time", [Sip], Both, DONE;
    SdpRepeatTime = "sdp.repeat_time", [Sip], Both, DONE;
    SdpTimezone = "sdp.timezone", [Sip], Both, DONE;
    SdpEncryptionKey = "sdp.encryption_key", [Sip], Both, DONE;
    SdpAttribute = "sdp.attribute", [Sip], Both, DONE;
    SdpMedia = "sdp.media.media", [Sip], Both, DONE;
    SdpMediaInfo = "sdp.media.media_info", [Sip], Both, DONE;
    SdpMediaConnectionData = "sdp.media.connection_data", [Sip], Both, DONE;
    SdpMediaEncryptionKey = "sdp.media.encryption_key", [Sip], Both, DONE;
    MqttClientId = "mqtt.connect.clientid", [Mqtt], Both, DONE;
    MqttUsername = "mqtt.connect.username", [Mqtt], Both, DONE;
    MqttPassword = "mqtt.connect.password", [Mqtt], Both, DONE;
    MqttProtocolString = "mqtt.connect.protocol_string", [Mqtt], Both, DONE;
    MqttWillTopic = "mqtt.connect.willtopic", [Mqtt], Both, DONE;
    MqttWillMessage = "mqtt.connect.willmessage", [Mqtt], Both, DONE;
    MqttPublishTopic = "mqtt.publish.topic", [Mqtt], Both, DONE;
    MqttPublishMessage = "mqtt.publish.message", [Mqtt], Both, DONE;
    MqttSubscribeTopic = "mqtt.subscribe.topic", [Mqtt], Both, DONE;
    MqttUnsubscribeTopic = "mqtt.unsubscribe.topic", [Mqtt], Both, DONE;
    SnmpCommunity = "snmp.community", [Snmp], Both, DONE;
    SnmpUsm = "snmp.usm", [Snmp], Both, DONE;
    QuicVersion = "quic.version", [Quic], Both, DONE;
    QuicSni = "quic.sni", [Quic], ToServer, DONE;
    QuicUa = "quic.ua", [Quic], ToServer, DONE;
    QuicCyuHash = "quic.cyu.hash", [Quic], ToServer, DONE;
    QuicCyuString = "quic.cyu.string", [Quic], ToServer, DONE;
    Krb5Cname = "krb5.cname", [Krb5], ToClient, DONE;
    Krb5Sname = "krb5.sname", [Krb5], ToClient, DONE;
    WebsocketPayload = "websocket.payload", [Websocket], Both, DONE;
    RfbName = "rfb.name", [Rfb], ToClient, DONE;
}

table! {
    /// Numbers of a transaction. It can have several of a kind.
    AppField:
    FileSize = "filesize", [Http1, Http2, Smtp, FtpData, Smb, Nfs], Both, DONE;
    FileStored = "filestore", [Http1, Http2, Smtp, FtpData, Smb, Nfs], Both, START;
    DnsOpcode = "dns.opcode", [Dns], Both, DONE;
    DnsRcode = "dns.rcode", [Dns], Both, DONE;
    DnsRrtype = "dns.rrtype", [Dns], Both, DONE;
    // As on the wire: 0x0301 is TLS 1.0, 0x0304 TLS 1.3.
    TlsVersion = "tls.version", [Tls], Both, START;
    // One bit each: client hello, server hello, client keyx, server keyx, unknown.
    TlsState = "ssl_state", [Tls], Both, BEGUN_LEVEL;
    TlsCertChainLen = "tls.cert_chain_len", [Tls], Both, HEAD;
    // Seconds since the Unix epoch.
    TlsCertNotBefore = "tls_cert_notbefore", [Tls], ToClient, HEAD;
    TlsCertNotAfter = "tls_cert_notafter", [Tls], ToClient, HEAD;
    FtpDynamicPort = "ftp.dynamic_port", [Ftp], Both, DONE;
    // 1 active, 2 passive.
    FtpMode = "ftp.mode", [Ftp], Both, DONE;
    FtpReplyReceived = "ftp.reply_received", [Ftp], ToClient, DONE;
    // 1 retr, 2 stor.
    FtpDataCommand = "ftpdata_command", [FtpData], Both, BEGUN_LEVEL;
    // 1 where the address of a PORT or EPRT is not the client's.
    FtpBounce = "ftpbounce", [Ftp], ToServer, START;
    SmbVersion = "smb.version", [Smb], Both, START;
    DceOpnum = "dcerpc.opnum", [DceRpc, Smb], Both, START;
    // 1 where the data of a DCE/RPC request is little endian.
    DceLittleEndian = "(dcerpc byte order)", [DceRpc, Smb], Both, START;
    MqttType = "mqtt.type", [Mqtt], Both, DONE;
    MqttFlags = "mqtt.flags", [Mqtt], Both, DONE;
    MqttQos = "mqtt.qos", [Mqtt], Both, DONE;
    MqttReasonCode = "mqtt.reason_code", [Mqtt], Both, DONE;
    MqttSessionPresent = "mqtt.connack.session_present", [Mqtt], Both, DONE;
    MqttConnectFlags = "mqtt.connect.flags", [Mqtt], Both, DONE;
    MqttProtocolVersion = "mqtt.protocol_version", [Mqtt], Both, DONE;
    SnmpVersion = "snmp.version", [Snmp], Both, DONE;
    SnmpPduType = "snmp.pdu_type", [Snmp], Both, DONE;
    SnmpTrapType = "snmp.trap_type", [Snmp], Both, DONE;
    Krb5MsgType = "krb5_msg_type", [Krb5], Both, DONE;
    Krb5ErrCode = "krb5_err_code", [Krb5], ToClient, DONE;
    // 32 bits of a signed number.
    Krb5TicketEncryption = "krb5.ticket_encryption", [Krb5], ToClient, DONE;
    WebsocketOpcode = "websocket.opcode", [Websocket], Both, DONE;
    WebsocketMask = "websocket.mask", [Websocket], Both, DONE;
    WebsocketFlags = "websocket.flags", [Websocket], Both, DONE;
    Http2FrameType = "http2.frametype", [Http2], Both, BEGUN_LEVEL;
    Http2ErrorCode = "http2.errorcode", [Http2], Both, BEGUN_LEVEL;
    Http2Priority = "http2.priority", [Http2], Both, BEGUN_LEVEL;
    Http2Window = "http2.window", [Http2], Both, BEGUN_LEVEL;
    Http2SizeUpdate = "http2.size_update", [Http2], Both, BEGUN_LEVEL;
    // The setting's number in the upper half, its value in the lower.
    Http2Setting = "http2.settings", [Http2], Both, BEGUN_LEVEL;
    RfbSecType = "rfb.sectype", [Rfb], ToServer, START;
    RfbSecResult = "rfb.secresult", [Rfb], ToClient, START;
    DhcpLeaseTime = "dhcp.leasetime", [Dhcp], Both, DONE;
    DhcpRebindingTime = "dhcp.rebinding_time", [Dhcp], Both, DONE;
    DhcpRenewalTime = "dhcp.renewal_time", [Dhcp], Both, DONE;
}

impl AppBuffer {
    /// True when a transaction can have several, and what a rule asks each time it names the buffer may be met by another
    /// of them.
    pub fn is_multiple(self) -> bool {
        use AppBuffer::*;
        matches!(
            self,
            FileData
                | FileName
                | FileMagic
                | HttpRequestHeader
                | HttpResponseHeader
                | Http2HeaderName
                | DnsQuery
                | DnsQueriesRrname
                | DnsAnswersRrname
                | DnsAuthoritiesRrname
                | DnsAdditionalsRrname
                | DnsResponseRrname
                | MdnsQueriesRrname
                | MdnsAnswersRrname
                | MdnsAuthoritiesRrname
                | MdnsAdditionalsRrname
                | MdnsResponseRrname
                | TlsCerts
                | TlsAlpn
                | TlsSubjectAltName
                | SmtpRcptTo
                | EmailUrl
                | EmailReceived
                | FtpReply
                | FtpCompletionCode
                | MqttSubscribeTopic
                | MqttUnsubscribeTopic
                | SipFrom
                | SipTo
                | SipVia
                | SipUserAgent
                | SipContentType
                | SipContentLength
                | Krb5Cname
                | Krb5Sname
        )
    }
}

impl AppField {
    /// True where more of them can come until the transaction is over, in both directions: a rule may be met later.
    pub fn grows(self) -> bool {
        use AppField::*;
        matches!(
            self,
            Http2FrameType
                | Http2ErrorCode
                | Http2Priority
                | Http2Window
                | Http2SizeUpdate
                | Http2Setting
        )
    }
}

const BEGUN_LEVEL: u8 = level::BEGUN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        assert!(
            AppBuffer::ALL.len() <= 192,
            "wanted buffers are a set of 192 bits"
        );
        for (at, &buffer) in AppBuffer::ALL.iter().enumerate() {
            assert_eq!(AppBuffer::named(buffer.name()), Some(buffer));
            assert_eq!(buffer as usize, at);
            assert!(buffer.level() <= DONE && !buffer.protos().is_empty());
        }
        for &field in AppField::ALL {
            assert_eq!(AppField::named(field.name()), Some(field));
        }
    }
}
