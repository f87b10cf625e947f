//! What goes out: requests as records, in staging buffers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use card_protocol::record::size;
use weir_engine::matcher::{MatcherError, Request};
use weir_tables::share::pieces;

use super::{Lane, Port};
use crate::flight::{Flight, Owner, Sent};
use crate::health::State;
use crate::records::put;
use crate::session::COUNT_BITS;

impl Port {
    pub(super) fn on_the_card(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        let staging = self.shared.config.staging;
        if self.flight.staging.len() + self.room(&request) > staging && !self.ship() {
            self.collect(Duration::ZERO);
            self.look_at_the_clock();
            self.sync();
            if self.lane.is_some() && !self.ship() {
                return Err(MatcherError::Full);
            }
        }
        if self.lane.is_none() {
            self.in_software(request);
            return Ok(());
        }
        self.pack(request);
        if self.flight.staging.len() >= staging {
            self.ship();
        }
        Ok(())
    }

    /// Adds a request's records to the staging buffer.
    pub(super) fn pack(&mut self, request: Request<'_>) {
        let (Some(lane), Some(port)) = (&mut self.lane, self.number) else {
            return;
        };
        let Lane { active, share } = lane;
        let set = &active.set;
        let nonce = active.session.nonce();
        let sequence = |flight: &Flight| u32::from(port) << COUNT_BITS | flight.next();
        let number = self.answers.number();
        let mut pending = self.answers.begin(request.tag);
        pending.done = share.search(&request, &mut pending.hits);
        let wanted = if share.needs_core(request.group) {
            request.data.len()
        } else {
            0
        };
        let flight = &mut self.flight;
        for piece in pieces(wanted, request.carry) {
            let payload = request.data.get(piece.start..piece.end).unwrap_or_default();
            let record = sequence(flight);
            let staging = &mut flight.staging;
            let at = put(
                staging,
                set,
                nonce,
                record,
                request.group,
                piece.carry,
                payload,
            );
            pending.records += 1;
            self.counts.records += 1;
            self.since_known = self.since_known.saturating_add(1);
            flight.stage(Sent {
                owner: Owner::Request {
                    number,
                    start: piece.start as u32,
                },
                at,
                length: payload.len(),
                group: request.group,
                carry: piece.carry,
            });
        }
        if pending.records == 0 {
            self.counts.software_buffers += 1;
        }
        self.answers.put(pending);
        let every = self.shared.config.known_every;
        if every > 0
            && self.since_known >= every
            && let Some(index) = set.plan.next()
        {
            self.since_known = 0;
            let mut payload = Vec::new();
            let group = set.plan.payload(index, &mut payload);
            let record = sequence(flight);
            let at = put(&mut flight.staging, set, nonce, record, group, 0, &payload);
            flight.stage(Sent {
                owner: Owner::Known { index },
                at,
                length: payload.len(),
                group,
                carry: 0,
            });
        }
    }

    /// Bytes of records that a request makes at most.
    pub(super) fn room(&self, request: &Request<'_>) -> usize {
        let lanes = self
            .lane
            .as_ref()
            .map_or(8, |lane| lane.active.set.geometry.lanes);
        pieces(request.data.len(), request.carry)
            .map(|piece| size(piece.end - piece.start, lanes))
            .sum()
    }

    /// Hands the staging buffer over, if there is room. False when there is not.
    pub(super) fn ship(&mut self) -> bool {
        if self.flight.staged() == 0 {
            return true;
        }
        let Some(lane) = &self.lane else { return true };
        let (most_bytes, most_records) = self.shared.share();
        let (bytes, records) = self.flight.load();
        let room = bytes + self.flight.staging.len() <= most_bytes
            && records + self.flight.staged() <= most_records;
        if records > 0 && !room {
            return false;
        }
        let (session, epoch) = (Arc::clone(&lane.active.session), lane.active.epoch);
        let bytes = self.flight.seal(Instant::now());
        self.counts.staging_buffers += 1;
        self.counts.bytes_sent += bytes.len() as u64;
        if !session.send(epoch, bytes) {
            self.shared
                .leave(Some((&session, epoch)), State::Failed, || {
                    "nobody sends any more".to_owned()
                });
        }
        self.publish();
        true
    }
}
