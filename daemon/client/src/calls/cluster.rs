//! The cluster, and the node's part in it.

use super::{Answer, NOTHING};
use crate::{ApiPath, Client, ClientError};
use api::cluster::{
    AwayQuery, ClusterMember, DeclaredMember, JoinOutcomes, JoinRequest, LeaveQuery, LeaveResult,
    NewAbsence, PartitionView,
};
use api::heals::{HealReport, HealsOfMembers};
use api::reach::ReachMatrix;
use api::request::TimeoutQuery;
use hyper::Method;

/// The cluster.
///
/// ```no_run
/// # async fn example(client: client::Client) -> Result<(), client::ClientError> {
/// for member in client.members().await?.value {
///     println!("{} is {}", member.name, member.state);
/// }
/// # Ok(())
/// # }
/// ```
impl Client {
    /// The nodes that belong to the cluster or left it in order, by name.
    pub async fn members(&self) -> Result<Answer<Vec<ClusterMember>>, ClientError> {
        self.read_all(&ApiPath::new(&["members"])).await
    }

    /// How much of the cluster the node reaches.
    pub async fn partition(&self) -> Result<Answer<PartitionView>, ClientError> {
        self.read(&ApiPath::new(&["partition"])).await
    }

    /// What the node saw of past heals, the newest first.
    pub async fn heals(&self) -> Result<Answer<Vec<HealReport>>, ClientError> {
        self.read_all(&ApiPath::new(&["heals"])).await
    }

    /// What all members tell of past heals, the newest first.
    pub async fn heals_of_members(&self) -> Result<Answer<HealsOfMembers>, ClientError> {
        self.read(&ApiPath::new(&["heals", "members"])).await
    }

    /// Who reaches whom, as all members tell it.
    pub async fn reach(&self) -> Result<Answer<ReachMatrix>, ClientError> {
        self.read(&ApiPath::new(&["reach"])).await
    }

    /// Joins the cluster by the nodes at these addresses.
    pub async fn join(
        &self,
        whom: &JoinRequest,
        wait: &TimeoutQuery,
    ) -> Result<Answer<JoinOutcomes>, ClientError> {
        let path = ApiPath::new(&["members", "join"]).with(wait);
        self.send(Method::POST, &path, Some(whom), None).await
    }

    /// Leaves the cluster; the daemon ends.
    pub async fn leave(
        &self,
        how: &LeaveQuery,
        wait: &TimeoutQuery,
    ) -> Result<Answer<LeaveResult>, ClientError> {
        let path = ApiPath::new(&["leave"]).with(how).with(wait);
        self.send(Method::POST, &path, NOTHING, None).await
    }

    /// Forgets a member that is gone for good.
    pub async fn forget(
        &self,
        member: &str,
        wait: &TimeoutQuery,
    ) -> Result<Answer<()>, ClientError> {
        let path = ApiPath::new(&["members", member]).with(wait);
        self.send(Method::DELETE, &path, NOTHING, None).await
    }

    /// Declares that a member that is down is away on purpose.
    pub async fn declare_away(
        &self,
        member: &str,
        absence: &NewAbsence,
        how: &AwayQuery,
        wait: &TimeoutQuery,
    ) -> Result<Answer<DeclaredMember>, ClientError> {
        let path = ApiPath::new(&["members", member, "away"]);
        let path = path.with(how).with(wait);
        self.send(Method::POST, &path, Some(absence), None).await
    }

    /// Ends that a member is away on purpose.
    pub async fn declare_back(
        &self,
        member: &str,
        wait: &TimeoutQuery,
    ) -> Result<Answer<DeclaredMember>, ClientError> {
        let path = ApiPath::new(&["members", member, "away"]).with(wait);
        self.send(Method::DELETE, &path, NOTHING, None).await
    }
}
