//! Variables, whole rule sets, and rules for other versions.

use std::sync::Arc;

use weir_rules::classification::Classification;
use weir_rules::compile::{Compiled, Compiler, Summary, Variables, load};
use weir_rules::syntax::ast::{Place, Problem, ProblemKind};
use weir_rules::syntax::{SourceFile, parse_rule};

use super::support::{compiler, outcome};

#[test]
fn variables_are_resolved_where_they_are_used() {
    let variables = Variables::new(
        [
            ("NET", "[10.0.0.0/8,!10.1.0.0/16]"),
            ("OUT", "!172.16.0.0/12"),
            ("LOOP", "[$POOL,1.1.1.1]"),
            ("POOL", "$LOOP"),
            ("ALL", "!0.0.0.0/0"),
            ("DEEP", "[[$NET, [2.2.2.2, !10.2.0.0/16]]]"),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned())),
        [
            ("WEB", "[80,8000:8080,!8008]"),
            ("REST", "![$ODD,80]"),
            ("ODD", "[1:9,22]"),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned())),
    );
    let compiler = Compiler::new(variables, Classification::stock());
    let compile = |header: &str| {
        let text = format!("alert tcp {header} (sid:1;)");
        let rule = parse_rule(text.as_bytes(), Place { line: 1, column: 1 }).expect("a rule");
        compiler
            .compile(&rule, &Arc::from("test.rules"))
            .map(|compiled| match compiled {
                Compiled::Rule { rule, .. } => rule.header,
                Compiled::Skipped { reason } => panic!("{reason}"),
            })
    };
    let has = |header: &str, address: &str| {
        compile(header)
            .expect(header)
            .src
            .contains(address.parse().expect("an address"))
    };
    assert!(has("$NET any -> any any", "10.2.0.1") && !has("$NET any -> any any", "10.1.0.1"));
    assert!(!has("$OUT any -> any any", "172.16.0.1") && has("$OUT any -> any any", "10.1.0.1"));
    assert!(has("!$OUT any -> any any", "172.16.0.1") && !has("!$OUT any -> any any", "10.1.0.1"));
    assert!(!has("$DEEP any -> any any", "10.2.0.1") && has("$DEEP any -> any any", "2.2.2.2"));
    assert!(
        !has("!10.0.0.0/8 any -> any any", "fe80::1"),
        "only the family that is negated is there"
    );
    assert!(
        has("!fe80::/10 any -> any any", "2001::1") && !has("!fe80::/10 any -> any any", "1.1.1.1")
    );
    let ports = compile("any $WEB -> any $REST").expect("ports");
    assert!(ports.sport.contains(8000) && !ports.sport.contains(8008));
    assert!(!ports.dport.contains(80) && !ports.dport.contains(9) && ports.dport.contains(81));

    for (header, column, word) in [
        ("$NONE any -> any any", 11, "not defined"),
        ("$LOOP any -> any any", 11, "by itself"),
        ("any any -> [1.1.1.1,$POOL] any", 31, "by itself"),
        ("any any -> any ![$NONE]", 28, "not defined"),
        ("$ALL any -> any any", 11, "negated"),
        (
            "[1.1.1.1,!1.1.1.0/24] any -> any any",
            11,
            "no address is left",
        ),
        ("any [80,!80] -> any any", 15, "no port is left"),
        // Flattened, as in Suricata: 10.1.0.0/16 is left to be added, and it lies within what is taken away.
        ("!$NET any -> any any", 12, "no address is left"),
    ] {
        let problems = compile(header).expect_err(header);
        let [
            Problem {
                kind: ProblemKind::Syntax,
                place,
                message,
                ..
            },
        ] = problems.as_slice()
        else {
            panic!("{problems:?}")
        };
        assert!(
            place.column == column && message.contains(word),
            "{header}: {place:?} {message}"
        );
    }
}

fn sources(text: &str) -> Vec<SourceFile> {
    vec![SourceFile {
        name: "a.rules".into(),
        bytes: text.into(),
    }]
}

#[test]
fn loading_counts_every_rule_once() {
    let loaded = load(
        &sources(
            "alert tcp any any -> any any (sid:1; rev:1;)\n\
             alert tcp any any -> any any (msg:\"new\"; sid:1; rev:2;)\n\
             alert tcp any any -> any any (sid:1; rev:2;)\n\
             # a comment\n\
             alert tcp any any -> any any (gid:2; sid:1; rev:1;)\n\
             alert modbus any any -> any any (asn1:double_overflow; sid:2;)\n\
             alert tcp any any -> any any (asn1:double_overflow; sid:3;)\n\
             alert vxlan any any -> any any (requires: version >= 10; sid:4;)\n\
             alert tcp any any -> any any (requires: version >= 7 < 8 | >= 8.0.1, keyword content; sid:5;)\n\
             alert tcp any any -> any any (nocase; asn1:double_overflow; sid:6;)\n\
             rubbish\n",
        ),
        &compiler(),
    );
    assert_eq!(
        loaded.counts.to_string(),
        "rules: 10 read, 3 evaluated, 2 unsupported, 3 syntax errors"
    );
    assert_eq!((loaded.counts.skipped, loaded.comments), (2, 1));
    assert_eq!(
        loaded
            .rules
            .rules()
            .iter()
            .map(|rule| (rule.meta.gid, rule.meta.sid, rule.meta.rev))
            .collect::<Vec<_>>(),
        [(1, 1, 2), (2, 1, 1), (1, 5, 0)]
    );
    let lines: Vec<_> = loaded
        .refused
        .iter()
        .map(|refused| refused.problems.first().expect("a problem").place.line)
        .collect();
    assert_eq!(lines, [3, 6, 7, 10, 11], "in the order of the file");
    assert_eq!(
        loaded.refused.get(2).expect("refused").to_string(),
        "a.rules:7:31: asn1: `asn1` is not supported yet"
    );
    let summary = Summary::new(&loaded);
    let (subject, row) = summary.rows().first().expect("a row");
    assert_eq!(
        (subject.as_str(), row.first, row.alone, row.with_others),
        ("asn1", 1, 1, 2)
    );
    assert_eq!(
        summary
            .rows()
            .iter()
            .map(|(_, row)| row.first)
            .sum::<usize>(),
        loaded.refused.len()
    );
}

#[test]
fn requires_in_all_its_forms() {
    let skipped = |value: &str| {
        matches!(
            outcome(&format!(
                "alert tcp any any -> any any (requires: {value}; sid:1;)"
            )),
            Ok(Compiled::Skipped { .. })
        )
    };
    for met in [
        "version >= 8",
        "version >= 7.0.3 < 9",
        "version > 8.0.0",
        "version <= 8.0.6",
        "version < 7 | >= 8",
        "keyword sid",
        "feature ja4",
    ] {
        assert!(!skipped(met), "{met}");
    }
    for unmet in [
        "version >= 9",
        "version >= 7 < 8",
        "version > 8.0.6",
        "feature lua",
        "keyword foobar",
        "wings",
        "keyword sid, feature x",
    ] {
        assert!(skipped(unmet), "{unmet}");
    }
    let problems = outcome("alert nosuch any any -> any any (requires: version 8; sid:1;)")
        .expect_err("no operator");
    assert!(
        problems.iter().all(|problem| problem.subject == "requires"),
        "{problems:?}"
    );
}

#[test]
fn a_place_in_a_continued_rule_is_that_of_the_file() {
    let loaded = load(
        &sources(
            "alert tcp any any -> any any (msg:\"x\"; \\\n  content:\"a\"; \\\n nocase; nocase; sid:1;)\n",
        ),
        &compiler(),
    );
    let refused = loaded.refused.first().expect("refused");
    let place = refused.problems.first().expect("a problem").place;
    assert_eq!(
        place,
        Place {
            line: 3,
            column: 10
        },
        "{refused}"
    );
}
