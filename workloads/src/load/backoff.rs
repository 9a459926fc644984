use std::time::Duration;

/// How long to leave a server alone that answers errors, or cannot be reached: without it, a crippled one would get
/// thousands of requests a second that fail at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    const SHORTEST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_millis(20);

    /// Notes a failure; gives how long to wait before the next attempt.
    pub(crate) fn fail(&mut self) -> Duration {
        let pause = Self::SHORTEST * (1 << self.failures.min(2));
        self.failures += 1;
        pause.min(Self::LONGEST)
    }

    /// Notes a success.
    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_start_again() {
        let mut backoff = Backoff::default();
        let millis: Vec<_> = (0..4).map(|_| backoff.fail().as_millis()).collect();
        assert_eq!(millis, [5, 10, 20, 20]);
        backoff.succeed();
        assert_eq!(backoff.fail(), Duration::from_millis(5));
    }
}
