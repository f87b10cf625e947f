//! From the options of a rule to its plan: checks that concern the whole rule, and what follows from it.

use weir_engine::plan::{
    Action, Buffer, BufferPlan, Content, Num, NumOp, Op, PacketTest, ProbeChoice, Proto, Rule,
    StateAction, StateTest, Transform, Value,
};

use super::draft::{Draft, Entry, List, MAX_LISTS, Selected, Target};
use crate::probe::{self, Candidate};
use crate::syntax::ast::{Place, Problem};

/// Checks what only the whole rule, which starts at `place`, shows.
pub(super) fn check(draft: &Draft<'_>, place: Place, problems: &mut Vec<Problem>) {
    if draft.require_packet && draft.require_stream {
        let message =
            "keywords that need packets cannot go with `tcp-stream` or `flow:only_stream`";
        problems.push(Problem::syntax(place, message).about("flow"));
    }
    let of_transactions = |list: &List| {
        matches!(
            list.target,
            Target::Buffer(Buffer::App(_) | Buffer::AppOf(..))
        )
    };
    if draft.app.both_ways && draft.app.tests.is_empty() && !draft.lists.iter().any(of_transactions)
    {
        let message = "a transactional rule (`=>`) that asks nothing of a transaction";
        problems.push(Problem::unsupported(place, "direction =>", message));
    }
    // What a refused keyword asked of a buffer is not in its list.
    let complete = problems.is_empty();
    if draft.lists.len() > MAX_LISTS {
        let message = format!("a rule with more than {MAX_LISTS} buffers");
        problems.push(Problem::unsupported(place, "buffer", message));
    }
    if draft
        .replacements
        .iter()
        .any(|(_, entry, _)| *entry > usize::from(u16::MAX))
    {
        let message = "a rule that replaces a content after 65,535 operations";
        problems.push(Problem::unsupported(place, "replace", message));
    }
    let last = draft.sticky.iter().filter_map(Selected::unused);
    let unused = draft.unused.iter().copied().chain(last);
    let nothing = |place| Problem::syntax(place, "nothing is asked of this buffer").about("buffer");
    problems.extend(unused.filter(|_| complete).take(1).map(nothing));
    for list in &draft.lists {
        check_sizes(list, problems);
        if complete {
            problems.extend(check_absent(list));
        }
        check_decode(draft, list, problems);
    }
    check_dsize(draft, problems);
}

/// The largest number that passes, if there is one.
fn largest(num: &Num) -> Option<u64> {
    match num.op {
        NumOp::Eq | NumOp::Le => Some(num.a),
        NumOp::Lt => Some(num.a.saturating_sub(1)),
        NumOp::Between => Some(num.b.saturating_sub(1)),
        NumOp::Within => Some(num.b),
        _ => None,
    }
}

/// How many bytes the positive contents need at least.
fn needed(entries: &[Entry]) -> u64 {
    let of = |entry: &Entry| match &entry.op {
        Op::Content(content) if !content.negated => {
            let offset = match content.offset {
                Some(Value::Const(offset)) => u64::try_from(offset).unwrap_or(0),
                _ => 0,
            };
            offset.saturating_add(content.bytes.len() as u64)
        }
        _ => 0,
    };
    entries.iter().map(of).max().unwrap_or(0)
}

/// A `bsize` that leaves no room for a content.
fn check_sizes(list: &List, problems: &mut Vec<Problem>) {
    let needed = needed(&list.entries);
    for entry in &list.entries {
        let Op::BSize(num) = &entry.op else { continue };
        if let Some(most) = largest(num).filter(|&most| most < needed) {
            let message =
                format!("the contents need {needed} bytes, but the buffer may have {most} at most");
            problems.push(Problem::syntax(entry.place, message).about("bsize"));
        }
    }
}

/// What `absent` asks of a buffer that is not there can only be nothing, and `or_else` needs something else.
fn check_absent(list: &List) -> Option<Problem> {
    let (first, others) = list.entries.split_first()?;
    let Op::Absent { or_else } = first.op else {
        return None;
    };
    let fast = |entry: &Entry| matches!(&entry.op, Op::Content(content) if content.fast_pattern);
    let message = match (or_else, others.is_empty()) {
        (false, false) => {
            "nothing more can be asked of a buffer that is `absent` (`absent:or_else` allows it)"
        }
        (true, true) => "`absent:or_else` needs something to ask of the buffer when it is there",
        _ if others.iter().any(fast) => {
            "a buffer that may be absent cannot be searched ahead: `fast_pattern` cannot be used there"
        }
        _ => return None,
    };
    Some(Problem::syntax(first.place, message).about("absent"))
}

/// A `dsize` that leaves no room for a content.
fn check_dsize(draft: &Draft<'_>, problems: &mut Vec<Problem>) {
    let payload = draft.lists.iter().find(|list| list.is_payload());
    let needed = payload.map_or(0, |list| self::needed(&list.entries));
    if let Some((num, place)) = &draft.dsize
        && let Some(most) = largest(num).filter(|&most| most < needed)
    {
        let message =
            format!("the contents need {needed} bytes, but the payload may have {most} at most");
        problems.push(Problem::syntax(*place, message).about("dsize"));
    }
}

/// `base64_decode` ends its buffer in Suricata: decoded data that matches decides, and without `base64_data` it never
/// matches. Rules that count on anything else are refused rather than matched differently.
fn check_decode(draft: &Draft<'_>, list: &List, problems: &mut Vec<Problem>) {
    let Some(at) = list
        .entries
        .iter()
        .position(|entry| matches!(entry.op, Op::Base64Decode(_)))
    else {
        return;
    };
    let data = draft
        .lists
        .iter()
        .find(|list| list.target == Target::Base64);
    let message = match (data, list.entries.get(at + 1), list.entries.get(at)) {
        (None, _, Some(decode)) => (
            decode.place,
            "`base64_decode` without `base64_data`, which never matches in Suricata",
        ),
        (Some(_), Some(after), _) => (
            after.place,
            "an operation after `base64_decode` in the same buffer, which Suricata ignores",
        ),
        _ => return,
    };
    problems.push(Problem::unsupported(message.0, "base64_decode", message.1));
}

/// True when the rule's protocol can be TCP.
fn may_be_tcp(draft: &Draft<'_>) -> bool {
    const TCP: u64 = 6;
    let by_header = matches!(
        draft.header.proto,
        Proto::Tcp
            | Proto::TcpPkt
            | Proto::TcpStream
            | Proto::Ip
            | Proto::Ip4
            | Proto::Ip6
            | Proto::PktHdr
            | Proto::Number(6)
    );
    let by_test = |test: &PacketTest| !matches!(test, PacketTest::IpProto(num) if !num.test(TCP));
    by_header && draft.tests.iter().all(by_test)
}

/// The plan.
pub(super) fn plan(mut draft: Draft<'_>, action: Action) -> Rule {
    let (needs_packet, needs_stream) = needs(&draft);
    let variables = draft.variables();
    let probe = probe(&draft);
    let mut decoded = take_decoded(&mut draft.lists);
    let mut state_actions = std::mem::take(&mut draft.state_actions);
    let mut state_tests = std::mem::take(&mut draft.state_tests);
    let mut buffers = Vec::with_capacity(draft.lists.len());
    for (at, list) in draft.lists.into_iter().enumerate() {
        let Target::Buffer(buffer) = list.target else {
            continue;
        };
        if list.entries.is_empty() && list.tests.is_empty() && !list.wanted {
            // All that was asked of it was moved to other buffers.
            continue;
        }
        let number = buffer_number(buffers.len());
        state_tests.extend(list.tests.into_iter().map(|test| of_buffer(test, number)));
        let replaced = draft.replacements.iter().filter(|(list, ..)| *list == at);
        state_actions.extend(replaced.map(|(_, entry, bytes)| StateAction::Replace {
            buffer: number,
            op: u16::try_from(*entry).unwrap_or(u16::MAX),
            bytes: bytes.clone(),
        }));
        let ops = list.entries.into_iter().map(|entry| match entry.op {
            Op::Base64Decode(mut decode) => {
                decode.data = std::mem::take(&mut decoded);
                Op::Base64Decode(decode)
            }
            op => op,
        });
        buffers.push(BufferPlan {
            buffer,
            transforms: list.transforms,
            ops: ops.collect(),
        });
    }
    // What changes a set is done last, when everything else holds.
    state_tests.sort_by_key(|test| matches!(test, StateTest::Dataset { op, .. } if op.changes()));
    Rule {
        noalert: draft.noalert || (action == Action::Pass && !draft.alert),
        meta: draft.meta,
        action,
        header: draft.header,
        flow: draft.flow,
        tests: draft.tests,
        buffers,
        app: draft.app,
        variables,
        flow_properties: draft.flow_properties,
        state_tests,
        state_actions,
        threshold: draft.threshold,
        detection_filter: draft.detection_filter,
        probe,
        other_probes: Vec::new(),
        module: None,
        prefilter: draft.prefilter,
        needs_packet,
        needs_stream,
    }
}

/// The index of a buffer as plans have it. [`check`] has refused rules with more buffers.
fn buffer_number(at: usize) -> u8 {
    u8::try_from(at).unwrap_or(u8::MAX)
}

/// The same test, on the buffer with this index.
fn of_buffer(test: StateTest, number: u8) -> StateTest {
    match test {
        StateTest::Dataset { set, op, .. } => StateTest::Dataset {
            buffer: number,
            set,
            op,
        },
        StateTest::DataRep {
            set,
            compare,
            value,
            ..
        } => StateTest::DataRep {
            buffer: number,
            set,
            compare,
            value,
        },
        test => test,
    }
}

/// Takes the operations on decoded data out of the lists.
fn take_decoded(lists: &mut [List]) -> Vec<Op> {
    let of_data = lists.iter_mut().find(|list| list.target == Target::Base64);
    of_data
        .map(|list| list.entries.drain(..).map(|entry| entry.op).collect())
        .unwrap_or_default()
}

/// Suricata's SIG_FLAG_REQUIRE_PACKET and SIG_FLAG_REQUIRE_STREAM: a TCP rule matches the stream, unless a keyword or
/// its protocol binds it to packets; contents with a place in the buffer are looked for in both.
fn needs(draft: &Draft<'_>) -> (bool, bool) {
    if !may_be_tcp(draft) {
        return (true, false);
    }
    if draft.require_packet || draft.require_stream {
        return (draft.require_packet, draft.require_stream);
    }
    let placed = |entry: &Entry| match &entry.op {
        Op::Content(content) => {
            content.offset.is_some() || content.depth.is_some() || content.startswith
        }
        _ => false,
    };
    let payload = draft.lists.iter().find(|list| list.is_payload());
    (
        payload.is_some_and(|list| list.entries.iter().any(placed)),
        true,
    )
}

/// The rule's probe: from the positive contents that must be in a transaction's buffers where there are such, else from
/// those that must be in its payload.
fn probe(draft: &Draft<'_>) -> Option<ProbeChoice> {
    let frequency = draft.compiler.frequency();
    let of_app = |list: &&List| {
        matches!(
            list.target,
            Target::Buffer(Buffer::App(_) | Buffer::AppOf(..))
        )
    };
    let about_transactions =
        draft.lists.iter().any(|list| of_app(&list)) || !draft.app.tests.is_empty();
    if !about_transactions {
        let payload = draft.lists.iter().find(|list| list.is_payload())?;
        return probe::choose(&candidates(payload, false), Buffer::Payload, frequency);
    }
    let lists: Vec<(Buffer, Vec<Candidate<'_>>)> = (draft.lists.iter().filter(of_app))
        .filter_map(|list| {
            let Target::Buffer(buffer) = list.target else {
                return None;
            };
            let folded = searchable(list)?;
            Some((buffer, candidates(list, folded)))
        })
        .collect();
    probe::choose_buffer(&lists, frequency)
}

/// Whether contents of a transformed list are, but for their case (then true), in the buffer as it was before; `None`
/// where that cannot be said, or the buffer need not be there.
fn searchable(list: &List) -> Option<bool> {
    if matches!(list.entries.first()?.op, Op::Absent { .. }) {
        return None;
    }
    let mut folded = false;
    for transform in &list.transforms {
        match transform {
            Transform::DotPrefix => {}
            Transform::ToLowercase | Transform::ToUppercase => folded = true,
            _ => return None,
        }
    }
    Some(folded)
}

/// The positive contents of a list. A dot that a transform puts before the buffer is left out of them.
fn candidates(list: &List, folded: bool) -> Vec<Candidate<'_>> {
    let dotted = list.transforms.contains(&Transform::DotPrefix);
    let mut candidates = Vec::with_capacity(list.entries.len());
    for Entry { op, extras, .. } in &list.entries {
        let Op::Content(Content {
            bytes,
            nocase,
            fast_pattern,
            negated: false,
            ..
        }) = op
        else {
            continue;
        };
        let bytes = match bytes.as_slice() {
            [b'.', rest @ ..] if dotted => rest,
            bytes => bytes,
        };
        if bytes.is_empty() {
            continue;
        }
        let whole = Candidate {
            bytes,
            nocase: *nocase || folded,
            preferred: *fast_pattern && extras.chop.is_none(),
        };
        candidates.push(whole);
        // The part of a content that the author picked.
        if let Some(part) = extras
            .chop
            .filter(|_| !dotted)
            .and_then(|(from, length)| bytes.get(from..from.checked_add(length)?))
        {
            candidates.push(Candidate {
                bytes: part,
                preferred: true,
                ..whole
            });
        }
    }
    candidates
}
