//! Rules that are meant to hurt whoever makes traffic for them.

use std::fmt::Write;

use super::tests::{accepted, rules};
use super::{Exerciser, Unmet};
use crate::exercise::{pattern, strings};

fn udp(options: &str) -> String {
    format!("alert udp any any -> any any ({options} sid:1;)")
}

/// Runs with the stack of a thread, as making traffic does.
fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(work);
    thread.expect("a thread").join().expect("it does not panic")
}

#[test]
fn numbers_as_large_as_can_be_are_only_numbers() {
    for options in [
        r#"content:"|ff ff ff ff ff ff ff ff|"; depth:8; byte_jump:8,0,align; content:"x";"#,
        r#"content:"|ff ff ff ff ff ff ff ff|"; depth:8; byte_extract:8,0,v,align 4; content:"x"; offset:v;"#,
        r#"content:"|ff ff ff ff ff ff ff ff|"; depth:8; byte_jump:8,0,multiplier 65535; content:"x"; distance:0;"#,
        r#"content:"|ff ff ff ff|"; depth:4; byte_extract:4,0,v; byte_jump:v,4,string,dec;"#,
        r#"content:"|ff ff ff ff|"; depth:4; byte_extract:4,0,v; byte_test:v,>,1,4,string,hex;"#,
        r#"content:"|7f ff ff ff ff ff ff ff|"; depth:8; byte_extract:8,0,v; byte_jump:v,0; isdataat:v,relative;"#,
        r#"content:"|80 00 00 00|"; depth:4; byte_extract:4,0,v; content:"x"; distance:v; within:v;"#,
    ] {
        // Whether there are such bytes is another question.
        let _ = accepted(&udp(options));
    }
}

#[test]
fn operations_without_number_are_no_endless_way_down() {
    let many = |piece: &'static str, count| {
        on_a_thread(move || accepted(&udp(&piece.repeat(count))).map(drop))
    };
    let refused = Err(Unmet::Buffer("content"));
    for (piece, count) in [
        (r#"content:"ab"; distance:0;"#, 2000),
        (r#"content:!"zz";"#, 4000),
        ("isdataat:1;", 4000),
    ] {
        assert_eq!(many(piece, count), refused, "{piece}");
        // Nobody writes so many, and they are made nevertheless.
        assert_eq!(many(piece, 250), Ok(()), "{piece}");
    }
    let decoded = || {
        let inner = r#"content:"a";"#.repeat(4000);
        accepted(&udp(&format!("base64_decode; base64_data; {inner}"))).map(drop)
    };
    assert_eq!(on_a_thread(decoded), refused);
}

#[test]
fn repetitions_of_repetitions_are_no_endless_way_down() {
    let flags = weir_engine::pcre::Flags::default();
    let read = on_a_thread(move || {
        let text = format!("a{}", "{1}".repeat(40_000));
        pattern::parse(text.as_bytes(), flags).is_some()
    });
    assert!(!read);
    for text in ["a{2}{3}", "(?:ab+)*?c", "x{1,3}+"] {
        assert!(pattern::parse(text.as_bytes(), flags).is_some(), "{text}");
    }
}

#[test]
fn what_must_stand_ahead_is_made_in_the_same_number_of_steps() {
    let flags = weir_engine::pcre::Flags::default();
    // Ten million bytes to look at, if somebody wrote them all down.
    let text = "(?:(?:(?=[^c]{999})b){99}){99}";
    let node = pattern::parse(text.as_bytes(), flags).expect("an expression");
    assert!(strings::variants(&node, 1, None).is_empty());
    let node = pattern::parse(b"(?:(?=a{3})a){4}", flags).expect("an expression");
    assert_eq!(strings::variants(&node, 1, None).len(), 1);
}

#[test]
fn rules_that_need_each_other_are_no_endless_way_down() {
    // Each sets what the next one asks for.
    let mut chain = String::new();
    for at in 1..=3000 {
        let next = at + 1;
        writeln!(
            chain,
            r#"alert tcp any any -> any any (content:"a{at}"; flowbits:isset,b{next}; flowbits:set,b{at}; sid:{at};)"#
        )
        .expect("memory");
    }
    writeln!(
        chain,
        r#"alert tcp any any -> any any (content:"end"; flowbits:set,b3001; sid:3001;)"#
    )
    .expect("memory");
    let made = on_a_thread(move || {
        let rules = rules(&chain);
        let last = rules.rules().len() as u32 - 1;
        let exerciser = Exerciser::new(rules);
        let of = |sid: u32| {
            (0..=last).find(|&id| {
                exerciser
                    .rules
                    .get(id)
                    .is_some_and(|rule| rule.meta.sid == sid)
            })
        };
        [1, 3000].map(|sid| exerciser.make(of(sid).expect("a rule"), 0).map(drop))
    });
    assert_eq!(made, [Err(Unmet::State), Ok(())]);
    // Many ways at every step, and none leads anywhere.
    let mut maze = String::new();
    for at in 0..24 {
        for way in 0..12 {
            let sid = at * 12 + way + 1;
            writeln!(
                maze,
                r#"alert tcp any any -> any any (content:"a{way}"; flowbits:isset,b{}; flowbits:set,b{at}; sid:{sid};)"#,
                at + 1
            )
            .expect("memory");
        }
    }
    // The last one asks for what it sets itself.
    writeln!(maze, r#"alert tcp any any -> any any (content:"z"; flowbits:isset,none; flowbits:set,b24; sid:9999;)"#)
        .expect("memory");
    let rules = rules(&maze);
    let exerciser = Exerciser::new(rules);
    assert_eq!(exerciser.make(0, 0).map(drop), Err(Unmet::State));
}

#[test]
fn transforms_of_transforms_are_undone_as_far_as_buffers_go() {
    let transforms = "from_base64:offset 60000;".repeat(16);
    let rule =
        format!(r#"alert http any any -> any any (http.uri; {transforms} content:"ab"; sid:1;)"#);
    assert_eq!(accepted(&rule), Err(Unmet::Buffer("http.uri")));
}
