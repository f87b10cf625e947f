//! What a known-answer record must be answered, and what is wrong with an answer that is not.

use weir_engine::matcher::{Matcher, Request, Software};
use weir_tables::EntryHit;
use weir_tables::share::{Share, settle};

/// Why the card's answer to a payload is not software's, if it is not.
pub(crate) fn judge(
    software: &mut Software,
    share: &Share,
    group: u8,
    payload: &[u8],
    found: &[EntryHit],
) -> Option<String> {
    let mut got = Vec::new();
    share.translate(found, group, 0, &mut got);
    settle(&mut got);
    let request = Request {
        tag: 0,
        group,
        carry: 0,
        data: payload,
    };
    let mut expected = Vec::new();
    if software.submit(request).is_err() {
        return None;
    }
    software.poll(&mut |report| expected.extend_from_slice(report.hits));
    settle(&mut expected);
    let moved = share.moved();
    expected.retain(|hit| moved.binary_search(&hit.probe).is_err());
    let known = |found: &&EntryHit| share.probes(found.entry, group).next().is_none();
    if let Some(stranger) = found.iter().find(known) {
        return Some(format!(
            "known answer: entry {} was reported, which group {group} has not",
            stranger.entry
        ));
    }
    if got == expected {
        return None;
    }
    let missing = expected
        .iter()
        .filter(|hit| got.binary_search(hit).is_err());
    let extra = got
        .iter()
        .filter(|hit| expected.binary_search(hit).is_err());
    Some(format!(
        "known answer: {} of {} hits are missing, {} are wrong",
        missing.count(),
        expected.len(),
        extra.count()
    ))
}
