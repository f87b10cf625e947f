//! `weir rules exercise`: what it makes fires, and what nearly fires does not, also for `weir run`.

mod common;

use std::collections::{HashMap, HashSet};

use common::Bench;

/// A rule of every kind that conversations can be made for.
const RULES: &str = r#"
alert tcp any any -> any any (msg:"plain"; flow:established,to_server; content:"alpha"; sid:1;)
alert tcp $HOME_NET any -> $EXTERNAL_NET 4444 (msg:"places"; flow:established,to_server; content:"|01 02|"; depth:2; content:"beta"; distance:4; within:12; content:!"gamma"; sid:2;)
alert tcp any 7000 -> any any (msg:"answer"; flow:established,to_client; content:"ready"; nocase; isdataat:!1,relative; sid:3;)
alert tcp any any -> any any (msg:"expression"; flow:established; content:"cmd="; pcre:"/cmd=[a-f0-9]{8}(?:up|down)\x3b/i"; sid:4;)
alert udp any any -> any 9999 (msg:"numbers"; content:"|aa|"; offset:3; depth:1; byte_test:2,>,500,1,relative; dsize:>20; sid:5;)
alert udp any any -> any any (msg:"jump"; content:"LEN"; depth:3; byte_jump:2,0,relative; content:"tail"; within:4; sid:6;)
alert udp any any -> any any (msg:"extract"; content:"X:"; byte_extract:1,0,len,relative; content:"end"; distance:0; within:len; sid:7;)
alert icmp any any -> any any (msg:"echo"; itype:8; icode:0; content:"probe"; sid:8;)
alert tcp any any -> any any (msg:"flags"; flags:SF,12; sid:9;)
alert tcp [203.0.113.0/28] any -> any 22 (msg:"addresses"; flow:to_server; flags:S,12; threshold:type limit, track by_src, count 1, seconds 60; sid:10;)
alert ip any any -> any any (msg:"protocol"; ip_proto:47; sid:11;)
alert udp any any -> any any (msg:"ttl"; ttl:3; content:"low"; sid:12;)
alert http any any -> any any (msg:"uri"; flow:established,to_server; http.method; content:"GET"; http.uri; content:"/a b/"; content:".cgi?"; distance:0; sid:13;)
alert http any any -> any any (msg:"uri length"; flow:established,to_server; urilen:24; http.uri; content:"/zeta"; startswith; content:".png"; endswith; sid:14;)
alert http any any -> any any (msg:"old modifiers"; flow:established,to_server; content:"POST"; http_method; content:"/gate"; http_uri; content:"key="; http_client_body; depth:4; pcre:"/^key=\d{4,}$/P"; sid:15;)
alert http any any -> any any (msg:"headers"; flow:established,to_server; http.header; content:"X-Token|3a 20|t0k"; content:"|0d 0a|"; distance:4; within:2; http.user_agent; content:"agent/1"; startswith; sid:16;)
alert http any any -> any any (msg:"names"; flow:established,to_server; http.header_names; content:"|0d 0a|Host|0d 0a|Accept|0d 0a|User-Agent|0d 0a 0d 0a|"; bsize:30; http.host; content:"names.example"; sid:17;)
alert http any any -> any any (msg:"cookie"; flow:established,to_server; http.cookie; content:"sid="; startswith; http.host; dotprefix; content:".cookie.example"; endswith; sid:18;)
alert http any any -> any any (msg:"no referer"; flow:established,to_server; http.uri; content:"/quiet"; http.header_names; content:!"Referer"; sid:19;)
alert http any any -> any any (msg:"response"; flow:established,to_client; http.stat_code; content:"404"; http.content_type; content:"text/x"; startswith; sid:20;)
alert http any any -> any any (msg:"file"; flow:established,to_client; file.data; content:"<eval>"; content:"</eval>"; distance:1; within:40; sid:21;)
alert http any any -> any any (msg:"raw"; flow:established,to_server; http.uri; content:"/raw"; content:"rawbytes"; sid:22;)
alert http any any -> any any (msg:"request line"; flow:established,to_server; http.request_line; content:"PUT /line "; startswith; sid:23;)
alert http any any -> any any (msg:"start"; flow:established,to_server; http.start; content:"HTTP/1.1|0d 0a|Host|3a 20|start.example|0d 0a 0d 0a|"; endswith; sid:24;)
alert dns any any -> any any (msg:"query"; dns.query; content:"evil"; startswith; content:".example"; endswith; sid:25;)
alert dns any any -> any any (msg:"below"; dns.query; dotprefix; content:".bad.example"; endswith; nocase; sid:26;)
alert dns any any -> any any (msg:"type"; dns.rrtype:16; dns.query; content:"text.example"; sid:27;)
alert dns any any -> any any (msg:"dns bytes"; content:"|00 01 00 01|"; content:"|00 04 c6 33 64 07|"; distance:4; within:6; sid:28;)
alert tls any any -> any any (msg:"name"; flow:established,to_server; tls.sni; content:"sni.example"; bsize:11; sid:29;)
alert tls any any -> any any (msg:"certificate"; flow:established,to_client; tls.cert_subject; content:"O=Test, Inc"; content:"CN=c.example"; distance:0; tls.cert_issuer; content:"CN=ca"; sid:30;)
alert tls any any -> any any (msg:"serial"; flow:established,to_client; tls.cert_serial; content:"0A:1C:FF"; sid:31;)
alert tls any any -> any any (msg:"bytes of a certificate"; flow:established,to_client; content:"|16|"; content:"|0b|"; within:8; content:"|55 04 03|"; distance:0; content:"|07|tls.xyz"; distance:1; within:8; sid:32;)
alert smtp any any -> any any (msg:"subject"; flow:established,to_server; email.subject; content:"invoice"; sid:33;)
alert smtp any any -> any any (msg:"mail"; flow:established,to_server; content:"covered"; content:"|0d 0a|"; distance:0; sid:34;)
alert ftp any any -> any any (msg:"command"; flow:established,to_server; content:"MKD secret"; depth:10; sid:35;)
alert ssh any any -> any any (msg:"banner"; flow:established,to_server; ssh.software; content:"libodd"; sid:36;)
alert http any any -> any any (msg:"asked"; flow:established,to_server; http.uri; content:"/step1"; flowbits:set,step1; noalert; sid:37;)
alert http any any -> any any (msg:"and answered"; flow:established,to_client; flowbits:isset,step1; file.data; content:"done"; sid:38;)
alert udp any any -> any any (msg:"often"; content:"knock"; threshold:type threshold, track by_src, count 5, seconds 30; sid:39;)
alert udp any any -> any any (msg:"encoded"; content:"b64="; base64_decode:offset 0,relative; base64_data; content:"hidden"; startswith; sid:40;)
alert http any any -> any any (msg:"decoded"; flow:established,to_server; http.request_body; url_decode; content:"a&b<c>"; sid:41;)
"#;

/// A rule that nothing can be made for.
const UNMET: &str = r#"
alert tls any any -> any any (msg:"digest"; flow:established,to_server; ja3.hash; content:"0123456789abcdef0123456789abcdef"; sid:90;)
alert tcp any any -> any any (msg:"nobody sets it"; flowbits:isset,never; content:"x"; sid:91;)
"#;

fn exercised() -> Bench {
    let bench = Bench::new();
    bench.file("a.rules", format!("{RULES}{UNMET}"));
    bench
        .weir("rules exercise a.rules -o out.pcap")
        .code(0)
        .prints("wants a digest")
        .prints("state that nothing sets")
        .prints("41 of 43 rules proven both ways (95.3 %)");
    bench
}

fn lines(bench: &Bench, name: &str) -> Vec<serde_json::Value> {
    let parse = |line: &str| serde_json::from_str(line).expect("a line is a JSON object");
    bench.read(name).lines().map(parse).collect()
}

#[test]
fn every_rule_fires_on_its_conversation_and_not_on_its_near_miss() {
    let bench = exercised();
    let expected = lines(&bench, "out.expected.jsonl");
    assert_eq!(expected.len(), 2 * 41);
    bench
        .weir("run --pcap out.pcap --rules a.rules --eve eve.json")
        .code(0);
    let mut by_packet: HashMap<u64, HashSet<u64>> = HashMap::new();
    for alert in bench.eve("eve.json") {
        let packet = alert["pcap_cnt"].as_u64().expect("a packet");
        let sid = alert["alert"]["signature_id"].as_u64().expect("a sid");
        by_packet.entry(packet).or_default().insert(sid);
    }
    for line in &expected {
        let number = |at: usize| line["packets"][at].as_u64().expect("a number");
        let sid = line["sid"].as_u64().expect("a sid");
        let fired = (number(0)..=number(1)).any(|packet| {
            let here = by_packet.get(&packet);
            here.is_some_and(|sids| sids.contains(&sid))
        });
        let wanted = line["expect"] == "fires" && line.get("noalert").is_none();
        assert_eq!(fired, wanted, "{line}");
        assert_eq!(
            line["expect"] == "near miss",
            line.get("broken").is_some(),
            "{line}"
        );
    }
}

#[test]
fn what_cannot_be_made_is_listed_with_its_reason() {
    let bench = exercised();
    let unmet = lines(&bench, "out.unmet.jsonl");
    let reason = |sid: u64| {
        let line = unmet
            .iter()
            .find(|line| line["sid"] == sid)
            .expect("a line");
        line["reason"].as_str().expect("a reason").to_owned()
    };
    assert_eq!(unmet.len(), 2);
    assert_eq!(reason(90), "wants a digest");
    assert_eq!(reason(91), "state that nothing sets");
}

#[test]
fn the_same_rules_give_the_same_capture() {
    let (first, second) = (exercised(), exercised());
    let capture = |bench: &Bench| std::fs::read(bench.path("out.pcap")).expect("a capture");
    assert!(capture(&first) == capture(&second));
    assert_eq!(
        first.read("out.expected.jsonl"),
        second.read("out.expected.jsonl")
    );
}
