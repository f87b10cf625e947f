//! A backend that finds the right probes, and then reports them in every wrong way there is.

use weir_engine::matcher::{Hit, Matcher, MatcherError, Outcome, Plain, Probe, Report, Request};

/// What goes wrong with one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It gives up, after some hits that are right and some that are not.
    GivesUp,
    /// It takes the buffer and never answers.
    Loses,
    /// It answers when the next buffer comes, ahead of that one's answer.
    Late,
    /// It answers as late as that, under this buffer's tag, but with everything there is.
    LateAndWrong,
    /// It answers twice at once, and once more when the next buffer comes.
    Repeats,
    /// It answers under tags that it was never given, then under the right one.
    StrayTags,
    /// The same without the right one.
    OnlyStrayTags,
    /// It has no room at first.
    FullAtFirst,
    /// It never has room.
    Full,
    /// It does not take the buffer for another reason.
    Refuses,
    /// It repeats hits, and names probes that are not in the table.
    StrayHits,
    /// It answers when it is asked for the fourth time.
    Slow,
}

impl Fault {
    pub const ALL: [Self; 13] = [
        Self::None,
        Self::GivesUp,
        Self::Loses,
        Self::Late,
        Self::LateAndWrong,
        Self::Repeats,
        Self::StrayTags,
        Self::OnlyStrayTags,
        Self::FullAtFirst,
        Self::Full,
        Self::Refuses,
        Self::StrayHits,
        Self::Slow,
    ];
}

struct Answer {
    /// Polls that find nothing before it is ready.
    polls: u32,
    tag: u64,
    outcome: Outcome,
    hits: Vec<Hit>,
}

/// The backend: buffer `n` suffers fault `n` of the script, which begins again at its end.
pub struct Faulty {
    right: Plain,
    probes: u32,
    script: Vec<Fault>,
    buffers: usize,
    /// The buffer at hand, and how often it was offered.
    offered: (u64, u32),
    ready: Vec<Answer>,
    /// Ready when the next buffer comes.
    later: Vec<Answer>,
}

impl Faulty {
    pub fn new(script: &[Fault]) -> Self {
        Self {
            right: Plain::new(),
            probes: 0,
            script: script.to_vec(),
            buffers: 0,
            offered: (0, 0),
            ready: Vec::new(),
            later: Vec::new(),
        }
    }

    fn right_hits(&mut self, request: Request<'_>) -> Result<Vec<Hit>, MatcherError> {
        let mut hits = Vec::new();
        self.right.submit(request)?;
        self.right.poll(&mut |report| hits.extend(report.hits));
        Ok(hits)
    }
}

impl Matcher for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        self.probes = probes.len() as u32;
        self.right.load(probes)
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        if self.offered.0 != request.tag {
            self.offered = (request.tag, 0);
            self.buffers += 1;
            self.ready.append(&mut self.later);
        }
        self.offered.1 += 1;
        let fault = self.script[(self.buffers - 1) % self.script.len()];
        match fault {
            Fault::FullAtFirst if self.offered.1 < 3 => return Err(MatcherError::Full),
            Fault::Full => return Err(MatcherError::Full),
            Fault::Refuses => return Err(MatcherError::TooManyProbes { got: 1, limit: 0 }),
            _ => {}
        }
        let hits = self.right_hits(request)?;
        let every: Vec<Hit> = (0..self.probes)
            .map(|probe| Hit { probe, end: 1 })
            .collect();
        let answer = |tag, outcome, hits: &[Hit]| Answer {
            polls: 0,
            tag,
            outcome,
            hits: hits.to_vec(),
        };
        let done = |tag, hits: &[Hit]| answer(tag, Outcome::Done, hits);
        let tag = request.tag;
        match fault {
            Fault::Loses | Fault::Full | Fault::Refuses => {}
            Fault::None | Fault::FullAtFirst => self.ready.push(done(tag, &hits)),
            Fault::GivesUp => self.ready.push(answer(tag, Outcome::Unfinished, &every)),
            Fault::Late => self.later.push(done(tag, &hits)),
            Fault::LateAndWrong => self.later.push(done(tag, &every)),
            Fault::Repeats => {
                self.ready.extend([done(tag, &hits), done(tag, &every)]);
                self.later.push(done(tag, &every));
            }
            Fault::StrayTags | Fault::OnlyStrayTags => {
                let strays = [0, tag ^ 1 << 63, u64::MAX].map(|tag| done(tag, &every));
                self.ready.extend(strays);
                if fault == Fault::StrayTags {
                    self.ready.push(done(tag, &hits));
                }
            }
            Fault::StrayHits => {
                let strays = [self.probes, u32::MAX].map(|probe| Hit { probe, end: 1 });
                self.ready
                    .push(done(tag, &[&hits[..], &strays, &hits].concat()));
            }
            Fault::Slow => self.ready.push(Answer {
                polls: 3,
                ..done(tag, &hits)
            }),
        }
        Ok(())
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        let mut delivered = 0;
        self.ready.retain_mut(|answer| {
            let waits = answer.polls > 0;
            answer.polls = answer.polls.saturating_sub(1);
            if !waits {
                delivered += 1;
                deliver(Report {
                    tag: answer.tag,
                    outcome: answer.outcome,
                    hits: &answer.hits,
                });
            }
            waits
        });
        delivered
    }
}
