//! Transforms of buffers, and the sets that buffers are looked up in.

use std::path::{Path, PathBuf};

use weir_engine::plan::{
    Base64Mode, Buffer, Compare, DatasetOp, Op, SetFormat, SetKind, StateTest, Subslice, Transform,
};
use weir_rules::compile::{Loaded, load};
use weir_rules::syntax::SourceFile;
use weir_rules::syntax::ast::ProblemKind;

use super::support::{compiler, outcome, tcp};

/// The transforms of the one buffer that a rule looks at.
fn transforms(options: &str) -> Vec<Transform> {
    let rule = tcp(&format!(r#"tcp.hdr; {options} content:"a";"#));
    let [plan] = rule.buffers.as_slice() else {
        panic!("{options}: {:?}", rule.buffers)
    };
    plan.transforms.clone()
}

#[track_caller]
fn refused(options: &str) -> String {
    let text = format!("alert tcp any any -> any any ({options} sid:1;)");
    let problems = outcome(&text).expect_err(&text);
    assert!(
        problems
            .iter()
            .all(|problem| problem.kind == ProblemKind::Syntax),
        "{options}: {problems:?}"
    );
    problems.first().expect("a problem").message.clone()
}

#[test]
fn transforms_with_and_without_settings() {
    assert_eq!(
        transforms(
            "to_lowercase; to_uppercase; strip_whitespace; compress_whitespace; dotprefix; domain; tld; url_decode;"
        ),
        [
            Transform::ToLowercase,
            Transform::ToUppercase,
            Transform::StripWhitespace,
            Transform::CompressWhitespace,
            Transform::DotPrefix,
            Transform::Domain,
            Transform::Tld,
            Transform::UrlDecode,
        ]
    );
    assert_eq!(
        transforms("header_lowercase; strip_pseudo_headers; to_md5; to_sha1; to_sha256;"),
        [
            Transform::HeaderLowercase,
            Transform::StripPseudoHeaders,
            Transform::ToMd5,
            Transform::ToSha1,
            Transform::ToSha256,
        ]
    );
    assert_eq!(
        transforms(r#"xor:"0d0Ac8"; gunzip; zlib_deflate:max-size=1MiB; gunzip:max-size 16;"#),
        [
            Transform::Xor([0x0d, 0x0a, 0xc8].into()),
            Transform::Gunzip { max_size: 1024 },
            Transform::ZlibDeflate { max_size: 1 << 20 },
            Transform::Gunzip { max_size: 16 },
        ]
    );
    let base64 = |offset, bytes, mode| Transform::FromBase64 {
        offset,
        bytes,
        mode,
    };
    assert_eq!(
        transforms(
            "from_base64; from_base64: bytes 6, offset 7; from_base64:mode strict; from_base64: mode rfc2045;"
        ),
        [
            base64(0, None, Base64Mode::Rfc4648),
            base64(7, Some(6), Base64Mode::Rfc4648),
            base64(0, None, Base64Mode::Strict),
            base64(0, None, Base64Mode::Rfc2045),
        ]
    );
    let part = |offset, bytes, truncate| {
        Transform::Subslice(Subslice {
            offset,
            bytes,
            truncate,
        })
    };
    assert_eq!(
        transforms("subslice:1; subslice:-4,2; subslice:0, truncate; subslice:1,-1,TRUNCATE;"),
        [
            part(1, None, false),
            part(-4, Some(2), false),
            part(0, None, true),
            part(1, Some(-1), true),
        ]
    );
    let [Transform::Pcre(regex)] = &transforms(r#"pcrexform:"[a-z]+\s+(.*)\s+HTTP";"#)[..] else {
        panic!("an expression")
    };
    assert_eq!(regex.pattern(), br"[a-z]+\s+(.*)\s+HTTP");
}

#[test]
fn wrong_transforms_are_refused() {
    for (options, word) in [
        (
            r#"content:"a"; to_md5; content:"b";"#,
            "sticky buffer before it",
        ),
        (
            r#"tcp.hdr; pkt_data; to_md5; content:"b";"#,
            "sticky buffer before it",
        ),
        (
            r#"tcp.hdr; to_md5; content:"a"; to_sha1; content:"b";"#,
            "before what is asked",
        ),
        (
            r#"tcp.hdr; to_md5; ipv4.hdr; content:"a";"#,
            "nothing is asked",
        ),
        (r#"tcp.hdr; content:"a"; to_md5;"#, "nothing is asked"),
        (r#"tcp.hdr; xor:"0"; content:"a";"#, "hexadecimal"),
        (r#"tcp.hdr; gunzip:max-size=0; content:"a";"#, "from 1 to"),
        (
            r#"tcp.hdr; gunzip:max-size=17MiB; content:"a";"#,
            "16777216",
        ),
        (r#"tcp.hdr; subslice:1,0; content:"a";"#, "other than 0"),
        (r#"tcp.hdr; pcrexform:"abc"; content:"a";"#, "has 0"),
        (r#"tcp.hdr; pcrexform:"(a)(b)"; content:"a";"#, "has 2"),
        (r#"tcp.hdr; pcrexform:"(a"; content:"a";"#, "not valid"),
        (
            r#"tcp.hdr; from_base64:offset 1, offset 2; content:"a";"#,
            "once",
        ),
    ] {
        let message = refused(options);
        assert!(message.contains(word), "{options}: {message}");
    }
    let many = "to_md5; ".repeat(17);
    assert!(refused(&format!(r#"tcp.hdr; {many} content:"a";"#)).contains("at most 16"));
}

/// The same buffer with other transforms is another buffer, and what comes before a transform is about the buffer as it
/// was.
#[test]
fn buffers_are_apart_by_their_transforms() {
    let rule = tcp(
        r#"tcp.hdr; content:"a"; to_lowercase; content:"b"; tcp.hdr; content:"c"; tcp.hdr; to_lowercase; content:"d"; distance:1; tcp.hdr; to_uppercase; bsize:4;"#,
    );
    let found: Vec<_> = rule
        .buffers
        .iter()
        .map(|plan| (plan.buffer, plan.transforms.as_slice(), plan.ops.len()))
        .collect();
    assert_eq!(
        found,
        [
            (Buffer::TcpHdr, &[][..], 2),
            (Buffer::TcpHdr, &[Transform::ToLowercase][..], 2),
            (Buffer::TcpHdr, &[Transform::ToUppercase][..], 1),
        ]
    );
    let second = rule.buffers.get(1).map(|plan| plan.ops.as_slice());
    assert!(
        matches!(second, Some([Op::Content(_), Op::Content(second)]) if second.relative()),
        "{second:?}"
    );
}

#[test]
fn a_transformed_buffer_is_not_searched_ahead() {
    let rule = tcp(r#"tcp.hdr; to_lowercase; content:"abcdef"; pkt_data; content:"xyz";"#);
    assert_eq!(rule.probe.expect("a probe").bytes, b"xyz");
    assert!(
        tcp(r#"tcp.hdr; to_lowercase; content:"abcdef";"#)
            .probe
            .is_none()
    );
}

/// A folder with a rule file and the files that it names.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str) -> &Self {
        std::fs::write(self.path(name), "").expect("written");
        self
    }

    /// What becomes of rules with these options.
    fn load(&self, options: &[&str]) -> Loaded {
        let text: String = (1..)
            .zip(options)
            .map(|(sid, options)| format!("alert ip any any -> any any ({options} sid:{sid};)\n"))
            .collect();
        let name = self.path("a.rules").display().to_string();
        let file = SourceFile {
            name: name.into(),
            bytes: text.into(),
        };
        load(&[file], &compiler())
    }

    /// The problem of the one rule that is refused.
    #[track_caller]
    fn refused(&self, options: &[&str]) -> String {
        let loaded = self.load(options);
        let [refused] = loaded.refused.as_slice() else {
            panic!("{options:?}: {:?}", loaded.refused)
        };
        assert_eq!(refused.kind(), ProblemKind::Syntax);
        refused.to_string()
    }
}

#[test]
fn sets_are_asked_about_buffers() {
    let folder = Folder::new();
    folder.file("seen.lst").file("rep.lst");
    let loaded = folder.load(&[
        r#"tcp.hdr; content:"a"; ip.src; to_md5; dataset:set,seen,type md5,state seen.md5; dataset:isset,known, type md5, load seen.lst, memcap 10mb, hashsize 1024;"#,
        "ip.dst; datarep:bad, >, 200, load rep.lst, type ipv4;",
        "ip.dst; dataset:isnotset,seen; dataset:unset,seen;",
    ]);
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    let tests: Vec<_> = loaded
        .rules
        .rules()
        .iter()
        .map(|rule| rule.state_tests.as_slice())
        .collect();
    let asks = |buffer, set: &str, op| StateTest::Dataset {
        buffer,
        set: set.into(),
        op,
    };
    assert_eq!(
        tests,
        [
            &[
                asks(1, "known", DatasetOp::IsSet),
                asks(1, "seen", DatasetOp::Set)
            ][..],
            &[StateTest::DataRep {
                buffer: 0,
                set: "bad".into(),
                compare: Compare::Gt,
                value: 200
            }],
            &[
                asks(0, "seen", DatasetOp::IsNotSet),
                asks(0, "seen", DatasetOp::Unset)
            ],
        ],
        "what changes a set comes last"
    );
    let sets: Vec<_> = loaded
        .rules
        .data_sets()
        .iter()
        .map(|set| (&*set.name, set.kind, set.reputation, set.memcap))
        .collect();
    assert_eq!(
        sets,
        [
            ("seen", SetKind::Md5, false, None),
            ("known", SetKind::Md5, false, Some(10 << 20)),
            ("bad", SetKind::Ipv4, true, None),
        ]
    );
    let [seen, known, bad] = loaded.rules.data_sets() else {
        panic!("three sets")
    };
    assert_eq!((&seen.load, seen.restore), (&None, true));
    assert_eq!(seen.save.as_deref(), Some(Path::new("seen.md5")));
    assert_eq!(
        known.load,
        Some(folder.path("seen.lst")),
        "beside the rule file"
    );
    assert_eq!(bad.load, Some(folder.path("rep.lst")));
}

#[test]
fn sets_from_json() {
    let folder = Folder::new();
    folder.file("src.json");
    let loaded = folder.load(&[
        "ip.src; dataset:isset,src_ip,type ip,load src.json,format ndjson, context_key src_ip,value_key ip.addr, array_key a.b, remove_key;",
    ]);
    let [set] = loaded.rules.data_sets() else {
        panic!("{:?}", loaded.refused)
    };
    assert_eq!(
        set.format,
        SetFormat::Json {
            lines: true,
            value_key: Some("ip.addr".to_owned()),
            array_key: Some("a.b".to_owned()),
            context_key: Some("src_ip".to_owned()),
            remove_key: true,
        }
    );
    let message = folder.refused(&["ip.src; dataset:set,x,type ip,load src.json,format json;"]);
    assert!(message.contains("cannot be changed"), "{message}");
}

#[test]
fn sets_that_do_not_fit_are_refused() {
    let folder = Folder::new();
    folder.file("a.lst").file("b.lst");
    for (options, word) in [
        (
            &["content:\"a\"; dataset:isset,x,type string;"][..],
            "sticky buffer",
        ),
        (&["ip.src; dataset:isset,x;"], "needs a `type`"),
        (
            &["ip.src; dataset:isset,x,type ip,load none.lst;"],
            "neither beside the rule file",
        ),
        (
            &["ip.src; dataset:set,x,type ip,save /etc/passwd;"],
            "below the folder for state",
        ),
        (
            &["ip.src; dataset:set,x,type ip,state ../x;"],
            "below the folder for state",
        ),
        (
            &["ip.src; dataset:set,x,type ip,state s,load a.lst;"],
            "goes without",
        ),
        (&["ip.src; dataset:set,x,type ip,type ip;"], "once"),
        (
            &[
                "ip.src; dataset:isset,x,type ip;",
                "ip.src; dataset:isset,x,type ipv4;",
            ],
            "another `type`",
        ),
        (
            &[
                "ip.src; dataset:isset,x,type ip,load a.lst;",
                "ip.src; dataset:isset,x,type ip,load b.lst;",
            ],
            "other files",
        ),
    ] {
        let message = folder.refused(options);
        assert!(message.contains(word), "{options:?}: {message}");
    }
    // A rule that is refused leaves no set behind.
    let loaded = folder.load(&["ip.src; dataset:isset,x,type ip; dataset:isset,y;"]);
    assert!(loaded.refused.len() == 1 && loaded.rules.data_sets().is_empty());
}
