//! What a module is asked about.

use std::cell::OnceCell;
use std::marker::PhantomData;
use std::net::IpAddr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::declare::{Buffer, FlowBit, RuleId};
use crate::packet::{Direction, Flow, Packet};
use crate::state::{NotKept, State};
use crate::sys;

/// What a module is asked about: a packet, a window of a stream or a transaction. Looking costs when it is done: what is
/// not asked for is not copied.
pub struct Event {
    packet: OnceCell<Packet>,
    flow: OnceCell<Option<Flow>>,
    /// It is there while the module is asked, and nowhere else.
    here: PhantomData<*const ()>,
}

impl Event {
    pub(crate) fn new() -> Self {
        Self {
            packet: OnceCell::new(),
            flow: OnceCell::new(),
            here: PhantomData,
        }
    }

    /// The packet; of a stream or a transaction, the one that it was inspected with.
    pub fn packet(&self) -> &Packet {
        self.packet.get_or_init(sys::packet)
    }

    /// The packet's flow; none for a packet without one.
    pub fn flow(&self) -> Option<&Flow> {
        self.flow.get_or_init(sys::flow).as_ref()
    }

    /// The client's address, where there is a flow.
    pub fn client(&self) -> Option<IpAddr> {
        match self.flow()?.direction {
            Direction::ToServer => self.packet().source,
            Direction::ToClient => self.packet().destination,
        }
    }

    /// The server's address, where there is a flow.
    pub fn server(&self) -> Option<IpAddr> {
        match self.flow()?.direction {
            Direction::ToServer => self.packet().destination,
            Direction::ToClient => self.packet().source,
        }
    }

    /// The bytes of a buffer; of several of a kind in a transaction, the first. None where there is no such.
    pub fn buffer(&self, buffer: Buffer) -> Option<Vec<u8>> {
        self.nth(buffer, 0)
    }

    /// The bytes of one of several buffers of a kind, from 0.
    pub fn nth(&self, buffer: Buffer, index: u32) -> Option<Vec<u8>> {
        sys::buffer(buffer, index)
    }

    /// All buffers of a kind, one after the other.
    pub fn all(&self, buffer: Buffer) -> impl Iterator<Item = Vec<u8>> {
        (0..).map_while(move |index| self.nth(buffer, index))
    }

    /// No more than `length` bytes from `offset` on, of the buffer with this index among those of its kind. Empty behind
    /// its end.
    pub fn slice(&self, buffer: Buffer, index: u32, offset: u32, length: u32) -> Option<Vec<u8>> {
        sys::slice(buffer, index, offset, length)
    }

    /// How many bytes a buffer has.
    pub fn length(&self, buffer: Buffer, index: u32) -> Option<u32> {
        sys::length(buffer, index)
    }

    /// Where the payload is data of a stream: the offset of its first byte in the stream's direction. Windows overlap;
    /// [`Seen`](crate::Seen) says what of one is new.
    pub fn stream_offset(&self) -> Option<u64> {
        sys::stream_offset()
    }

    /// Whether a bit of the flow is set.
    pub fn flow_bit(&self, bit: FlowBit) -> bool {
        sys::flow_bit(bit)
    }

    /// The value that is kept.
    pub fn get<T: DeserializeOwned>(&self, state: State<T>) -> Option<T> {
        let bytes = sys::get_state(state.scope())?;
        postcard::from_bytes(&bytes).ok()
    }

    /// Keeps a value.
    ///
    /// # Errors
    /// [`NotKept`] when it was not.
    pub fn set<T: Serialize>(&self, state: State<T>, value: &T) -> Result<(), NotKept> {
        let bytes = postcard::to_allocvec(value).map_err(|_| NotKept)?;
        // An empty value would be forgotten.
        if !bytes.is_empty() && sys::set_state(state.scope(), &bytes) {
            Ok(())
        } else {
            Err(NotKept)
        }
    }

    /// Changes the value that is kept, or a first one, and hands on what `change` says.
    ///
    /// # Errors
    /// [`NotKept`] when the new value was not kept; the old one is still there then.
    pub fn update<T, R>(
        &self,
        state: State<T>,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, NotKept>
    where
        T: Default + Serialize + DeserializeOwned,
    {
        let mut value = self.get(state).unwrap_or_default();
        let result = change(&mut value);
        self.set(state, &value)?;
        Ok(result)
    }

    /// Forgets the value that is kept.
    pub fn forget<T>(&self, state: State<T>) {
        // It is false where there is nothing to forget.
        sys::set_state(state.scope(), &[]);
    }
}

/// The rules that are asked about in an event, for `rules by`.
#[derive(Debug)]
pub struct Asked {
    /// Indexes, and whether they fire.
    rules: Vec<(u32, bool)>,
}

impl Asked {
    pub(crate) fn new(candidates: &[u32]) -> Self {
        Self {
            rules: candidates.iter().map(|&rule| (rule, false)).collect(),
        }
    }

    /// Whether a rule is asked about: header, options, patterns and buffers let the event through.
    pub fn about(&self, rule: RuleId) -> bool {
        self.rules.iter().any(|&(index, _)| index == rule.0)
    }

    /// This rule fires, if it is asked about.
    pub fn fire(&mut self, rule: RuleId) {
        for (index, fires) in &mut self.rules {
            *fires |= *index == rule.0;
        }
    }

    pub(crate) fn fired(&self) -> Vec<u32> {
        let fires = self.rules.iter().filter(|&&(_, fires)| fires);
        fires.map(|&(index, _)| index).collect()
    }
}
