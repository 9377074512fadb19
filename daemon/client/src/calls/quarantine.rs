//! Lists in quarantine.

use super::{Answer, NOTHING};
use crate::{ApiPath, Client, ClientError};
use api::quarantine::{
    QuarantineDetails, QuarantineReport, ReleasedList, ReplaceQuery, ReplacedList,
};
use api::request::TimeoutQuery;
use hyper::Method;

/// Lists in quarantine.
///
/// ```no_run
/// # async fn example(client: client::Client) -> Result<(), client::ClientError> {
/// for list in client.quarantine().await?.value.items {
///     println!("{}: {}", list.name.unwrap_or_default(), list.reason);
/// }
/// # Ok(())
/// # }
/// ```
impl Client {
    /// The lists whose documents cannot be made.
    pub async fn quarantine(&self) -> Result<Answer<QuarantineReport>, ClientError> {
        self.read(&ApiPath::new(&["quarantine"])).await
    }

    /// What is wrong with one.
    pub async fn quarantined_list(
        &self,
        list: &str,
    ) -> Result<Answer<QuarantineDetails>, ClientError> {
        self.read(&ApiPath::new(&["quarantine", list])).await
    }

    /// Tries to make the document of one.
    pub async fn release_list(
        &self,
        list: &str,
        wait: &TimeoutQuery,
    ) -> Result<Answer<ReleasedList>, ClientError> {
        let path = ApiPath::new(&["quarantine", list, "release"]).with(wait);
        self.send(Method::POST, &path, NOTHING, None).await
    }

    /// Puts one aside and takes it from other members.
    pub async fn replace_list(
        &self,
        list: &str,
        how: &ReplaceQuery,
        wait: &TimeoutQuery,
    ) -> Result<Answer<ReplacedList>, ClientError> {
        let path = ApiPath::new(&["quarantine", list, "replace"]);
        let path = path.with(how).with(wait);
        self.send(Method::POST, &path, NOTHING, None).await
    }
}
