use std::io;

/// What the kernel counts about a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct QueueStatistics {
    /// Packets that wait now.
    pub(crate) waiting: u64,
    /// Packets lost because the queue was full or its owner did not read fast enough.
    pub(crate) dropped: u64,
    /// Packets that ever came in.
    pub(crate) seen: u64,
}

/// The kernel's figures for queue `number` of this thread's network namespace; `None` when nobody holds it.
///
/// # Errors
/// The kernel has no packet queues, or `/proc` cannot be read.
pub(crate) fn statistics(number: u16) -> io::Result<Option<QueueStatistics>> {
    let text = std::fs::read_to_string("/proc/thread-self/net/netfilter/nfnetlink_queue")?;
    Ok(find(&text, number))
}

fn find(text: &str, number: u16) -> Option<QueueStatistics> {
    let rows = text.lines().map(|line| {
        let fields = line
            .split_whitespace()
            .map(|field| field.parse().unwrap_or_default());
        fields.collect::<Vec<u64>>()
    });
    // Columns: queue, owner, waiting, copy mode, copy range, dropped by the kernel, dropped for the owner, last id, 1.
    let mut rows = rows.filter(|row| row.len() >= 8 && row[0] == u64::from(number));
    rows.next().map(|row| QueueStatistics {
        waiting: row[2],
        dropped: row[5] + row[6],
        seen: row[7],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_row_is_read() {
        let text = "28999  12345     0 1     0     7     8       99  1\n29000  23456     3 1     0     1     2     4711  1\n";
        let expected = QueueStatistics {
            waiting: 3,
            dropped: 3,
            seen: 4711,
        };
        assert_eq!(find(text, 29_000), Some(expected));
        assert_eq!(find(text, 29_001), None);
        assert_eq!(find("garbage\n", 0), None);
    }
}
