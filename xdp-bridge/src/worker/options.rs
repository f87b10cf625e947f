//! How a bridge is made.

use std::time::Duration;

use weir_xdp_common::{MAX_PORTS, MAX_QUEUES};

use super::MAX_BATCH;

/// What the kernel keeps free in front of a received packet (`XDP_PACKET_HEADROOM`).
const HEADROOM: u32 = 256;
/// Ethernet header with two VLAN tags.
const LINK_HEADER: u32 = 14 + 2 * 4;
/// A ring that stands still for longer than that is no matter of patience.
const LONGEST_STALL: Duration = Duration::from_secs(60);

/// A port of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgePort {
    /// The interface's name, for messages.
    pub name: String,
    /// Its index.
    pub interface: u32,
}

/// Whether frames are to be copied between the driver and us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroCopy {
    /// Not where both drivers can do without.
    #[default]
    Auto,
    /// Never without: it is an error when a driver cannot.
    Require,
    /// Always copied.
    Never,
}

/// How a bridge is made. `Default` leaves out the ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeOptions {
    /// One port (a passive sensor) or two.
    pub ports: Vec<BridgePort>,
    /// Workers, at most 64. Each port needs as many queues.
    pub workers: u32,
    /// Frames that each worker has.
    pub frames: u32,
    /// Bytes of a frame, 2048 or 4096: see [`frame_size_for`].
    pub frame_size: u32,
    /// Entries of each of a socket's four rings, a power of two.
    pub ring: u32,
    /// Most frames that are inspected at once, at most [`MAX_BATCH`].
    pub batch: usize,
    /// Whether frames are copied.
    pub zero_copy: ZeroCopy,
    /// Lay frames in huge pages, where there are any.
    pub huge_pages: bool,
    /// How long a batch of frames may wait for room on a transmit ring before frames are dropped.
    pub transmit_wait: Duration,
    /// After how long without progress a ring is kicked, at most a minute; after eight times as long its socket is taken for
    /// broken.
    pub stall: Duration,
    /// The heartbeat's timeout, as the program was told: what takes longer is counted.
    pub heartbeat: Duration,
    /// How long a worker sleeps at most. Well below the heartbeat's timeout.
    pub poll: Duration,
}

impl Default for BridgeOptions {
    fn default() -> Self {
        Self {
            ports: Vec::new(),
            workers: 1,
            frames: 8192,
            frame_size: 2048,
            ring: 2048,
            batch: MAX_BATCH,
            zero_copy: ZeroCopy::Auto,
            huge_pages: false,
            transmit_wait: Duration::from_millis(1),
            stall: Duration::from_millis(20),
            heartbeat: Duration::from_millis(30),
            poll: Duration::from_millis(5),
        }
    }
}

/// The smallest frame size that holds packets of an MTU (bytes behind the Ethernet header, VLAN tags not counted); `None` when
/// none does: packets over several frames are not supported.
#[must_use]
pub fn frame_size_for(mtu: u32) -> Option<u32> {
    let needed = mtu.checked_add(LINK_HEADER + HEADROOM)?;
    [2048, 4096].into_iter().find(|&size| needed <= size)
}

/// Options that do not make a bridge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {got}: expected {expected}")]
pub struct OptionsError {
    /// Which option.
    pub what: &'static str,
    /// Its value.
    pub got: u64,
    /// What it may be.
    pub expected: String,
}

impl BridgeOptions {
    /// Checks everything that does not need the interfaces.
    ///
    /// # Errors
    /// The first option that is out of its bounds.
    pub fn check(&self) -> Result<(), OptionsError> {
        let refuse = |what, got: u64, expected: &str| {
            Err(OptionsError {
                what,
                got,
                expected: expected.to_owned(),
            })
        };
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        if !(1..=MAX_PORTS as usize).contains(&self.ports.len()) {
            return refuse("the number of ports", self.ports.len() as u64, "1 or 2");
        }
        if let [a, b] = self.ports.as_slice()
            && a.interface == b.interface
        {
            let index = u64::from(b.interface);
            return refuse(
                "the second port's index",
                index,
                "another interface than the first",
            );
        }
        if !(1..=MAX_QUEUES).contains(&self.workers) {
            return refuse("the number of workers", self.workers.into(), "1 to 64");
        }
        if ![2048, 4096].contains(&self.frame_size) {
            return refuse("the frame size", self.frame_size.into(), "2048 or 4096");
        }
        if !(64..=1 << 15).contains(&self.ring) || !self.ring.is_power_of_two() {
            let expected = "a power of two from 64 to 32768";
            return refuse("the rings' size", self.ring.into(), expected);
        }
        if !(2 * MAX_BATCH as u32..=1 << 20).contains(&self.frames) {
            return refuse(
                "the number of frames a worker",
                self.frames.into(),
                "128 to 1048576",
            );
        }
        if !(1..=MAX_BATCH).contains(&self.batch) {
            return refuse("the batch", self.batch as u64, "1 to 64");
        }
        if self.poll.is_zero() || self.poll > self.heartbeat / 2 {
            let expected = "more than nothing, and at most half of the heartbeat's timeout";
            return refuse("the longest sleep (ms)", millis(self.poll), expected);
        }
        if self.transmit_wait > self.heartbeat / 2 {
            let expected = "at most half of the heartbeat's timeout";
            return refuse(
                "the wait for room (ms)",
                millis(self.transmit_wait),
                expected,
            );
        }
        if self.stall.is_zero() || self.stall > LONGEST_STALL {
            let expected = "more than nothing, and at most a minute";
            return refuse("the stall (ms)", millis(self.stall), expected);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_ports() -> BridgeOptions {
        let port = |name: &str, interface| BridgePort {
            name: name.to_owned(),
            interface,
        };
        BridgeOptions {
            ports: vec![port("a", 2), port("b", 3)],
            ..BridgeOptions::default()
        }
    }

    #[test]
    fn bounds_are_held() {
        assert_eq!(two_ports().check(), Ok(()));
        type Change = fn(&mut BridgeOptions);
        let refused: [(&str, Change); 16] = [
            ("ports", |options| options.ports.clear()),
            ("ports", |options| {
                options.ports.push(options.ports[0].clone())
            }),
            ("second port", |options| options.ports[1].interface = 2),
            ("workers", |options| options.workers = 0),
            ("workers", |options| options.workers = 65),
            ("frame size", |options| options.frame_size = 3000),
            ("rings", |options| options.ring = 1000),
            ("rings", |options| options.ring = 32),
            ("frames", |options| options.frames = 100),
            ("batch", |options| options.batch = 65),
            ("sleep", |options| options.poll = Duration::from_millis(16)),
            ("sleep", |options| options.poll = Duration::ZERO),
            ("sleep", |options| options.poll = Duration::MAX),
            ("stall", |options| options.stall = Duration::ZERO),
            ("stall", |options| options.stall = Duration::MAX),
            ("room", |options| {
                options.transmit_wait = Duration::from_millis(16)
            }),
        ];
        for (word, change) in refused {
            let mut options = two_ports();
            change(&mut options);
            let error = options.check().expect_err(word).to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn frames_hold_an_mtu_with_tags() {
        assert_eq!(frame_size_for(1500), Some(2048));
        assert_eq!(frame_size_for(2048 - 256 - 22), Some(2048));
        assert_eq!(frame_size_for(2048 - 256 - 21), Some(4096));
        assert_eq!(frame_size_for(4096 - 256 - 22), Some(4096));
        assert_eq!(frame_size_for(9000), None);
        assert_eq!(frame_size_for(u32::MAX), None);
    }
}
