//! Registered processes, their groups and links.

use super::{Answer, NOTHING};
use crate::{ApiPath, Client, ClientError};
use api::processes::{
    ExitReport, GroupQuery, LinkQuery, ProcessGroup, ProcessLink, ProcessesQuery, RegisterRequest,
    RegisteredProcess,
};
use api::request::TimeoutQuery;
use hyper::Method;

/// Processes.
///
/// ```no_run
/// # async fn example(client: client::Client) -> Result<(), client::ClientError> {
/// use api::processes::RegisterRequest;
/// use api::request::TimeoutQuery;
///
/// let me = RegisterRequest { address: Some("10.0.0.7:8080".into()), ..RegisterRequest::default() };
/// let registered = client.register("web", &me, &TimeoutQuery::default()).await?.value;
/// println!("{} is registered", registered.handle);
/// println!("it runs on {}", client.whereis("web").await?.value.node);
/// # Ok(())
/// # }
/// ```
impl Client {
    /// The registered processes of all nodes, by name.
    pub async fn processes(
        &self,
        which: &ProcessesQuery,
    ) -> Result<Answer<Vec<RegisteredProcess>>, ClientError> {
        self.read_all(&ApiPath::new(&["processes"]).with(which))
            .await
    }

    /// Who has a name.
    pub async fn whereis(&self, name: &str) -> Result<Answer<RegisteredProcess>, ClientError> {
        self.read(&ApiPath::new(&["processes", name])).await
    }

    /// Registers a process of the node's host, or replaces its registration.
    pub async fn register(
        &self,
        name: &str,
        process: &RegisterRequest,
        wait: &TimeoutQuery,
    ) -> Result<Answer<RegisteredProcess>, ClientError> {
        let path = ApiPath::new(&["processes", name]).with(wait);
        self.send(Method::PUT, &path, Some(process), None).await
    }

    /// Takes the registration of a process of the node back.
    pub async fn unregister(
        &self,
        name: &str,
        wait: &TimeoutQuery,
    ) -> Result<Answer<()>, ClientError> {
        let path = ApiPath::new(&["processes", name]).with(wait);
        self.send(Method::DELETE, &path, NOTHING, None).await
    }

    /// Reports how a process of the node has ended that was registered with `reports_exit`.
    pub async fn report_exit(
        &self,
        name: &str,
        how: &ExitReport,
        wait: &TimeoutQuery,
    ) -> Result<Answer<()>, ClientError> {
        let path = ApiPath::new(&["processes", name, "exit"]).with(wait);
        self.send(Method::POST, &path, Some(how), None).await
    }

    /// The groups that somebody is in, by name.
    pub async fn groups(&self) -> Result<Answer<Vec<ProcessGroup>>, ClientError> {
        self.read_all(&ApiPath::new(&["groups"])).await
    }

    /// The members of a group that are in sight, those of the node first.
    pub async fn group(
        &self,
        group: &str,
        which: &GroupQuery,
    ) -> Result<Answer<Vec<RegisteredProcess>>, ClientError> {
        self.read_all(&ApiPath::new(&["groups", group]).with(which))
            .await
    }

    /// Puts a process of the node into a group.
    pub async fn join_group(
        &self,
        group: &str,
        name: &str,
        wait: &TimeoutQuery,
    ) -> Result<Answer<()>, ClientError> {
        let path = ApiPath::new(&["groups", group, name]).with(wait);
        self.send(Method::PUT, &path, NOTHING, None).await
    }

    /// Takes a process of the node out of a group.
    pub async fn leave_group(
        &self,
        group: &str,
        name: &str,
        wait: &TimeoutQuery,
    ) -> Result<Answer<()>, ClientError> {
        let path = ApiPath::new(&["groups", group, name]).with(wait);
        self.send(Method::DELETE, &path, NOTHING, None).await
    }

    /// The links of a process of the node.
    pub async fn links(
        &self,
        name: &str,
        wait: &TimeoutQuery,
    ) -> Result<Answer<Vec<ProcessLink>>, ClientError> {
        self.read_all(&ApiPath::new(&["processes", name, "links"]).with(wait))
            .await
    }

    /// Links a process of the node to another one, whose end ends it.
    pub async fn link(
        &self,
        name: &str,
        other: &str,
        when: &LinkQuery,
        wait: &TimeoutQuery,
    ) -> Result<Answer<()>, ClientError> {
        let path = ApiPath::new(&["processes", name, "links", other]);
        let path = path.with(when).with(wait);
        self.send(Method::PUT, &path, NOTHING, None).await
    }

    /// Takes such a link back.
    pub async fn unlink(
        &self,
        name: &str,
        other: &str,
        wait: &TimeoutQuery,
    ) -> Result<Answer<()>, ClientError> {
        let path = ApiPath::new(&["processes", name, "links", other]).with(wait);
        self.send(Method::DELETE, &path, NOTHING, None).await
    }
}
