//! Backups.

use super::{Answer, NOTHING};
use crate::{ApiPath, Client, ClientError, Download};
use api::backup::RestoreResult;
use api::page::PageQuery;
use api::verify::VerifiedPart;
use bytes::Bytes;
use hyper::Method;

/// Backups. What comes is whole only if it ends with its end mark.
///
/// ```no_run
/// # async fn example(client: client::Client) -> Result<(), client::ClientError> {
/// let mut backup = client.backup().await?;
/// while let Some(piece) = backup.next().await? {
///     println!("{} bytes", piece.len());
/// }
/// # Ok(())
/// # }
/// ```
impl Client {
    /// All lists of the node at one instant.
    pub async fn backup(&self) -> Result<Download, ClientError> {
        self.download(&ApiPath::new(&["backup"])).await
    }

    /// Reads all that the node has of some lists; the cursor of the answer names those that follow.
    pub async fn verify(&self, which: &PageQuery) -> Result<Answer<VerifiedPart>, ClientError> {
        let path = ApiPath::new(&["verify"]).with(which);
        self.send(Method::POST, &path, NOTHING, None).await
    }

    /// Puts a backup back that is in memory.
    pub async fn restore(&self, backup: Bytes) -> Result<Answer<RestoreResult>, ClientError> {
        let reply = self
            .upload(Method::POST, &ApiPath::new(&["restore"]), backup)
            .await?;
        reply.typed()
    }
}
