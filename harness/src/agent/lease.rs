use std::time::Duration;

use tokio::time::Instant;

/// How long the agent may go on without hearing from its controller.
pub(super) struct Lease {
    length: Duration,
    ends: Instant,
}

impl Lease {
    /// A lease that begins now.
    pub(super) fn new(length: Duration) -> Lease {
        Lease {
            length,
            ends: Instant::now() + length,
        }
    }

    /// Begins anew. To be called after each frame was handled, so that the agent's own work does not count as the
    /// controller's silence.
    pub(super) fn renew(&mut self) {
        self.ends = Instant::now() + self.length;
    }

    /// Resolves when the lease is over.
    pub(super) async fn over(&self) {
        tokio::time::sleep_until(self.ends).await;
    }

    /// How long it lasts.
    pub(super) fn length(&self) -> Duration {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_renewed_lease_lasts() {
        let mut lease = Lease::new(Duration::from_secs(15));
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(10)).await;
        lease.renew();
        lease.over().await;
        assert_eq!(begun.elapsed().as_secs(), 25);
    }
}
