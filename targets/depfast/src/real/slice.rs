//! How soon the threads of a node get their turn on a core that others want too.

use std::mem::{size_of, zeroed};
use std::time::Duration;

use nix::libc;

/// The slice asked for. Shorter than what a program gets that asks for nothing (1.4 ms on two cores, 2.8 ms on eight),
/// longer than a flush's or a batch's work takes.
const SLICE: Duration = Duration::from_micros(300);

/// Asks for short slices for this thread and those it will start.
///
/// Since Linux 6.12 a thread that is woken and wants a shorter slice takes over from one with a longer slice at once, not at
/// the next tick (4 ms on many kernels). It gets no larger share of the core. A node waits far more often than it computes, so
/// this is what it loses to a program that computes beside it. Earlier kernels ignore the wish, and so may a sandbox.
pub(super) fn ask_for_short_slices() {
    let mut attributes: libc::sched_attr = {
        // SAFETY: the structure consists of integers, for which zero is a value.
        unsafe { zeroed() }
    };
    let size = size_of::<libc::sched_attr>() as libc::c_uint;
    // SAFETY: both calls concern only this thread, and the structure is as large as they are told.
    unsafe {
        if libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) != 0 {
            return;
        }
        let fair = attributes.sched_policy == libc::SCHED_OTHER as u32;
        if fair {
            attributes.sched_runtime = SLICE.as_nanos() as u64;
            libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_are_started_later_have_the_slice_too() {
        let slice = || {
            // SAFETY: as above.
            unsafe {
                let mut attributes: libc::sched_attr = zeroed();
                let size = size_of::<libc::sched_attr>() as libc::c_uint;
                libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0);
                attributes.sched_runtime
            }
        };
        let [before, after, inherited] = std::thread::spawn(move || {
            let before = slice();
            ask_for_short_slices();
            [before, slice(), std::thread::spawn(slice).join().unwrap()]
        })
        .join()
        .unwrap();
        if before == 0 {
            println!("skipped: this kernel knows no slices of one's own");
            return;
        }
        assert_eq!(Duration::from_nanos(after), SLICE);
        assert_eq!(inherited, after);
    }
}
