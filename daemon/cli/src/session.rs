//! One run of a command that asks a daemon.

use crate::args::Global;
use crate::dev;
use crate::failure::Failure;
use crate::output::Output;
use crate::text::{instant_here, local_due};
use crate::unreachable;
use crate::zone;
use api::request::TimeoutQuery;
use client::{Client, ClientError, Search};
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a call may take when nobody says.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for what all members are asked: those that do not answer take their time, and far ones too.
pub(crate) const OF_MEMBERS: Duration = Duration::from_secs(30);

/// A client with what is needed to explain its failures and to print its answers.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    client: Client,
    /// Whether the user has said how long a call may take.
    is_timeout_given: bool,
    search: Search,
    /// The node of a development cluster that was asked for.
    node: Option<dev::NodeRef>,
    /// Where results go.
    pub(crate) output: &'a Output,
    /// Where the user is.
    pub(crate) zone: TimeZone,
    /// What the calls that decide what a day is are told of it.
    zone_name: String,
}

impl<'a> Session<'a> {
    /// Chooses the socket; nothing is connected yet.
    pub(crate) fn new(global: &Global, output: &'a Output) -> Result<Self, Failure> {
        let node = match &global.node {
            Some(name) => Some(dev::node(None, name)?),
            None => None,
        };
        let explicit = node
            .as_ref()
            .map(|node| node.socket.as_path())
            .or(global.socket.as_deref());
        let var = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(Into::into)
        };
        // A directory that may not be read is no reason to look elsewhere.
        let search = client::search(explicit, var, |path: &Path| {
            path.try_exists().unwrap_or(true)
        });
        let (zone, zone_name) = zone::of_user();
        let client = Client::new(&search.socket, global.timeout.unwrap_or(DEFAULT_TIMEOUT));
        Ok(Self {
            client,
            is_timeout_given: global.timeout.is_some(),
            search,
            node,
            output,
            zone,
            zone_name,
        })
    }

    /// A time of the API as the reader of the output wants it.
    pub(crate) fn time(&self, text: &str) -> String {
        self.output.time(text, &self.zone)
    }

    /// When an entry is due, as the reader of the output wants it: a day as it is, an instant in the
    /// user's zone, as RFC 3339 for programs and to the minute for people.
    pub(crate) fn due(&self, text: &str) -> String {
        if self.output.is_for_people() {
            local_due(text, &self.zone)
        } else {
            instant_here(text, &self.zone)
        }
    }

    /// The client, for calls whose failures are not the user's.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The same, whose calls may take so long unless the user has said how long.
    pub(crate) fn patient(&self, patience: Duration) -> Client {
        if self.is_timeout_given {
            self.client.clone()
        } else {
            self.client.with_patience(patience)
        }
    }

    /// The socket that was chosen.
    pub(crate) fn socket(&self) -> &Path {
        &self.search.socket
    }

    /// The configuration of the development node that was asked for.
    pub(crate) fn node_config(&self) -> Option<PathBuf> {
        self.node
            .as_ref()
            .map(|node| node.socket.with_file_name("muster.toml"))
    }

    /// The user's zone, for the calls that decide what a day is.
    pub(crate) fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// How long the daemon may wait, for the calls that wait for nothing else.
    pub(crate) fn wait(&self) -> TimeoutQuery {
        wait_of(&self.client)
    }

    /// What a call answers.
    pub(crate) async fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, Failure> {
        call.await.map_err(|error| self.explain(error))
    }

    /// What a call that changes something answers.
    pub(crate) async fn make<T>(
        &self,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, Failure> {
        call.await.map_err(|error| self.explain_write(error))
    }

    /// The same for a call that changes something: its outcome may be open.
    fn explain_write(&self, error: ClientError) -> Failure {
        let open = matches!(
            error,
            ClientError::Timeout(_) | ClientError::Broken(_) | ClientError::Answer(_)
        );
        let failure = self.explain(error);
        if open {
            Failure::with_code(
                failure.code(),
                format!(
                    "{}; the change may have been made or \
                not",
                    failure.words()
                ),
            )
        } else {
            failure
        }
    }

    /// What a client's error means to the user.
    pub(crate) fn explain(&self, error: ClientError) -> Failure {
        match error {
            ClientError::Problem(problem) => Failure::Problem(problem),
            ClientError::Unreachable { source, .. } => Failure::Unreachable(unreachable::explain(
                &self.search,
                self.node.as_ref(),
                &source,
            )),
            ClientError::Timeout(_) => Failure::Timeout(error.to_string()),
            ClientError::Broken(_) | ClientError::Answer(_) => Failure::Failed(error.to_string()),
        }
    }
}

fn in_millis(client: &Client) -> String {
    format!("{}ms", client.timeout().as_millis())
}

/// How long the daemon may wait in a call of that client.
pub(crate) fn wait_of(client: &Client) -> TimeoutQuery {
    TimeoutQuery {
        timeout: Some(in_millis(client)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_waited_for_as_long_as_the_user_says_and_else_as_it_needs() {
        let output = Output::of_process(true);
        for (given, expected) in [(None, OF_MEMBERS), (Some(1), Duration::from_secs(1))] {
            let global = Global {
                socket: Some("/nowhere".into()),
                node: None,
                json: true,
                timeout: given.map(Duration::from_secs),
            };
            let session = Session::new(&global, &output).unwrap();
            assert_eq!(session.patient(OF_MEMBERS).timeout(), expected);
        }
    }
}
