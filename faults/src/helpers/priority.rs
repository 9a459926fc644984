use std::fmt;

use serde::{Deserialize, Serialize};

/// How soon a helper runs when it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Before every ordinary process.
    Realtime,
    /// As the ordinary process that waits least.
    Raised,
    /// As any process: late when the machine is busy.
    Ordinary,
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Priority::Realtime => "realtime",
            Priority::Raised => "raised",
            Priority::Ordinary => "ordinary",
        })
    }
}

impl Priority {
    /// Takes the best the system allows this thread (real time is refused without privilege and inside a cpu cgroup of v1).
    pub(crate) fn take_best() -> Priority {
        let parameters = libc::sched_param { sched_priority: 10 };
        // SAFETY: both calls change only this thread's scheduling and are given valid arguments.
        unsafe {
            let reset_on_fork = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
            if libc::sched_setscheduler(0, reset_on_fork, &raw const parameters) == 0 {
                Priority::Realtime
            } else if libc::setpriority(libc::PRIO_PROCESS, 0, -20) == 0 {
                Priority::Raised
            } else {
                Priority::Ordinary
            }
        }
    }
}
