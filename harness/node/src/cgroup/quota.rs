use std::fmt;

use serde::{Deserialize, Serialize};
use vocab::units::{Share, Span};

/// So much CPU time in every period: 0.66 CPUs in periods of 10 ms are 6.6 ms each.
///
/// The period is how long a group that used up its quota may have to sleep: with the kernel's default of 100 ms a busy
/// server at a third of a CPU sleeps 67 ms of each, which becomes its tail latency; hence 10 ms for a node's budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CpuQuota {
    cpus: f64,
    period: Span,
}

/// A quota that the kernel cannot keep.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum QuotaError {
    /// The kernel's least quota is 1 ms per period.
    #[error(
        "a quota of {cpus} CPUs in periods of {period} is under the kernel's least of 1ms per period: use a longer period"
    )]
    TooSmall {
        /// The CPUs asked for.
        cpus: f64,
        /// The period asked for.
        period: Span,
    },
    /// The kernel's periods are 1 ms to 1 s.
    #[error("a quota period of {0} is not between 1ms and 1s")]
    Period(Span),
    /// More than there can be, or not a number.
    #[error("{0} is not a number of CPUs above 0 and up to 4096")]
    Cpus(f64),
}

impl CpuQuota {
    /// The period of a node's budget.
    pub const BUDGET_PERIOD: Span = Span::millis(10);
    /// The period of a fault: the kernel's default, as in the papers.
    pub const FAULT_PERIOD: Span = Span::millis(100);

    /// So many CPUs, averaged over every period.
    ///
    /// # Errors
    /// When the kernel cannot keep such a quota.
    pub fn new(cpus: f64, period: Span) -> Result<CpuQuota, QuotaError> {
        if !(cpus > 0.0 && cpus <= 4096.0) {
            return Err(QuotaError::Cpus(cpus));
        }
        if period < Span::millis(1) || period > Span::seconds(1) {
            return Err(QuotaError::Period(period));
        }
        let quota = CpuQuota { cpus, period };
        if quota.quota_us() < 1000 {
            return Err(QuotaError::TooSmall { cpus, period });
        }
        Ok(quota)
    }

    /// This share of the CPUs of `self`, in other periods.
    ///
    /// # Errors
    /// When the kernel cannot keep such a quota.
    pub fn share(self, share: Share, period: Span) -> Result<CpuQuota, QuotaError> {
        CpuQuota::new(self.cpus * share.fraction(), period)
    }

    /// CPUs on average.
    pub fn cpus(self) -> f64 {
        self.cpus
    }

    /// The stretch of time over which the average holds.
    pub fn period(self) -> Span {
        self.period
    }

    pub(super) fn period_us(self) -> u64 {
        self.period.duration().as_micros() as u64
    }

    pub(super) fn quota_us(self) -> u64 {
        (self.cpus * self.period_us() as f64).round() as u64
    }
}

impl fmt::Display for CpuQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus = format!("{:.3}", self.cpus);
        let cpus = cpus.trim_end_matches('0').trim_end_matches('.');
        write!(f, "{cpus} CPUs in periods of {}", self.period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_what_the_kernel_counts() {
        let budget = CpuQuota::new(0.66, CpuQuota::BUDGET_PERIOD).unwrap();
        assert_eq!((budget.quota_us(), budget.period_us()), (6600, 10_000));
        let five = "5%".parse().unwrap();
        let fault = budget.share(five, CpuQuota::FAULT_PERIOD).unwrap();
        assert_eq!((fault.quota_us(), fault.period_us()), (3300, 100_000));
        assert_eq!(fault.to_string(), "0.033 CPUs in periods of 100ms");
    }

    #[test]
    fn what_the_kernel_cannot_keep_is_refused() {
        let one = CpuQuota::new(1.0, CpuQuota::BUDGET_PERIOD).unwrap();
        let share = "5%".parse().unwrap();
        let error = one.share(share, CpuQuota::BUDGET_PERIOD).unwrap_err();
        assert!(error.to_string().contains("use a longer period"), "{error}");
        assert!(CpuQuota::new(f64::NAN, CpuQuota::BUDGET_PERIOD).is_err());
        assert!(CpuQuota::new(1.0, Span::seconds(2)).is_err());
        assert!(CpuQuota::new(0.0, CpuQuota::BUDGET_PERIOD).is_err());
    }
}
