//! What rules say about a stream, against a model written from the definition of windows: contents are looked for by
//! trying every place.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use crate::tricks::{self, Dice};
use crate::wire::{self, Segment};
use crate::{cases, connection, room, sensor};

/// A content, and where it may stand.
#[derive(Clone, Debug)]
struct Content {
    bytes: Vec<u8>,
    negated: bool,
    nocase: bool,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Anywhere,
    /// In so many bytes from the stream's start on.
    First(usize),
    /// So far behind the content before it, in so many bytes counted from the same place.
    Behind(usize, usize),
}

/// Contents as they fall; the first one is there to be found, and absent ones come last.
fn contents(dice: &mut Dice) -> Vec<Content> {
    let count = 1 + dice.below(3);
    let absolute = dice.below(4) == 0;
    (0..count)
        .map(|at| {
            let length = 2 + dice.below(4);
            let bytes: Vec<u8> = (0..length).map(|_| b'a' + dice.below(3) as u8).collect();
            let negated = at > 0 && at + 1 == count && dice.below(3) == 0;
            let place = match dice.below(3) {
                0 if at > 0 => {
                    let distance = dice.below(20);
                    Place::Behind(distance, distance + length + dice.below(90))
                }
                1 if absolute && !negated => Place::First(length + dice.below(350)),
                _ => Place::Anywhere,
            };
            Content {
                bytes,
                negated,
                nocase: dice.below(3) == 0,
                place,
            }
        })
        .collect()
}

/// The rule in text.
fn text(sid: usize, contents: &[Content]) -> String {
    let mut text = "alert tcp-stream any any -> any any (".to_owned();
    for Content {
        bytes,
        negated,
        nocase,
        place,
    } in contents
    {
        let not = if *negated { "!" } else { "" };
        let written = write!(
            text,
            "content:{not}\"{}\"; ",
            String::from_utf8_lossy(bytes)
        );
        written.expect("a string takes it");
        if *nocase {
            text += "nocase; ";
        }
        text += &match place {
            Place::Anywhere => String::new(),
            Place::First(depth) => format!("depth:{depth}; "),
            Place::Behind(distance, within) => {
                // `within` counts from where `distance` leads.
                format!("distance:{distance}; within:{}; ", within - distance)
            }
        };
    }
    text + &format!("sid:{sid};)")
}

impl Content {
    /// Where it ends, wherever it stands in `data[from..to]`. `cursor`: the end of the one before it.
    fn ends<'a>(
        &'a self,
        data: &'a [u8],
        (from, to): (usize, usize),
        cursor: usize,
    ) -> impl Iterator<Item = usize> + 'a {
        let (low, high) = match self.place {
            Place::Anywhere => (from, to),
            Place::First(depth) => (from, to.min(depth)),
            Place::Behind(distance, within) => (cursor + distance, to.min(cursor + within)),
        };
        let length = self.bytes.len();
        (low + length..=high).filter(move |&end| {
            let here = &data[end - length..end];
            if self.nocase {
                here.eq_ignore_ascii_case(&self.bytes)
            } else {
                here == self.bytes
            }
        })
    }
}

/// True when the contents are all in the range, bound as they are.
fn holds(contents: &[Content], data: &[u8], range: (usize, usize), cursor: usize) -> bool {
    let Some((content, rest)) = contents.split_first() else {
        return true;
    };
    let mut ends = content.ends(data, range, cursor);
    if content.negated {
        return ends.next().is_none();
    }
    ends.any(|end| holds(rest, data, range, end))
}

/// How often a rule alerts on a stream that nothing interrupts.
///
/// At the end of each window it is asked about the window and as much before it, but not about what is before the end of a
/// window that it matched in. One with an absent content is asked about the window alone, too.
fn expected(contents: &[Content], data: &[u8], window: usize) -> u32 {
    let (mut count, mut seen) = (0, 0);
    let undone = contents.iter().any(|content| content.negated);
    for start in (0..data.len()).step_by(window) {
        let end = data.len().min(start + window);
        let from = start.saturating_sub(window).max(seen);
        if holds(contents, data, (from, end), from)
            || undone && holds(contents, data, (start, end), start)
        {
            count += 1;
            seen = end;
        }
    }
    count
}

/// A stream in which contents are neither rare nor everywhere.
fn stream(dice: &mut Dice) -> Vec<u8> {
    let length = 1 + dice.below(600);
    let rare = 1 + dice.below(8);
    let byte = |dice: &mut Dice| match dice.below(rare) {
        0 => b'a' + dice.below(3) as u8,
        1 => b'A' + dice.below(3) as u8,
        _ => b'-',
    };
    (0..length).map(|_| byte(dice)).collect()
}

#[test]
fn rules_say_of_windows_what_their_definition_says() {
    let (mut some, mut none) = (0u32, 0u32);
    for case in 0..cases(60) {
        let mut dice = Dice::new(case + 1);
        let rules: Vec<Vec<Content>> = (0..12).map(|_| contents(&mut dice)).collect();
        let lines: Vec<String> = (1..).zip(&rules).map(|(sid, c)| text(sid, c)).collect();
        let compiled = sensor::rules(&lines.join("\n"));
        let mut config = sensor::config();
        config.alert_max = 1000;
        config.stream.window = 64 + dice.below(80) as u32;
        for _ in 0..6 {
            let data = stream(&mut dice);
            let size = 1 + dice.below(300);
            let packets = connection(&tricks::pieces(&data, size), data.len());
            let mut found = BTreeMap::<u32, u32>::new();
            for sid in sensor::run(&config, &compiled, &packets) {
                *found.entry(sid).or_default() += 1;
            }
            for (sid, contents) in (1..).zip(&rules) {
                let window = config.stream.window as usize;
                let expected = expected(contents, &data, window);
                assert_eq!(
                    found.get(&sid).copied().unwrap_or(0),
                    expected,
                    "case {case}, window {window}, segments of {size}: {} in {:?}",
                    lines[sid as usize - 1],
                    String::from_utf8_lossy(&data)
                );
                *(if expected > 0 { &mut some } else { &mut none }) += 1;
            }
        }
    }
    assert!(
        some > 500 && none > 500,
        "{some} with alerts, {none} without"
    );
}

/// Connections do not know of each other, however their packets are mixed.
#[test]
fn connections_say_alone_what_they_say_among_others() {
    let mut total = 0;
    for case in 0..cases(25) {
        let mut dice = Dice::new(case + 1);
        let lines: Vec<String> = (1..9).map(|sid| text(sid, &contents(&mut dice))).collect();
        let rules = sensor::rules(&lines.join("\n"));
        let mut config = room::config();
        config.alert_max = 1000;
        config.stream.window = 64 + dice.below(80) as u32;
        // Of each connection: packets of both sides, some of them out of order.
        let mut talks: Vec<Vec<Vec<u8>>> = (1..6)
            .map(|number| {
                let data = stream(&mut dice);
                let mut segments = wire::handshake(None);
                let (mut read, mut said) = (0, 0);
                let most = 1 + dice.below(90);
                while read < data.len() {
                    let end = data.len().min(read + 1 + dice.below(most));
                    segments.push(Segment {
                        ack: Segment::data(0, b"").ack.wrapping_add(said as u32),
                        ..Segment::data(read, &data[read..end])
                    });
                    read = end;
                    if dice.below(3) == 0 {
                        let answer = &data[..data.len().min(1 + dice.below(40))];
                        segments.push(Segment::answer(read, said, answer));
                        said += answer.len();
                    } else if dice.below(3) == 0 {
                        let last = segments.len() - 1;
                        segments.swap(last, (last - 1).max(3));
                    }
                }
                segments
                    .iter()
                    .map(|s| room::of_client(number, s))
                    .collect()
            })
            .collect();
        let alone: Vec<_> = talks
            .iter()
            .flat_map(|talk| by_client(&sensor::observed(&config, &rules, talk).0))
            .collect();
        let mut mixed = Vec::new();
        while !talks.is_empty() {
            let at = dice.below(talks.len());
            mixed.push(talks[at].remove(0));
            talks.retain(|talk| !talk.is_empty());
        }
        let among = by_client(&sensor::observed(&config, &rules, &mixed).0);
        assert_eq!(among, alone.into_iter().collect(), "case {case}");
        total += among.values().map(Vec::len).sum::<usize>();
    }
    assert!(total > 100, "{total} alerts");
}

/// The rules that alerted for each client, in order.
fn by_client(alerts: &[(u32, IpAddr)]) -> BTreeMap<IpAddr, Vec<u32>> {
    let mut all = BTreeMap::<_, Vec<u32>>::new();
    for &(sid, client) in alerts {
        all.entry(client).or_default().push(sid);
    }
    // What is left at the end is decided by the time of the last packet, which others change.
    all.values_mut().for_each(|sids| sids.sort_unstable());
    all
}
