//! What is done ahead of time: the next segment is there before it is needed, with all its space. So a full disk is
//! noticed while there is still room for what is under way.

use super::flush::RETRY;
use super::{Space, Wal};
use crate::storage::is_full;

impl Wal {
    pub(super) async fn keep_up(&self) {
        let Some(files) = &self.files else {
            return;
        };
        loop {
            let durable = || self.durable.get();
            files
                .chores
                .wait("log upkeep", |()| {
                    files.has_surplus(durable()) || files.next.with(Option::is_none)
                })
                .await;
            let done = if files.next.with(Option::is_none) {
                files.make_next().await.map(|segment| {
                    files.next.set(Some(segment));
                    self.space.set(Space::Enough);
                })
            } else {
                files.remove_spare().await
            };
            match done {
                Ok(()) => {}
                Err(error) if is_full(&error) => {
                    self.space.set(Space::Full);
                    self.env.timeout("disk space", RETRY).await;
                }
                Err(error) => {
                    self.fail(error);
                    return;
                }
            }
        }
    }
}
