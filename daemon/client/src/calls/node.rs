//! The node itself.

use super::{Answer, NOTHING};
use crate::{ApiPath, Client, ClientError};
use api::node::{Examination, LoggedLevel, NewLogLevel, NodeInfo, NodeStatus, ReloadResult};
use hyper::Method;

/// The node.
///
/// ```no_run
/// # async fn example(client: client::Client) -> Result<(), client::ClientError> {
/// for trouble in client.status().await?.value.attention {
///     println!("{}: {}", trouble.what, trouble.remedy);
/// }
/// # Ok(())
/// # }
/// ```
impl Client {
    /// What it is.
    pub async fn node(&self) -> Result<Answer<NodeInfo>, ClientError> {
        self.read(&ApiPath::new(&["node"])).await
    }

    /// How it and its cluster do.
    pub async fn status(&self) -> Result<Answer<NodeStatus>, ClientError> {
        self.read(&ApiPath::new(&["status"])).await
    }

    /// Examines it, which takes up to about ten seconds.
    pub async fn doctor(&self) -> Result<Answer<Examination>, ClientError> {
        self.read(&ApiPath::new(&["debug", "doctor"])).await
    }

    /// Has it read its configuration again.
    pub async fn reload(&self) -> Result<Answer<ReloadResult>, ClientError> {
        let path = ApiPath::new(&["reload"]);
        self.send(Method::POST, &path, NOTHING, None).await
    }

    /// What it logs.
    pub async fn log_level(&self) -> Result<Answer<LoggedLevel>, ClientError> {
        self.read(&ApiPath::new(&["log-level"])).await
    }

    /// Changes what it logs, for a time or until its end.
    pub async fn set_log_level(
        &self,
        level: &NewLogLevel,
    ) -> Result<Answer<LoggedLevel>, ClientError> {
        let path = ApiPath::new(&["log-level"]);
        self.send(Method::PUT, &path, Some(level), None).await
    }

    /// Has it log again what its configuration says.
    pub async fn reset_log_level(&self) -> Result<Answer<LoggedLevel>, ClientError> {
        let path = ApiPath::new(&["log-level"]);
        self.send(Method::DELETE, &path, NOTHING, None).await
    }
}
