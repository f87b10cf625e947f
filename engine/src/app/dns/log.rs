//! DNS messages as EVE shows them: version 3 of the `dns` object, and `mdns`.

use serde_json::{Map, Value, json};

use super::message::{Data, Message, Name, Query, Record};
use crate::app::TxId;
use crate::app::text::{eve_text, hex};

/// The `dns` object: answers one by one, and grouped by type.
pub(super) fn dns(id: TxId, message: &Message, is_request: bool) -> Value {
    let mut object = Map::new();
    let header = message.header;
    object.insert("version".into(), json!(3));
    object.insert("type".into(), json!(kind(is_request)));
    object.insert("tx_id".into(), json!(id));
    object.insert("id".into(), json!(header.id));
    object.insert("flags".into(), json!(format!("{:x}", header.flags)));
    let flags = [
        (0x8000, "qr"),
        (0x0400, "aa"),
        (0x0200, "tc"),
        (0x0100, "rd"),
        (0x0080, "ra"),
        (0x0040, "z"),
    ];
    for (bit, name) in flags {
        if header.flags & bit != 0 {
            object.insert(name.into(), json!(true));
        }
    }
    object.insert("opcode".into(), json!(header.opcode()));
    object.insert("rcode".into(), json!(rcode(header.rcode())));
    if !message.queries.is_empty() {
        let queries = message.queries.iter().map(|of| query(of, false));
        object.insert("queries".into(), queries.collect());
    }
    if !message.answers.is_empty() {
        object.insert("answers".into(), details(&message.answers));
        object.insert("grouped".into(), grouped(&message.answers));
    }
    if !message.authorities.is_empty() {
        object.insert("authorities".into(), details(&message.authorities));
    }
    let additionals: Vec<_> = without_empty_opt(&message.additionals).collect();
    if !additionals.is_empty() {
        object.insert("additionals".into(), details(additionals));
    }
    Value::Object(object)
}

/// The `mdns` object.
pub(super) fn mdns(message: &Message, is_request: bool) -> Value {
    let mut object = Map::new();
    let header = message.header;
    object.insert("type".into(), json!(kind(is_request)));
    object.insert("id".into(), json!(header.id));
    let flags = [
        (0x0400, "aa"),
        (0x0200, "tc"),
        (0x0100, "rd"),
        (0x0080, "ra"),
        (0x0040, "z"),
        (0x0020, "ad"),
        (0x0010, "cd"),
    ];
    let set = flags.iter().filter(|(bit, _)| header.flags & bit != 0);
    let set: Vec<_> = set.map(|(_, name)| name).collect();
    if !set.is_empty() {
        object.insert("flags".into(), json!(set));
    }
    object.insert("opcode".into(), json!(header.opcode()));
    object.insert("rcode".into(), json!(header.rcode()));
    if !message.queries.is_empty() {
        let queries = message.queries.iter().map(|of| query(of, true));
        object.insert("queries".into(), queries.collect());
    }
    let sections = [
        ("answers", &message.answers),
        ("authorities", &message.authorities),
        ("additionals", &message.additionals),
    ];
    for (name, records) in sections {
        let entries: Vec<_> = if name == "additionals" {
            without_empty_opt(records).map(mdns_detail).collect()
        } else {
            records.iter().map(mdns_detail).collect()
        };
        if !entries.is_empty() {
            object.insert(name.into(), Value::Array(entries));
        }
    }
    Value::Object(object)
}

fn kind(is_request: bool) -> &'static str {
    if is_request { "request" } else { "response" }
}

/// An OPT record without options says nothing.
fn without_empty_opt(records: &[Record]) -> impl Iterator<Item = &Record> {
    let empty = |record: &&Record| matches!(&record.data, Data::Opt(options) if options.is_empty());
    records.iter().filter(move |record| !empty(record))
}

fn put_name(object: &mut Map<String, Value>, key: &str, truncated: &str, name: &Name) {
    object.insert(key.into(), json!(eve_text(&name.bytes)));
    if name.truncated {
        object.insert(truncated.into(), json!(true));
    }
}

fn query(query: &Query, lower: bool) -> Value {
    let mut object = Map::new();
    put_name(&mut object, "rrname", "rrname_truncated", &query.name);
    let mut rrtype = rrtype(query.rrtype);
    if lower {
        rrtype.make_ascii_lowercase();
    }
    object.insert("rrtype".into(), json!(rrtype));
    Value::Object(object)
}

/// One object for each record, and one for each string of a TXT record.
fn details<'a>(records: impl IntoIterator<Item = &'a Record>) -> Value {
    let mut entries = Vec::new();
    for record in records {
        let mut object = Map::new();
        put_name(&mut object, "rrname", "rrname_truncated", &record.name);
        object.insert("rrtype".into(), json!(rrtype(record.rrtype)));
        object.insert("ttl".into(), json!(record.ttl));
        let (key, value) = match &record.data {
            Data::Txt(texts) => {
                for text in texts {
                    object.insert("rdata".into(), json!(eve_text(text)));
                    entries.push(Value::Object(object.clone()));
                }
                continue;
            }
            Data::Name(name) => {
                put_name(&mut object, "rdata", "rdata_truncated", name);
                entries.push(Value::Object(object));
                continue;
            }
            Data::Soa { .. } => ("soa", shown(&record.data)),
            Data::SshFp { .. } => ("sshfp", shown(&record.data)),
            Data::Srv { .. } => ("srv", shown(&record.data)),
            Data::Opt(_) => ("opt", shown(&record.data)),
            Data::Address(_) | Data::Null(_) => ("rdata", shown(&record.data)),
            Data::Other(_) => ("", Value::Null),
        };
        if !key.is_empty() {
            object.insert(key.into(), value);
        }
        entries.push(Value::Object(object));
    }
    Value::Array(entries)
}

/// A list of data for each type of answer.
fn grouped(records: &[Record]) -> Value {
    let mut groups = Map::new();
    for record in records {
        if matches!(record.data, Data::Other(_) | Data::Opt(_)) {
            continue;
        }
        let group = groups
            .entry(rrtype(record.rrtype))
            .or_insert_with(|| json!([]));
        let Some(group) = group.as_array_mut() else {
            continue;
        };
        match shown(&record.data) {
            Value::Array(texts) => group.extend(texts),
            value => group.push(value),
        }
    }
    Value::Object(groups)
}

fn mdns_detail(record: &Record) -> Value {
    let mut object = Map::new();
    put_name(&mut object, "rrname", "rrname_truncated", &record.name);
    let rrtype = rrtype(record.rrtype).to_ascii_lowercase();
    object.insert(rrtype, shown(&record.data));
    if let Data::Name(name) = &record.data
        && name.truncated
    {
        object.insert("rdata_truncated".into(), json!(true));
    }
    Value::Object(object)
}

/// The data of a record.
fn shown(data: &Data) -> Value {
    match data {
        Data::Address(address) => json!(addr(address)),
        Data::Name(name) => json!(eve_text(&name.bytes)),
        Data::Txt(texts) => texts.iter().map(|text| eve_text(text)).collect(),
        Data::Null(bytes) | Data::Other(bytes) => json!(eve_text(bytes)),
        Data::Soa {
            mname,
            rname,
            numbers,
        } => {
            let mut object = Map::new();
            put_name(&mut object, "mname", "mname_truncated", mname);
            put_name(&mut object, "rname", "rname_truncated", rname);
            let names = ["serial", "refresh", "retry", "expire", "minimum"];
            for (name, number) in names.into_iter().zip(numbers) {
                object.insert(name.into(), json!(number));
            }
            Value::Object(object)
        }
        Data::Srv {
            priority,
            weight,
            port,
            target,
        } => json!({
            "priority": priority,
            "weight": weight,
            "port": port,
            "name": eve_text(&target.bytes),
        }),
        Data::SshFp {
            algorithm,
            kind,
            fingerprint,
        } => json!({
            "fingerprint": hex(fingerprint, ":"),
            "algo": algorithm,
            "type": kind,
        }),
        Data::Opt(options) => {
            let options = options.iter();
            let shown = options.map(|(code, data)| json!({"code": code, "data": hex(data, "")}));
            shown.collect()
        }
    }
}

/// An address, IPv6 in full; nothing where its length is neither's.
fn addr(bytes: &[u8]) -> String {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return std::net::Ipv4Addr::from(v4).to_string();
    }
    if bytes.len() != 16 {
        return String::new();
    }
    let groups: Vec<_> = bytes.chunks(2).map(|pair| hex(pair, "")).collect();
    groups.join(":")
}

/// The name of a type (IANA), or its number.
fn rrtype(rrtype: u16) -> String {
    let name = match rrtype {
        1 => "A",
        2 => "NS",
        3 => "MD",
        4 => "MF",
        5 => "CNAME",
        6 => "SOA",
        7 => "MB",
        8 => "MG",
        9 => "MR",
        10 => "NULL",
        11 => "WKS",
        12 => "PTR",
        13 => "HINFO",
        14 => "MINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        19 => "X25",
        20 => "ISDN",
        21 => "RT",
        22 => "NSAP",
        23 => "NSAPPTR",
        24 => "SIG",
        25 => "KEY",
        26 => "PX",
        27 => "GPOS",
        28 => "AAAA",
        29 => "LOC",
        30 => "NXT",
        33 => "SRV",
        34 => "ATMA",
        35 => "NAPTR",
        36 => "KX",
        37 => "CERT",
        38 => "A6",
        39 => "DNAME",
        41 => "OPT",
        42 => "APL",
        43 => "DS",
        44 => "SSHFP",
        45 => "IPSECKEY",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        49 => "DHCID",
        50 => "NSEC3",
        51 => "NSEC3PARAM",
        52 => "TLSA",
        55 => "HIP",
        59 => "CDS",
        60 => "CDNSKEY",
        65 => "HTTPS",
        99 => "SPF",
        249 => "TKEY",
        250 => "TSIG",
        254 => "MAILA",
        255 => "ANY",
        256 => "URI",
        _ => return rrtype.to_string(),
    };
    name.to_owned()
}

/// The name of a response code, or its number.
fn rcode(rcode: u8) -> String {
    let names = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
        "NXRRSET", "NOTAUTH", "NOTZONE",
    ];
    let name = names.get(usize::from(rcode));
    name.map_or_else(|| rcode.to_string(), |&name| name.to_owned())
}
