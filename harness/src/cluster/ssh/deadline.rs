//! Steps on a machine whose shell or disk may hang while its sshd lives.

use std::fmt;
use std::time::Duration;

use tokio::time::timeout;

use super::explain::step;

/// How long a machine may take to say what it is.
pub(super) const SURVEY: Duration = Duration::from_secs(30);

/// How long an upload may go on without a single byte being taken.
pub(super) const STANDSTILL: Duration = Duration::from_secs(60);

/// How long what is on its way may take to arrive, be written and be read again, or what a dead run left to be undone.
pub(super) const SETTLING: Duration = Duration::from_secs(300);

/// Does a step, for so long at most.
pub(super) async fn within<T>(
    limit: Duration,
    what: &str,
    doing: impl Future<Output = Result<T, openssh::Error>>,
) -> Result<T, String> {
    match timeout(limit, doing).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(step(what, &error)),
        Err(_) => Err(hangs(what, format_args!("no answer within {limit:?}"))),
    }
}

/// A step that came to no end.
pub(super) fn hangs(what: &str, symptom: fmt::Arguments<'_>) -> String {
    format!(
        "cannot {what}: {symptom}, though ssh is connected: the shell or the disk there hangs, or the way there is very \
         slow; log in by hand, look at `dmesg`, and start the machine again if that hangs, too"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_told_with_step_and_remedy() {
        let hanging = std::future::pending::<Result<(), openssh::Error>>();
        let told = within(SURVEY, "look around", hanging).await.unwrap_err();
        assert!(told.starts_with("cannot look around: no answer within 30s"));
        assert!(told.contains("dmesg"), "{told}");
        assert_eq!(within(SURVEY, "look", async { Ok(7) }).await, Ok(7));
    }
}
