//! Keywords of application layers and files.

use std::sync::Arc;

use weir_engine::app::{self, AppBuffer, AppField, AppProto, AppSet, FLOW_EVENTS, Ways};
use weir_engine::plan::{
    AppTest, Buffer, Content, Num, NumOp, Op, ProtocolMode, ProtocolTest, Which,
};

use super::args::{self, Text};
use super::content;
use super::draft::{Draft, Target};
use super::names;
use crate::keywords::Keyword;
use crate::syntax::ast::{Place, Problem, RuleOption};
use crate::syntax::value::{parse_number, parse_urilen, split_list, unquote};

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

    fn app_test(&mut self, test: AppTest) {
        self.app.tests.push(test);
        self.latest = Some(super::draft::Latest::Test);
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
            content::move_content(draft, option, Target::Buffer(Buffer::App(buffer)))
        })());
    }
    if let Some(buffer) = AppBuffer::named(keyword.name) {
        return Some((|| {
            readable(buffer.protos(), keyword.name, place)?;
            draft.restrict(buffer.protos(), place)?;
            let target = match &option.value {
                None => Buffer::App(buffer),
                Some(_) if !draft.app.both_ways => {
                    let message = "a direction is for transactional rules (`=>`)";
                    return Err(Problem::syntax(place, message));
                }
                Some(value) => Buffer::AppOf(buffer, is_to_server(&args::bare(value))),
            };
            let either = draft.app.both_ways && buffer.ways() == Ways::Both;
            if either && target == Buffer::App(buffer) && buffer != AppBuffer::FileData {
                let message = "in a transactional rule (`=>`) this buffer needs a direction: `to_server` or `to_client`";
                return Err(Problem::syntax(place, message));
            }
            draft.select(Target::Buffer(target), place)
        })());
    }
    let names: &[(&str, u64)] = match keyword.name {
        "dns.rcode" => names::DNS_RCODES,
        "dns.rrtype" => names::DNS_TYPES,
        "dns.opcode"
        | "ftp.dynamic_port"
        | "tls.cert_chain_len"
        | "snmp.version"
        | "mqtt.protocol_version"
        | "krb5_msg_type"
        | "dhcp.leasetime"
        | "dhcp.rebinding_time"
        | "dhcp.renewal_time" => &[],
        "mqtt.reason_code" => names::MQTT_REASONS,
        "mqtt.type" => names::MQTT_TYPES,
        "snmp.pdu_type" => names::SNMP_PDUS,
        "snmp.trap_type" => names::SNMP_TRAPS,
        "smb.version" => &[],
        "websocket.opcode" => names::WEBSOCKET_OPCODES,
        "websocket.mask" => &[],
        "rfb.sectype" => &[],
        "rfb.secresult" => names::RFB_RESULTS,
        "http2.frametype" => names::HTTP2_FRAMES,
        "http2.errorcode" => names::HTTP2_ERRORS,
        "http2.priority" | "http2.window" | "http2.size_update" => &[],
        _ => return None,
    };
    let field = AppField::named(keyword.name)?;
    Some((|| {
        readable(field.protos(), keyword.name, place)?;
        draft.restrict(field.protos(), place)?;
        let (num, which) = indexed(args::value(option)?, names)?;
        draft.app_test(AppTest::Number {
            field,
            num,
            which,
            way: None,
        });
        Ok(())
    })())
}

/// A comparison or a name, and then perhaps which of several numbers is meant.
fn indexed(value: &Text, names: &[(&str, u64)]) -> Result<(Num, Which), Problem> {
    let value = args::bare(value);
    let parts = split_list(&value);
    let Some(first) = parts.first() else {
        return Err(args::expected(&value, "a number"));
    };
    let text = args::string(first);
    let (negated, name) = match text.trim().strip_prefix('!') {
        Some(name) => (true, name.trim()),
        None => (false, text.trim()),
    };
    let known = names
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let num = match known {
        Some(&(_, number)) => Num::one(if negated { NumOp::Ne } else { NumOp::Eq }, number),
        None => parse_number(first, u64::MAX)?,
    };
    let which = match parts.get(1) {
        None => Which::Any,
        Some(part) => match part.value.as_slice() {
            b"any" => Which::Any,
            b"all" => Which::AllOrNone,
            b"all1" => Which::All,
            _ => Which::At(args::integer(part, -1024, 1024)? as i32),
        },
    };
    Ok((num, which))
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
        "ftp.reply_received" => one_of(draft, option, AppField::FtpReplyReceived, &YES_NO),
        "ftpbounce" => is_set(draft, option, AppField::FtpBounce),
        "mqtt.qos" => one_of(
            draft,
            option,
            AppField::MqttQos,
            &[("0", 0), ("1", 1), ("2", 2)],
        ),
        "mqtt.connack.session_present" => {
            one_of(draft, option, AppField::MqttSessionPresent, &YES_NO)
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
        "krb5_err_code" => krb5_error(draft, option),
        "http2.settings" => http2_settings(draft, option),
        _ => return None,
    })
}

const YES_NO: [(&str, u64); 8] = [
    ("yes", 1),
    ("true", 1),
    ("on", 1),
    ("1", 1),
    ("no", 0),
    ("false", 0),
    ("off", 0),
    ("0", 0),
];

/// What the keyword needs of the flow.
fn need(draft: &mut Draft<'_>, option: &RuleOption, protos: AppSet) -> Result<(), Problem> {
    let name = &option.name;
    readable(protos, &name.value, name.place)?;
    draft.restrict(protos, name.place)
}

/// `urilen:5<>10,raw`: the length of a buffer.
fn urilen(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppBuffer::HttpUri.protos())?;
    let (num, raw) = parse_urilen(&args::bare(args::value(option)?))?;
    let buffer = if raw {
        AppBuffer::HttpUriRaw
    } else {
        AppBuffer::HttpUri
    };
    draft.push_to(
        Target::Buffer(Buffer::App(buffer)),
        Op::BSize(num),
        option.name.place,
    );
    Ok(())
}

fn protocol(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let value = args::bare(args::value(option)?);
    let parts = split_list(&value);
    let Some(first) = parts.first() else {
        return Err(args::expected(&value, "a protocol"));
    };
    let text = args::string(first);
    let (negated, name) = match text.trim().strip_prefix('!') {
        Some(name) => (true, name.trim()),
        None => (false, text.trim()),
    };
    let mode = match parts.get(1).map(args::string).as_deref().map(str::trim) {
        None => ProtocolMode::Direction,
        Some("final") => ProtocolMode::Final,
        Some("original") => ProtocolMode::Original,
        Some("either") => ProtocolMode::Either,
        Some("to_server" | "toserver") => ProtocolMode::ToServer,
        Some(_) => ProtocolMode::ToClient,
    };
    if name == "unknown" {
        draft.app.protocols.push(ProtocolTest::Unknown);
        draft.latest = Some(super::draft::Latest::Test);
        return Ok(());
    }
    let Some(set) = AppSet::named(name) else {
        let message = format!("the protocol `{name}` is not told from others yet");
        return Err(Problem::unsupported(
            first.place,
            "app-layer-protocol",
            message,
        ));
    };
    if negated && !draft.app.protos.is_empty() {
        let message = "a rule for one protocol cannot ask for another not to be there";
        return Err(Problem::syntax(first.place, message));
    }
    draft
        .app
        .protocols
        .push(ProtocolTest::Is { set, negated, mode });
    draft.latest = Some(super::draft::Latest::Test);
    Ok(())
}

fn event(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let value = args::bare(args::value(option)?);
    let name = args::string(&value);
    let name = name.trim();
    let name = name
        .strip_prefix("http1.")
        .map_or_else(|| name.to_owned(), |rest| format!("http.{rest}"));
    if let Some(known) = FLOW_EVENTS.iter().find(|known| **known == name) {
        draft.app.protocols.push(ProtocolTest::Event(known));
        draft.latest = Some(super::draft::Latest::Test);
        return Ok(());
    }
    let proto = name.split('.').next().unwrap_or_default();
    match app::events().find(|known| *known == name) {
        Some(known) => {
            let protos = AppSet::named(proto).unwrap_or_default();
            need(draft, option, protos)?;
            draft.app_test(AppTest::Event(known));
            Ok(())
        }
        None => {
            let message = format!("the event `{name}` is not raised yet");
            Err(Problem::unsupported(
                value.place,
                format!("app-layer-event {proto}"),
                message,
            ))
        }
    }
}

/// How a text is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Anywhere, whatever its case.
    Anywhere,
    /// As the end of a name, behind a dot, whatever its case.
    Extension,
    /// Anywhere, as it is written.
    Exact,
    /// Anywhere, in lower case.
    Lower,
}

/// A keyword that looks for a text in a buffer of its own.
fn text_in(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    buffer: AppBuffer,
    look: Look,
) -> Result<(), Problem> {
    need(draft, option, buffer.protos())?;
    let value = args::value(option)?;
    let unquoted = unquote(value, true)?;
    let mut bytes = unquoted.text.to_vec();
    let nocase = matches!(look, Look::Anywhere | Look::Extension);
    if look == Look::Extension {
        bytes.insert(0, b'.');
    }
    if nocase || look == Look::Lower {
        bytes.make_ascii_lowercase();
    }
    draft.push_to(
        Target::Buffer(Buffer::App(buffer)),
        Op::Content(Content {
            bytes,
            nocase,
            negated: unquoted.negated,
            endswith: look == Look::Extension,
            ..Content::default()
        }),
        option.name.place,
    );
    Ok(())
}

fn filesize(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppField::FileSize.protos())?;
    let value = args::bare(args::value(option)?);
    let parts = split_list(&value);
    let (way, number) = match parts.as_slice() {
        [number] => (None, number),
        [way, number] => (Some(is_to_server(way)), number),
        _ => return Err(args::expected(&value, "a size")),
    };
    let num = parse_number(number, u64::MAX)?;
    draft.app_test(AppTest::Number {
        field: AppField::FileSize,
        num,
        which: Which::Any,
        way,
    });
    Ok(())
}

fn is_to_server(way: &Text) -> bool {
    matches!(
        way.value.as_slice(),
        b"to_server" | b"toserver" | b"request"
    )
}

/// `filestore`: the rule needs a file. (Where files are written is the operator's matter, not the rule's.)
fn filestore(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppField::FileStored.protos())?;
    let way = option.value.as_ref().and_then(|value| {
        let parts = split_list(value);
        let first = parts.first()?;
        (first.value != b"both").then(|| is_to_server(first))
    });
    draft.app_test(AppTest::Number {
        field: AppField::FileStored,
        num: Num::one(NumOp::Ge, 1),
        which: Which::Any,
        way,
    });
    Ok(())
}

/// `filemd5:[!]FILE`: a list of hashes, one a line, beside the rule file.
fn hashes(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    buffer: AppBuffer,
    length: usize,
) -> Result<(), Problem> {
    need(draft, option, buffer.protos())?;
    let value = args::value(option)?;
    let unquoted = unquote(value, true)?;
    let (negated, name) = (
        unquoted.negated,
        String::from_utf8_lossy(unquoted.text).into_owned(),
    );
    let beside = std::path::Path::new(&*draft.meta.origin.0)
        .parent()
        .map(|folder| folder.join(&name));
    let read = beside
        .and_then(|path| std::fs::read(path).ok())
        .or_else(|| std::fs::read(&name).ok());
    let Some(text) = read else {
        let message = format!("the list of hashes `{name}` cannot be read");
        return Err(Problem::syntax(value.place, message));
    };
    let mut hashes = Vec::new();
    for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let digits = line
            .split(|byte| !byte.is_ascii_hexdigit())
            .next()
            .unwrap_or_default();
        match hex(digits).filter(|hash| hash.len() == length) {
            Some(hash) => hashes.push(hash),
            None => {
                let message = format!(
                    "{name}:{}: expected a hash of {} hexadecimal digits",
                    number + 1,
                    length * 2
                );
                return Err(Problem::syntax(value.place, message));
            }
        }
    }
    hashes.sort_unstable();
    hashes.dedup();
    draft.app_test(AppTest::HashIn {
        buffer,
        hashes: Arc::new(hashes),
        negated,
    });
    Ok(())
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

/// The number of a version of TLS, by its name.
fn tls_number(name: &str) -> Option<u64> {
    Some(match name.trim() {
        "sslv2" => 0x0002,
        "sslv3" => 0x0300,
        "1.0" | "tls1.0" => 0x0301,
        "1.1" | "tls1.1" => 0x0302,
        "1.2" | "tls1.2" => 0x0303,
        "1.3" | "tls1.3" => 0x0304,
        other => u64::from_str_radix(other.strip_prefix("0x")?, 16).ok()?,
    })
}

fn tls_version(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppField::TlsVersion.protos())?;
    let value = args::bare(args::value(option)?);
    let number = tls_number(&args::string(&value))
        .ok_or_else(|| args::expected(&value, "a version of TLS"))?;
    draft.app_test(AppTest::OneOf {
        field: AppField::TlsVersion,
        values: vec![number],
        negated: false,
    });
    Ok(())
}

fn ssl_version(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppField::TlsVersion.protos())?;
    let value = args::bare(args::value(option)?);
    let (mut values, mut negated) = (Vec::new(), false);
    for part in split_list(&value) {
        let text = args::string(&part).to_ascii_lowercase();
        let name = text.strip_prefix('!').unwrap_or(&text);
        negated |= name.len() != text.len();
        values.push(
            tls_number(name).ok_or_else(|| args::expected(&part, "a version of SSL or TLS"))?,
        );
    }
    draft.app_test(AppTest::OneOf {
        field: AppField::TlsVersion,
        values,
        negated,
    });
    Ok(())
}

fn ssl_state(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    const STATES: [(&str, u64); 5] = [
        ("client_hello", 1),
        ("server_hello", 2),
        ("client_keyx", 4),
        ("server_keyx", 8),
        ("unknown", 16),
    ];
    need(draft, option, AppField::TlsState.protos())?;
    let value = args::bare(args::value(option)?);
    let (mut mask, mut not) = (0, 0);
    for part in args::string(&value).split(['|', ',']) {
        let part = part.trim();
        let name = part.strip_prefix('!').unwrap_or(part);
        let Some((_, bit)) = STATES.iter().find(|(known, _)| *known == name) else {
            return Err(args::expected(&value, "states of a handshake"));
        };
        if name.len() == part.len() {
            mask |= bit
        } else {
            not |= bit
        }
    }
    if not != 0 {
        draft.app_test(AppTest::Bits {
            field: AppField::TlsState,
            mask: not,
            value: 0,
            negated: false,
        });
    }
    if mask != 0 {
        draft.app_test(AppTest::AnyBit {
            field: AppField::TlsState,
            mask,
        });
    }
    Ok(())
}

fn ages(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    of: &[(AppField, bool)],
) -> Result<(), Problem> {
    args::no_value(option)?;
    for &(field, past) in of {
        need(draft, option, field.protos())?;
        draft.app_test(AppTest::Age { field, past });
    }
    Ok(())
}

/// `tls_cert_notbefore:<2020`: a date, or two with `<>` between them.
fn date(draft: &mut Draft<'_>, option: &RuleOption, field: AppField) -> Result<(), Problem> {
    need(draft, option, field.protos())?;
    let value = args::bare(args::value(option)?);
    let text = args::string(&value);
    let text = text.trim();
    let seconds = |text: &str| {
        super::names::seconds_of(text)
            .ok_or_else(|| args::expected(&value, "a date such as 2020-01-31T12:00:00"))
    };
    let num = if let Some((from, to)) = text.split_once("<>") {
        Num {
            op: NumOp::Between,
            a: seconds(from)?,
            b: seconds(to)?,
        }
    } else if let Some(date) = text.strip_prefix('<') {
        Num::one(NumOp::Lt, seconds(date)?)
    } else if let Some(date) = text.strip_prefix('>') {
        Num::one(NumOp::Gt, seconds(date)?)
    } else {
        Num::one(NumOp::Eq, seconds(text)?)
    };
    draft.app_test(AppTest::Number {
        field,
        num,
        which: Which::Any,
        way: None,
    });
    Ok(())
}

/// `dcerpc.iface:UUID[,[op]version][,any_frag]`
fn interface(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppBuffer::DceInterface.protos())?;
    let value = args::bare(args::value(option)?);
    let parts = split_list(&value);
    let Some(first) = parts.first() else {
        return Err(args::expected(&value, "an interface"));
    };
    let digits: Vec<u8> = first
        .value
        .iter()
        .copied()
        .filter(|&byte| byte != b'-')
        .collect();
    let uuid = hex(&digits).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    let uuid = uuid.ok_or_else(|| args::expected(first, "a UUID"))?;
    let mut version = None;
    for part in parts.iter().skip(1) {
        if part.value.trim_ascii() != b"any_frag" {
            let text = args::string(part);
            let text = text.trim().strip_prefix('=').unwrap_or(text.trim());
            let part = Text {
                value: text.as_bytes().to_vec(),
                place: part.place,
            };
            version = Some(parse_number(&part, u16::MAX.into())?);
        }
    }
    draft.app_test(AppTest::DceInterface { uuid, version });
    Ok(())
}

/// `dcerpc.opnum:15,17-20`
fn opnum(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppField::DceOpnum.protos())?;
    let value = args::bare(args::value(option)?);
    let mut values = Vec::new();
    for part in split_list(&value) {
        let text = args::string(&part);
        let number = |text: &str| {
            text.trim()
                .parse::<u16>()
                .map_err(|_| args::expected(&part, "an operation number"))
        };
        match text.split_once('-') {
            Some((from, to)) => values.extend((number(from)?..=number(to)?).map(u64::from)),
            None => values.push(number(&text)?.into()),
        }
    }
    draft.app_test(AppTest::OneOf {
        field: AppField::DceOpnum,
        values,
        negated: false,
    });
    Ok(())
}

fn one_of(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    field: AppField,
    names: &[(&str, u64)],
) -> Result<(), Problem> {
    need(draft, option, field.protos())?;
    let value = args::bare(args::value(option)?);
    let text = args::string(&value);
    let (negated, name) = match text.trim().strip_prefix('!') {
        Some(name) => (true, name),
        None => (false, text.trim()),
    };
    let known = names
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let &(_, number) =
        known.ok_or_else(|| args::expected(&value, "one of the values that the keyword has"))?;
    draft.app_test(AppTest::OneOf {
        field,
        values: vec![number],
        negated,
    });
    Ok(())
}

fn is_set(draft: &mut Draft<'_>, option: &RuleOption, field: AppField) -> Result<(), Problem> {
    args::no_value(option)?;
    need(draft, option, field.protos())?;
    draft.app_test(AppTest::OneOf {
        field,
        values: vec![1],
        negated: false,
    });
    Ok(())
}

/// Names of bits, each perhaps negated, or a comparison with the whole.
fn bits(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    field: AppField,
    names: &[(&str, u64)],
) -> Result<(), Problem> {
    need(draft, option, field.protos())?;
    let value = args::bare(args::value(option)?);
    if let Ok(num) = parse_number(&value, u64::MAX) {
        draft.app_test(AppTest::Number {
            field,
            num,
            which: Which::Any,
            way: None,
        });
        return Ok(());
    }
    let (mut mask, mut wanted) = (0, 0);
    for part in split_list(&value) {
        let text = args::string(&part);
        let name = text.trim().strip_prefix('!').unwrap_or(text.trim());
        let known = names
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        let &(_, bit) = known.ok_or_else(|| args::expected(&part, "a flag"))?;
        mask |= bit;
        if !text.trim().starts_with('!') {
            wanted |= bit;
        }
    }
    draft.app_test(AppTest::Bits {
        field,
        mask,
        value: wanted,
        negated: false,
    });
    Ok(())
}

/// `http2.settings:NAME[op number]`
fn http2_settings(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppField::Http2Setting.protos())?;
    let value = args::bare(args::value(option)?);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let end = value.value.iter().position(|byte| !is_name(byte));
    let (name, rest) = value.value.split_at(end.unwrap_or(value.value.len()));
    let known = names::HTTP2_SETTINGS
        .iter()
        .find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
    let &(_, id) = known.ok_or_else(|| args::expected(&value, "the name of a setting"))?;
    let rest = Text {
        value: rest.trim_ascii().to_vec(),
        place: value.place,
    };
    let num = match rest.value.is_empty() {
        true => None,
        false => Some(parse_number(&rest, u32::MAX.into())?),
    };
    draft.app_test(AppTest::Setting { id, num });
    Ok(())
}

fn krb5_error(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let field = AppField::Krb5ErrCode;
    need(draft, option, field.protos())?;
    let value = args::bare(args::value(option)?);
    let (num, which) = indexed(&value, &[])?;
    draft.app_test(AppTest::Number {
        field,
        num,
        which,
        way: None,
    });
    Ok(())
}
