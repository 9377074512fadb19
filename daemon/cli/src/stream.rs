//! A stream of events that goes on over restarts of the daemon.

use crate::failure::Failure;
use crate::session::Session;
use client::{ApiPath, ClientError, Follow, ServerEvent};
use serde_json::json;

/// A stream for a command that prints events for as long as its user lets it.
///
/// When the daemon goes, it says so on standard error, waits for the daemon, and goes on with what
/// happened meanwhile as far as the daemon can tell that.
pub(crate) struct Stream<'a> {
    session: &'a Session<'a>,
    follow: Follow,
    /// The user was told that the daemon is gone.
    is_daemon_gone: bool,
}

impl<'a> Stream<'a> {
    /// Opens a stream: what happens from now on comes.
    pub(crate) async fn open(session: &'a Session<'a>, path: &ApiPath) -> Result<Self, Failure> {
        let mut follow = session.client().follow(path);
        session.ask(follow.open()).await?;
        Ok(Self {
            session,
            follow,
            is_daemon_gone: false,
        })
    }

    /// The next event. It fails when the daemon refuses the stream, and not when the daemon is gone.
    pub(crate) async fn next(&mut self) -> Result<ServerEvent, Failure> {
        loop {
            match self.follow.next().await {
                Ok(event) => {
                    self.is_daemon_gone = false;
                    return Ok(event);
                }
                Err(error) if is_absence(&error) => self.daemon_is_gone(),
                Err(error) => return Err(self.session.explain(error)),
            }
        }
    }

    fn daemon_is_gone(&mut self) {
        if !std::mem::replace(&mut self.is_daemon_gone, true) {
            let words = "the daemon is gone: waiting until it is there again";
            self.session.output.problem(
                words,
                || json!({"type": "/problems/unreachable", "title": words}),
            );
        }
    }
}

/// Whether the stream broke, or cannot be opened, because the daemon is stopped or is starting.
fn is_absence(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::Timeout(_) | ClientError::Broken(_) => true,
        ClientError::Problem(problem) => problem.status == 503,
        ClientError::Answer(_) => false,
    }
}
