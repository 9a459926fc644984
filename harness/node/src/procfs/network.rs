use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

/// Traffic of all links of a network namespace but the loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkSample {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets dropped, in both directions.
    pub dropped: u64,
}

impl NetworkSample {
    /// The network namespace of this process's main thread.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn here() -> io::Result<NetworkSample> {
        Ok(NetworkSample::parse(&fs::read_to_string(
            "/proc/self/net/dev",
        )?))
    }

    /// The network namespace of process `pid`.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn of(pid: i32) -> io::Result<NetworkSample> {
        let text = fs::read_to_string(format!("/proc/{pid}/net/dev"))?;
        Ok(NetworkSample::parse(&text))
    }

    fn parse(text: &str) -> NetworkSample {
        let mut sum = NetworkSample::default();
        for (name, counters) in text.lines().filter_map(|line| line.split_once(':')) {
            if name.trim() == "lo" {
                continue;
            }
            let fields: Vec<u64> = counters
                .split_whitespace()
                .map(|field| field.parse().unwrap_or_default())
                .collect();
            let field = |index: usize| fields.get(index).copied().unwrap_or_default();
            add(&mut sum.rx_bytes, field(0));
            add(&mut sum.rx_packets, field(1));
            add(&mut sum.tx_bytes, field(8));
            add(&mut sum.tx_packets, field(9));
            add(&mut sum.dropped, field(3));
            add(&mut sum.dropped, field(11));
        }
        sum
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_text_panics(counters in "[0-9 :a-z]{0,400}") {
            NetworkSample::parse(&counters);
            NetworkSample::parse(&format!("a: {0} {0} {0} {0}\nb: {0} {0} {0} {0}", u64::MAX));
        }
    }

    #[test]
    fn links_are_summed_without_the_loopback() {
        let text = "Inter-|   Receive                                                |  Transmit\n\
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n\
                lo:  999  9 0 0 0 0 0 0  999 9 0 0 0 0 0 0\n\
              eth0:  100  2 0 1 0 0 0 0  200 3 0 4 0 0 0 0\n\
              eth1: 10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n";
        let expected = NetworkSample {
            rx_bytes: 110,
            tx_bytes: 220,
            rx_packets: 3,
            tx_packets: 4,
            dropped: 5,
        };
        assert_eq!(NetworkSample::parse(text), expected);
        assert!(NetworkSample::here().is_ok());
    }
}
