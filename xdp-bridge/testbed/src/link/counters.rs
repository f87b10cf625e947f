//! What the kernel counts on an interface.

use crate::BedError;

/// Counters of an interface since it was made.
///
/// On a veth, frames that an XDP program drops by intent count as `rx_dropped`, and `tx_dropped` counts frames that
/// found the peer's ring full (256 frames a queue, where the peer has GRO or an XDP program).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkCounters {
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames dropped on their way in, a full backlog included.
    pub rx_dropped: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames dropped on their way out.
    pub tx_dropped: u64,
}

impl LinkCounters {
    /// What was counted between `earlier` and now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            rx_packets: self.rx_packets.saturating_sub(earlier.rx_packets),
            rx_bytes: self.rx_bytes.saturating_sub(earlier.rx_bytes),
            rx_dropped: self.rx_dropped.saturating_sub(earlier.rx_dropped),
            tx_packets: self.tx_packets.saturating_sub(earlier.tx_packets),
            tx_bytes: self.tx_bytes.saturating_sub(earlier.tx_bytes),
            tx_dropped: self.tx_dropped.saturating_sub(earlier.tx_dropped),
        }
    }

    /// Frames dropped either way.
    pub fn dropped(&self) -> u64 {
        self.rx_dropped.saturating_add(self.tx_dropped)
    }
}

/// The counters of an interface in this thread's namespace.
pub(crate) fn counters(interface: &str) -> Result<LinkCounters, BedError> {
    let path = "/proc/thread-self/net/dev";
    let text =
        std::fs::read_to_string(path).map_err(BedError::system(format!("reading {path}")))?;
    parse(&text, interface)
        .ok_or_else(|| BedError::Invalid(format!("there is no interface {interface}")))
}

/// A row of `/proc/net/dev`: eight columns of what came in, eight of what went out.
fn parse(text: &str, interface: &str) -> Option<LinkCounters> {
    let row = text.lines().find_map(|line| {
        let (name, row) = line.split_once(':')?;
        (name.trim() == interface).then_some(row)
    })?;
    let columns: Vec<u64> = row
        .split_whitespace()
        .map_while(|column| column.parse().ok())
        .collect();
    let column = |index: usize| columns.get(index).copied();
    Some(LinkCounters {
        rx_bytes: column(0)?,
        rx_packets: column(1)?,
        rx_dropped: column(3)?,
        tx_bytes: column(8)?,
        tx_packets: column(9)?,
        tx_dropped: column(11)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
port-a:100 200 0 300 0 0 0 0 400 500 0 600 0 0 0 0
";

    #[test]
    fn columns_are_where_the_kernel_puts_them() {
        let counters = parse(TEXT, "port-a").expect("the row is there");
        let expected = LinkCounters {
            rx_bytes: 100,
            rx_packets: 200,
            rx_dropped: 300,
            tx_bytes: 400,
            tx_packets: 500,
            tx_dropped: 600,
        };
        assert_eq!(counters, expected);
        assert_eq!(counters.dropped(), 900);
        assert_eq!(parse(TEXT, "port"), None);
    }
}
