//! Rules that are meant to hurt: everything ends soon, and nothing that is said about it is long.

use std::fmt::Write;
use std::time::{Duration, Instant};

use weir_rules::classification::Classification;
use weir_rules::compile::{Compiler, Summary, Variables, load};
use weir_rules::syntax::SourceFile;

use super::support::compiler;

/// Far more than any of these takes in a debug build on a busy machine, and far less than any took that was quadratic.
const SOON: Duration = Duration::from_secs(30);
/// How long a line is made.
const LINE: usize = 1 << 17;

/// Loads one rule, and checks that neither it nor what is said about it takes long. True when it was loaded.
#[track_caller]
fn survives(what: &str, rule: String, compiler: &Compiler) -> bool {
    let start = Instant::now();
    let file = SourceFile {
        name: "hostile.rules".into(),
        bytes: rule.into_bytes(),
    };
    let loaded = load(&[file], compiler);
    for refused in &loaded.refused {
        for problem in &refused.problems {
            assert!(
                problem.message.len() < 500 && problem.subject.len() < 100,
                "{what}: {} bytes of message, {} of subject",
                problem.message.len(),
                problem.subject.len()
            );
        }
    }
    for warned in &loaded.warnings {
        assert!(warned.warning.message.len() < 500, "{what}");
    }
    for skipped in &loaded.skipped {
        assert!(skipped.reason.len() < 500, "{what}");
    }
    assert!(
        Summary::new(&loaded).to_string().len() < 100_000,
        "{what}: a long summary"
    );
    let took = start.elapsed();
    assert!(took < SOON, "{what} took {took:?}");
    loaded.counts.evaluated == 1
}

/// `piece` as often as it fits a line.
fn repeated(piece: &str) -> String {
    piece.repeat(LINE / piece.len())
}

fn with_options(options: &str) -> String {
    format!("alert tcp any any -> any any ({options} sid:1;)")
}

/// A list of as many items as fit four lines.
fn list(item: impl Fn(u32) -> String) -> String {
    let mut text = String::from("[");
    for at in 0.. {
        if text.len() >= 4 * LINE {
            break;
        }
        write!(text, "{},", item(at)).expect("memory");
    }
    text.pop();
    text + "]"
}

#[test]
fn long_lists() {
    let address = |at: u32| std::net::Ipv4Addr::from(0x0100_0000 + at * 2).to_string();
    let odd = |at: u32| format!("!{}", std::net::Ipv4Addr::from(0x0100_0001 + at * 2));
    let port = |at: u32| (at * 2 % 65_536).to_string();
    let header = |text: &str| format!("alert tcp {text} -> any any (sid:1;)");
    for (what, text) in [
        ("addresses", format!("{} any", list(address))),
        ("negated", format!("{} any", list(odd))),
        ("both", format!("[{},{}] any", list(address), list(odd))),
        ("ports", format!("any {}", list(port))),
        (
            "networks",
            format!("{} any", list(|_| "10.0.0.0/8".to_owned())),
        ),
        (
            "variables",
            format!("{} any", list(|_| "$HOME_NET".to_owned())),
        ),
    ] {
        assert!(survives(what, header(&text), &compiler()), "{what}");
    }
    survives(
        "brackets",
        header(&format!("{} any", repeated("["))),
        &compiler(),
    );
    survives(
        "exclamation marks",
        header(&format!("{} any", repeated("!"))),
        &compiler(),
    );
}

#[test]
fn variables_that_grow() {
    // Each is twice the one after it, and the last is a long list.
    let mut addresses: Vec<_> = (0..40)
        .map(|at| {
            let next = at + 1;
            (format!("V{at}"), format!("[$V{next},$V{next},!$V{next}]"))
        })
        .collect();
    addresses.push((
        "V40".to_owned(),
        list(|at| std::net::Ipv4Addr::from(at * 2).to_string()),
    ));
    let compiler = Compiler::new(Variables::new(addresses, []), Classification::stock());
    let many = format!(
        "alert tcp {} any -> any any (sid:1;)",
        list(|_| "$V40".to_owned())
    );
    assert!(survives("one variable many times", many, &compiler));
    survives(
        "a tower of variables",
        "alert tcp $V0 any -> any any (sid:1;)".to_owned(),
        &compiler,
    );
}

#[test]
fn many_options() {
    for piece in [
        "a;",
        "nocase;",
        "content:\"a\";",
        "isdataat:1;",
        "uricontent:\"a\";",
        "fast_pattern;",
        "base64_decode;",
        "base64_data;",
        "pcre:\"/a/U\";",
        "reference:a,b;",
        "metadata:a b;",
        "byte_extract:1,0,a;",
        "classtype:x;",
        "ip.src;",
        "requires:version >= 9;",
        "nosuchthing;",
        "flowbits:isset,a|b|c;",
        "flowint:a,+,1;",
        "flow.pkts:either,1;",
        "replace:\"a\";",
        "tcp.hdr;to_md5;",
        "tcp.hdr;bsize:1;to_md5;",
        "ip.src;dataset:set,a,type ip;",
        "stream-event:est_syn_resend;",
    ] {
        survives(piece, with_options(&repeated(piece)), &compiler());
        // Those that look back for a content have far to look.
        let far = format!(
            "content:\"a\";{}{}",
            "isdataat:1;".repeat(2000),
            piece.repeat(2000)
        );
        survives(piece, with_options(&far), &compiler());
    }
}

#[test]
fn many_buffers_and_sets() {
    let mut options = String::new();
    for at in 0.. {
        if options.len() >= LINE {
            break;
        }
        write!(options, "tcp.hdr;xor:\"{at:08x}\";bsize:1;").expect("memory");
    }
    assert!(!survives("buffers", with_options(&options), &compiler()));
    let rules: String = (0..4000)
        .map(|at| {
            format!("alert tcp any any -> any any (ip.src; dataset:set,s{at},type ip; sid:{at};)\n")
        })
        .collect();
    survives("sets", rules, &compiler());
}

#[test]
fn long_words() {
    let long = "x".repeat(LINE);
    for options in [
        format!("{long};"),
        format!("content:\"{long}\"; nocase;"),
        format!("content:\"|{}|\";", "41 ".repeat(LINE / 3)),
        format!("pcre:\"/{long}/\";"),
        format!("pcre:\"/{}/\";", "(".repeat(LINE)),
        format!("pcre:\"/{}{}/\";", "(".repeat(200), ")*".repeat(200)),
        format!(
            "pcre:\"/{}{}/\";",
            "(".repeat(20) + "a",
            "{1,60})".repeat(20)
        ),
        format!("pcre:\"/{}/{}\";", "a|".repeat(LINE / 2), "i"),
        format!("msg:\"{long}\";"),
        format!("msg:\"{}\";", "\\\\".repeat(LINE / 2)),
        format!("classtype:{long};"),
        format!("reference:{long},{long};"),
        format!("metadata:{};", repeated("a b,")),
        format!("requires:{long} y;"),
        format!("requires:keyword {long};"),
        format!("requires:version {};", repeated(">= 8|")),
        format!("byte_test:1,=,{long},0;"),
        format!("byte_test:{};", repeated("1,")),
        format!("sid:{};", "1".repeat(LINE)),
        format!("flow:{};", repeated("established,")),
        format!("dsize:{};", repeated("<")),
        format!("threshold:{};", repeated("type limit,")),
        format!("decode-event:{long};"),
        format!("stream-event:{long};"),
        format!("flowbits:set,{long};"),
        format!("flowbits:isset,{};", repeated("a|")),
        format!("flowint:{long},+,{long};"),
        format!("xbits:set,{long},track {long};"),
        format!("iprep:src,{long},isset;"),
        format!("geoip:{};", repeated("US,")),
        format!("ip.src; dataset:set,{long},type ip;"),
        format!("ip.src; dataset:isset,a,type ip,load {long};"),
        format!("ip.src; xor:\"{}\"; bsize:1;", "41".repeat(LINE)),
        format!("ip.src; pcrexform:\"({long})\"; bsize:1;"),
        format!("ip.src; {} bsize:1;", repeated("to_md5;")),
        format!("content:\"a\"; replace:\"{long}\";"),
        format!("tag:{};", repeated("session,")),
        format!("content:\"a\"; http_header:{long};"),
        repeated("\\"),
        repeated("\""),
        repeated(";"),
        repeated("a:\\;"),
    ] {
        let what = options.get(..30).unwrap_or(&options).to_owned();
        survives(&what, with_options(&options), &compiler());
    }
    for rule in [
        long.clone(),
        format!("alert {long} any any -> any any (sid:1;)"),
        format!("alert tcp ${long} any -> any any (sid:1;)"),
        format!("alert tcp any ${long} -> any any (sid:1;)"),
        format!("alert tcp any any {long} any any (sid:1;)"),
        format!("alert tcp:{long} any any -> any any (sid:1;)"),
        repeated("alert tcp any any -> any any (sid:1;)\\\n"),
        repeated("\\\n"),
        repeated("nosuch tcp any any -> any any (sid:1;)\n"),
        repeated("alert tcp any any -> any any (nosuchword:1; sid:1;)\n"),
        "(".repeat(LINE),
        ")".repeat(LINE),
    ] {
        let what = rule.get(..30).unwrap_or(&rule).to_owned();
        survives(&what, rule, &compiler());
    }
}
