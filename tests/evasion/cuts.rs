//! However a stream is cut into segments in order, rules about streams say the same.

use std::collections::BTreeMap;

use crate::tricks::{self, Dice};
use crate::{cases, connection, sensor};

/// Rules about streams of every kind: several contents, bound to each other or not, absent ones, places in the stream,
/// ends, numbers, expressions, and none that could be found by a probe.
const RULES: &str = r#"
    alert tcp any any -> any any (content:"alpha"; sid:1;)
    alert tcp any any -> any any (content:"alpha"; content:"omega"; sid:2;)
    alert tcp any any -> any any (content:"alpha"; content:"omega"; distance:0; within:300; sid:3;)
    alert tcp any any -> any any (content:"omega"; content:!"delta"; within:40; sid:4;)
    alert tcp any any -> any any (content:"gamma"; content:!"delta"; sid:5;)
    alert tcp any any -> any any (content:"gamma"; isdataat:!60,relative; sid:6;)
    alert tcp any any -> any any (content:"delta"; isdataat:200,relative; sid:7;)
    alert tcp-stream any any -> any any (content:"alpha"; depth:500; sid:8;)
    alert tcp-stream any any -> any any (content:"gamma"; offset:1000; depth:2500; sid:9;)
    alert tcp-stream any any -> any any (content:"alp"; startswith; sid:10;)
    alert tcp any any -> any any (content:"delta"; pcre:"/delta[^o]{0,80}omega/"; sid:11;)
    alert tcp any any -> any any (pcre:"/om+ega.?gamma/s"; sid:12;)
    alert tcp any any -> any any (content:"omega"; endswith; sid:13;)
    alert tcp any any -> any any (content:"gamma"; byte_test:1,>,120,0,relative; sid:14;)
    alert tcp any any -> any any (content:"delta"; byte_jump:1,0,relative; content:"a"; within:3; sid:15;)
    alert tcp any any -> any any (content:!"alpha"; content:!"omega"; sid:16;)
    alert tcp any any -> any any (content:"alpha"; base64_decode:relative; base64_data; content:"x"; sid:17;)
"#;

/// Words of the rules, and others, in any order.
fn stream(dice: &mut Dice) -> Vec<u8> {
    const WORDS: [&[u8]; 8] = [
        b"alpha", b"omega", b"gamma", b"delta", b"alph", b"omeg", b" eCB4 ", b"mma",
    ];
    let mut stream = Vec::new();
    let most = [60, 600, 3000, 9000][dice.below(4)];
    let length = 1 + dice.below(most);
    let rare = 1 + dice.below(60);
    while stream.len() < length {
        match dice.below(rare) {
            0 => stream.extend(WORDS[dice.below(WORDS.len())]),
            _ => stream.push(b' ' + dice.below(95) as u8),
        }
    }
    stream
}

/// How often each rule alerts when the stream is cut at these places.
fn alerts(
    rules: &std::sync::Arc<weir_engine::plan::RuleSet>,
    stream: &[u8],
    places: &[usize],
    inline: bool,
) -> BTreeMap<u32, u32> {
    let mut config = sensor::config();
    config.inline = inline;
    config.alert_max = 1000;
    let packets = connection(&tricks::cut(stream, places), stream.len());
    let mut count = BTreeMap::new();
    for sid in sensor::run(&config, rules, &packets) {
        *count.entry(sid).or_default() += 1;
    }
    count
}

#[test]
fn any_cut_gives_the_same_alerts() {
    let rules = sensor::rules(RULES);
    let mut fired = BTreeMap::<u32, u64>::new();
    for case in 0..cases(120) {
        let mut dice = Dice::new(case + 1);
        let stream = stream(&mut dice);
        let whole = alerts(
            &rules,
            &stream,
            &(0..stream.len()).step_by(1400).collect::<Vec<_>>(),
            false,
        );
        for round in 0..3 {
            let every = [1, 40, 700][round] + dice.below(30);
            let mut places = Vec::new();
            let mut at = 0;
            while at < stream.len() {
                at += 1 + dice.below(every);
                places.push(at);
            }
            let cut = alerts(&rules, &stream, &places, false);
            assert_eq!(
                cut,
                whole,
                "case {case}, cut about every {every} bytes, {} bytes",
                stream.len()
            );
        }
        for (sid, count) in whole {
            *fired.entry(sid).or_default() += u64::from(count);
        }
    }
    let silent: Vec<u32> = (1..=17).filter(|sid| !fired.contains_key(sid)).collect();
    assert!(silent.is_empty(), "never tried: {silent:?}");
}

/// Inline, rules that later data can undo are decided on what has come; all others say the same as offline.
#[test]
fn inline_says_the_same_where_nothing_can_be_undone() {
    let rules = sensor::rules(RULES);
    let certain = [1, 2, 3, 7, 8, 9, 10, 14, 15];
    for case in 0..cases(60) {
        let mut dice = Dice::new(case + 1);
        let stream = stream(&mut dice);
        let size = 1 + dice.below(900);
        let places: Vec<usize> = (0..stream.len()).step_by(size).collect();
        let [mut offline, mut inline] =
            [false, true].map(|inline| alerts(&rules, &stream, &places, inline));
        offline.retain(|sid, _| certain.contains(sid));
        inline.retain(|sid, _| certain.contains(sid));
        assert_eq!(inline, offline, "case {case}, segments of {size} bytes");
    }
}
