use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::syntax::ast::{At, Place, ProblemKind};

/// `name` or `name:value` as an option that starts at line 1, column 1.
fn option(text: &str) -> RuleOption {
    let (name, value) = text
        .split_once(':')
        .map_or((text, None), |(name, value)| (name, Some(value)));
    let place = |column: usize| Place {
        line: 1,
        column: column as u32,
    };
    RuleOption {
        name: At {
            value: name.to_owned(),
            place: place(1),
        },
        value: value.map(|value| At {
            value: value.as_bytes().to_vec(),
            place: place(name.len() + 2),
        }),
    }
}

#[track_caller]
fn fine(text: &str) {
    if let Err(problem) = check(&option(text)) {
        panic!(
            "{text}: column {}: {}",
            problem.place.column, problem.message
        );
    }
}

#[track_caller]
fn refused(text: &str, column: u32, message: &str) {
    let problem = check(&option(text)).expect_err(text);
    assert_eq!(
        (problem.kind, problem.place.column),
        (ProblemKind::Syntax, column),
        "{text}: {}",
        problem.message
    );
    assert!(
        problem.message.starts_with(message),
        "{text}: {}",
        problem.message
    );
    assert_eq!(problem.subject, text.split(':').next().expect("a name"));
}

#[test]
fn names_are_unique_and_in_lower_case() {
    let mut seen = HashSet::new();
    for keyword in all() {
        for name in std::iter::once(&keyword.name).chain(keyword.aliases) {
            assert!(seen.insert(*name), "{name} twice");
            assert_eq!(*name, name.to_ascii_lowercase());
            assert!(std::ptr::eq(lookup(name).expect(name), keyword));
        }
    }
    assert!(seen.len() > 400);
}

#[test]
fn an_alias_is_its_keyword() {
    assert_eq!(lookup("flags").expect("flags").name, "tcp.flags");
    assert_eq!(lookup("dns_query").expect("dns_query").name, "dns.query");
    let content = lookup("content").expect("content");
    assert!(content.multi && content.negatable && content.tier == Tier::One);
    assert!(!lookup("sid").expect("sid").multi);
}

#[test]
fn an_unknown_keyword_is_unsupported_and_the_nearest_is_named() {
    let unknown = |name: &str| check(&option(name)).expect_err(name);
    let problem = unknown("contnet:\"x\"");
    assert_eq!(
        (problem.kind, problem.subject.as_str()),
        (ProblemKind::Unsupported, "contnet")
    );
    assert_eq!(
        problem.message,
        "unknown keyword `contnet`; is `content` meant?"
    );
    assert_eq!(
        unknown("http.user-agent").message,
        "unknown keyword `http.user-agent`; is `http.user_agent` meant?"
    );
    assert_eq!(
        unknown("frobnicate").message,
        "unknown keyword `frobnicate`"
    );
    assert!(!unknown(&"x".repeat(1_000_000)).message.contains("meant"));
}

#[test]
fn protocols_with_and_without_a_hook() {
    let check = |name: &str| {
        check_protocol(&At {
            value: name.to_owned(),
            place: Place::default(),
        })
    };
    for name in [
        "tcp",
        "tcp-pkt",
        "http1:request_line",
        "tls:client_hello_done",
        "ip4",
        "pkthdr",
        "ftp-data",
    ] {
        check(name).expect(name);
    }
    let problem = check("htpt").expect_err("unknown");
    assert_eq!(
        (problem.kind, problem.subject.as_str()),
        (ProblemKind::Unsupported, "protocol htpt")
    );
    assert!(check("vxlan").is_err());
}

#[test]
fn values_are_there_or_not() {
    fine("nocase");
    fine("fast_pattern");
    fine("fast_pattern:only");
    fine("file.data:to_client");
    refused("nocase:1", 8, "`nocase` takes no value");
    refused("depth", 6, "`depth` needs a value");
    refused("sid:0", 5, "expected a number from 1 to 4294967295");
    refused("msg:x", 5, "expected a string in quotation marks");
    refused("msg:\"\"", 5, "expected a string that is not empty");
    refused("classtype:a b", 11, "expected a name");
    refused("reference:url", 14, "expected `,` and a reference");
    refused("fast_pattern:5", 15, "expected `,` and a length");
    refused("fast_pattern:only,1", 14, "expected a number");
    refused(
        "template:\"x\"",
        10,
        "expected a value without quotation marks",
    );
}

#[test]
fn payload_operations() {
    for text in [
        "byte_test:4,>,1000,0",
        "byte_test:2,!&,0x8000,-4,relative,little",
        "byte_test:0,<,100,0,string,dec",
        "byte_test:len,=,var,off,bitmask 0xF0",
        "byte_test:1,=,65,214748364",
        "byte_jump:4,12,relative,multiplier 2,align",
        "byte_jump:0,0,from_end,post_offset -8",
        "byte_extract:3,0,SSL.Hello.length,relative,align 4",
        "byte_math: bytes 1, offset 1, oper -, rvalue extracted_val, result var",
        "isdataat:!1,relative",
        "isdataat:len",
        "base64_decode:bytes 64, offset 0, relative",
        "base64_decode",
        "entropy:bytes 4, offset 30, value >= 7.5",
        "entropy:value 1.5-2.5",
        "rpc:100000,*,*",
        "distance:-5",
        "within:len",
        "absent:or_else",
        "replace:\"x\"",
        "asn1:oversize_length 1024,relative_offset -1",
        "from_base64:offset 6, mode strict",
        "xor:\"0d0ac8ff\"",
        "gunzip",
        "gunzip:max-size=1MiB",
        "zlib_deflate:max-size 2048",
        "subslice:1",
        "subslice:-4,truncate",
        "subslice:2,-1, TRUNCATE",
    ] {
        fine(text);
    }
    refused(
        "byte_test:4,>,1000",
        19,
        "expected `,` and an offset, found the end",
    );
    refused(
        "byte_test:4,=>,1,0",
        13,
        "expected one of <, <=, =, >=, >, &, ^",
    );
    refused("byte_test:24,>,1,0", 11, "expected a number from 0 to 23");
    refused("byte_test:4,>,1,0,relatve", 19, "expected one of relative");
    refused("byte_test:4,,1,0", 13, "expected an operator");
    refused("byte_extract:4,0,1x", 18, "expected the name of a variable");
    refused("byte_extract:4,0,x,align 3", 26, "expected one of 2, 4");
    refused(
        "byte_jump:4,0,multiplier 0",
        26,
        "expected a number from 1 to 65535",
    );
    refused(
        "byte_math:bytes 4, offset 0, oper %, rvalue 1, result x",
        35,
        "expected one of +",
    );
    refused(
        "byte_math:bytes 4, offset 0, oper +, rvalue 1",
        11,
        "expected `result` among the settings",
    );
    refused(
        "byte_math:bytes 4, bytes 4",
        20,
        "expected each setting once",
    );
    refused("isdataat:x y", 10, "expected the name of a variable");
    refused("entropy:bytes 4", 9, "expected `value` among the settings");
    refused("entropy:value nan", 15, "expected a number such as 7.5");
    refused(
        "distance:1048577",
        10,
        "expected a number from -1048576 to 1048576",
    );
    refused(
        "xor:abc",
        5,
        "expected an even number of hexadecimal digits",
    );
}

#[test]
fn header_fields() {
    for text in [
        "flags:S,12",
        "flags:!SA",
        "flags:AP+",
        "tcp.flags:0",
        "tcp.flags:&0x12=0x12",
        "fragbits:!M",
        "fragbits:MD+",
        "ttl:>=64",
        "tos:!x1f",
        "ip_proto:!gre",
        "ip_proto:>100",
        "icmp_id:\"7\"",
        "ipopts:lsrr",
        "vlan.id:400,-1",
        "vlan.id:>100,all",
        "geoip:any,FR,DE",
        "geoip:!US",
        "tcpv4-csum:invalid",
        "l3_proto:ipv6",
    ] {
        fine(text);
    }
    refused("flags:SX", 8, "expected one of `SAPRFUCE120+*!`, found `X`");
    refused("flags:S,9", 7, "expected a number");
    refused("ttl:256", 5, "expected a number from 0 to 255");
    refused("tos:x123", 6, "expected one or two hexadecimal digits");
    refused("vlan.id:4096", 9, "expected a VLAN number below 4096");
    refused("vlan.id:1,3", 11, "expected a layer");
    refused("geoip:any,FRA", 11, "expected a country of two letters");
    refused("ipopts:xyz", 8, "expected one of rr");
}

#[test]
fn flow_and_state() {
    for text in [
        "flow:established, to_server",
        "flow.pkts:toclient,=10",
        "stream_size:server,=, 9",
        "flowbits:noalert",
        "flowbits:isset,a|b",
        "hostbits:isset,abc,src",
        "xbits:set,ET.x,track ip_src,expire 15",
        "flowint: tls.count,+,1",
        "flowint:x,notset",
        "dataset:isnotset, dns-seen.md5, type md5, state dns-seen.md5",
        "datarep:dns_md5, >, 200, load dns_md5.rep, type md5",
        "iprep:src,CnC,>,30",
        "iprep:any,BadHosts,isset",
        "threshold: type limit, track by_src, seconds 60, count 1",
        "threshold:type backoff, track by_flow, count 1, multiplier 10",
        "detection_filter:track by_dst, count 4, seconds 20",
        "tag: session, 20, packets",
        "tcp.session:setup,established",
        "requires: version >= 7.0.3 < 8 | >= 9.0.99, feature ja4",
        "decode-event:ipv6.trunc_exthdr",
    ] {
        fine(text);
    }
    refused(
        "flow:established,to_sever",
        18,
        "expected one of established",
    );
    refused("flow.bytes:up,1", 12, "expected one of toclient");
    refused("stream_size:server,>", 21, "expected `,` and a number");
    refused("flowbits:set,a|b", 14, "expected one name");
    refused("flowbits:set", 13, "expected `,` and a name");
    refused(
        "flowbits:isset,a b",
        16,
        "expected a name without white space",
    );
    refused("xbits:set,a,ip_src", 13, "expected `track`");
    refused("flowint:x,~,1", 11, "expected one of +");
    refused("datarep:x,>=,1", 11, "expected one of <, >, ==");
    refused("gunzip:1024", 8, "expected `max-size=` and a number");
    refused("subslice:1,2,3", 14, "expected `truncate`");
    refused("from_base64:offset x", 20, "expected a number from 0 to");
    refused("tcp.session:setup,open", 19, "expected one of setup");
    refused("dataset:isset,x,type sha512", 22, "expected one of string");
    refused(
        "threshold:type limit, track by_src, seconds 60",
        11,
        "expected `count` among the settings",
    );
    refused(
        "threshold:type limit, type limit",
        23,
        "expected each setting once",
    );
    refused(
        "detection_filter:track by_host, count 1, seconds 1",
        24,
        "expected one of by_src",
    );
    refused("requires:version = 8", 18, "expected `>=`");
    refused(
        "requires:version >= 8.x",
        21,
        "expected a version such as 8.0.3",
    );
}

#[test]
fn application_layers() {
    for text in [
        "app-layer-protocol:!http,final",
        "app-layer-state:<client_hello_done",
        "urilen:7<>9,norm",
        "tls.version:1.2",
        "tls_cert_notafter:>2015",
        "tls_cert_notbefore:1998-05-01<>2008-05-01",
        "ssl_state:client_hello|server_hello",
        "ssl_version:!sslv2,tls1.0",
        "dce_iface:4b324fc8-1670-01d3-1278-5a47bf6ee188,=1,any_frag",
        "dce_opnum:1,2-5",
        "modbus:function 4, subfunction 4",
        "modbus:access write holding, address 500, value >200",
        "dnp3_obj:1,2",
        "mqtt.flags:!retain,!dup",
        "mqtt.qos:2",
        "ldap.responses.operation:search_result_done,-1",
        "filesize: to_client, <100",
        "http2.settings:SETTINGS_ENABLE_PUSH=0",
        "ike.chosen_sa_attribute:alg_hash=2",
        "krb5_err_code:!0",
        "cip_service:16,246,6",
        "websocket.flags:&0x40=0x40",
        "filemd5:!list",
        "filename:\"x\"",
        "frame:http1.request",
        "krb5.ticket_encryption:weak,-5",
    ] {
        fine(text);
    }
    refused(
        "tls.version:1.4",
        13,
        "expected 1.0, 1.1, 1.2, 1.3 or a hexadecimal number",
    );
    refused("tls_cert_notafter:tomorrow", 19, "expected a date");
    refused(
        "dce_iface:4b324fc8-1670",
        11,
        "expected an interface's UUID",
    );
    refused("mqtt.flags:dup,keep", 16, "expected one of dup, retain");
    refused("mqtt.qos:3", 10, "expected a quality of service");
    refused(
        "ldap.request.operation:bind",
        24,
        "expected one of bind_request",
    );
    refused("websocket.opcode:text,first", 23, "expected an index");
    refused("modbus:access write roof", 21, "expected one of discretes");
    refused("ike.chosen_sa_attribute:alg_hash", 33, "expected `=`");
    refused("ssl_version:tls9", 13, "expected one of sslv2");
}

proptest! {
    #[test]
    fn any_value_of_any_keyword_is_taken_or_refused(
        which in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"\"|!<>-=&,:.0123456789abcdefx "[..])], 0..40),
    ) {
        let keywords: Vec<&Keyword> = all().collect();
        let mut option = option(which.get(&keywords).name);
        option.value = Some(At { value: bytes, place: Place { line: 1, column: 1 } });
        if let Err(problem) = check(&option) {
            prop_assert!(problem.place.column <= 41 && !problem.message.is_empty(), "{problem:?}");
        }
    }
}
