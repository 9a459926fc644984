use std::path::Path;

use super::{Node, PROMPT};
use crate::agent::wire::{DirEntry, MAX_PAYLOAD, Request, Response};
use crate::cluster::error::NodeError;

impl Node {
    /// Writes a file on the node; `mode` are its permissions.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put_file(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), NodeError> {
        let mut offset = 0;
        // An empty file is one empty chunk.
        loop {
            let end = content.len().min(offset + MAX_PAYLOAD);
            let request = Request::PutFile {
                path: path.to_owned(),
                offset: offset as u64,
                mode,
            };
            self.link
                .ask(request, content[offset..end].to_vec(), PROMPT)
                .await?;
            offset = end;
            if offset == content.len() {
                return Ok(());
            }
        }
    }

    /// Reads a file of the node, at most `limit` bytes of it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn fetch(&self, path: &Path, limit: usize) -> Result<Vec<u8>, NodeError> {
        self.fetch_from(path, 0, limit).await
    }

    /// The same from `offset` on.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn fetch_from(
        &self,
        path: &Path,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<u8>, NodeError> {
        let mut content = Vec::new();
        loop {
            let request = Request::GetFile {
                path: path.to_owned(),
                offset: offset + content.len() as u64,
            };
            let (_, chunk) = self.link.ask(request, Vec::new(), PROMPT).await?;
            let end = chunk.len() < MAX_PAYLOAD;
            content.extend(chunk);
            if end || content.len() >= limit {
                content.truncate(limit);
                return Ok(content);
            }
        }
    }

    /// Names what is in a directory of the node.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn list_dir(&self, path: &Path) -> Result<Vec<DirEntry>, NodeError> {
        match self
            .ask(
                Request::ListDir {
                    path: path.to_owned(),
                },
                PROMPT,
            )
            .await?
        {
            Response::Entries(entries) => Ok(entries),
            other => Err(self.off_topic(&other)),
        }
    }

    /// Empties the data directory; servers must have ended.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub async fn wipe(&self) -> Result<(), NodeError> {
        self.done(Request::Wipe).await
    }
}
