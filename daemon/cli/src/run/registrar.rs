//! What the daemon is told about the command: that it is there, whose end ends it, and how it
//! ended.

use super::REPORT_LIMIT;
use crate::args::Run;
use crate::failure::Failure;
use crate::processes;
use crate::session::Session;
use api::processes::{ExitReport, LinkQuery, RegisterRequest, RegisteredProcess};
use api::request::TimeoutQuery;
use client::{Answer, ClientError};
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long to wait before the daemon is asked again.
const AGAIN: Duration = Duration::from_millis(50);
/// How long the name may still be held by the command's last process, which has ended.
const STALE_LIMIT: Duration = Duration::from_secs(5);
/// When the executable is looked at again: a wrapper may execute the real program a little later.
const LOOKS: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(500)];

/// Speaks of one command, whatever process it is.
pub(super) struct Registrar<'a> {
    session: &'a Session<'a>,
    name: &'a str,
    registration: RegisterRequest,
    bind_to: Option<&'a str>,
    /// The handle under which the command was registered last.
    handle: Option<String>,
}

impl<'a> Registrar<'a> {
    pub(super) fn new(session: &'a Session<'a>, args: &'a Run) -> Result<Self, Failure> {
        let registration = RegisterRequest {
            reports_exit: Some(true),
            ..processes::described(&args.described)?
        };
        Ok(Self {
            session,
            name: &args.process,
            registration,
            bind_to: args.bind_to.as_deref(),
            handle: None,
        })
    }

    /// Registers that process.
    pub(super) async fn register(&mut self, pid: u32) -> Result<(), Failure> {
        let deadline = Instant::now() + STALE_LIMIT;
        let answer = loop {
            match self.send(pid).await {
                // Its own last process is not a rival, but news that is under way.
                Err(failure) if self.is_own(&failure) && Instant::now() < deadline => {
                    sleep(AGAIN).await
                }
                done => break done?,
            }
        };
        self.handle = Some(answer.value.handle);
        Ok(())
    }

    async fn send(&self, pid: u32) -> Result<Answer<RegisteredProcess>, Failure> {
        let registration = RegisterRequest {
            pid: Some(pid),
            ..self.registration.clone()
        };
        let wait = self.session.wait();
        let call = self
            .session
            .client()
            .register(self.name, &registration, &wait);
        self.session.make(call).await
    }

    fn is_own(&self, failure: &Failure) -> bool {
        match (failure, &self.handle) {
            (Failure::Problem(problem), Some(own)) => {
                problem.status == 409
                    && problem.raw.get("holder").and_then(Value::as_str) == Some(own)
            }
            _ => false,
        }
    }

    /// Registers the same process once more where it executes something else than it did before,
    /// which at first was this program. One that ends at once is left alone.
    pub(super) async fn refresh(&self, pid: u32) {
        let exe = || std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        let mut known = std::env::current_exe().ok();
        for look in LOOKS {
            sleep(look).await;
            let seen = exe();
            if seen.is_some() && seen != known {
                known = seen;
                let _ = self.send(pid).await;
            }
        }
    }

    /// Links the process that was registered last to the one that it is bound to, if it is.
    pub(super) async fn bind(&self) -> Result<(), Failure> {
        let Some(other) = self.bind_to else {
            return Ok(());
        };
        let (when, wait) = (LinkQuery::default(), self.session.wait());
        let call = self.session.client().link(self.name, other, &when, &wait);
        self.session.make(call).await.map(drop)
    }

    /// Tells how it ended. A daemon that is away for longer than a moment will find out by itself
    /// that it did.
    pub(super) async fn report(&self, status: ExitStatus) {
        let (code, signal) = (status.code(), status.signal());
        if code.is_none() && signal.is_none() {
            return;
        }
        let ending = ExitReport { code, signal };
        let wait = TimeoutQuery::default();
        let _ = timeout(REPORT_LIMIT, async {
            loop {
                let client = self.session.client();
                match client.report_exit(self.name, &ending, &wait).await {
                    Err(ClientError::Unreachable { .. } | ClientError::Broken(_)) => {
                        sleep(AGAIN).await
                    }
                    Ok(_)
                    | Err(
                        ClientError::Problem(_) | ClientError::Timeout(_) | ClientError::Answer(_),
                    ) => return,
                }
            }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::output::Output;
    use clap::Parser;
    use std::path::Path;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    /// Answers one request after the other; gives back their first lines.
    async fn serve(socket: &Path, answers: &[(&str, &str)]) -> Vec<String> {
        let listener = UnixListener::bind(socket).unwrap();
        let mut requests = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 65536];
            let read = stream.read(&mut buffer).await.unwrap();
            requests.push(
                String::from_utf8_lossy(&buffer[..read])
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            );
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: \
                {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    }

    async fn with_registrar<T>(
        answers: &[(&str, &str)],
        act: impl AsyncFnOnce(Registrar<'_>) -> T,
    ) -> (Vec<String>, T) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        let words = [
            "muster",
            "--socket",
            socket.to_str().unwrap(),
            "run",
            "web",
            "--",
            "true",
        ];
        let cli = Cli::try_parse_from(words).unwrap();
        let Command::Run(args) = &cli.command else {
            panic!("another command")
        };
        let output = Output::of_process(false);
        let session = Session::new(&cli.global, &output).unwrap();
        let registrar = Registrar::new(&session, args).unwrap();
        tokio::join!(serve(&socket, answers), act(registrar))
    }

    const CREATED: (&str, &str) = (
        "201 Created",
        r#"{"handle": "web@n1#7.8", "name": "web", "node": "n1", "pid": 7, "uid": 0, "state": "up",
            "local": true, "since": "2026-10-01T10:01:07Z", "groups": [], "metadata": {},
            "others": []}"#,
    );

    #[tokio::test]
    async fn a_name_that_its_own_last_process_still_has_is_waited_for() {
        let own = (
            "409 Conflict",
            "{\"status\": 409, \"detail\": \"held\", \"holder\": \"web@n1#7.8\"}",
        );
        let other = (
            "409 Conflict",
            "{\"status\": 409, \"detail\": \"held\", \"holder\": \"web@n2#7.8\"}",
        );
        let (requests, ()) = with_registrar(
            &[CREATED, own, own, CREATED, other],
            async |mut registrar| {
                registrar.register(7).await.unwrap();
                registrar.register(8).await.unwrap();
                assert_eq!(registrar.register(9).await.unwrap_err().code(), 4);
            },
        )
        .await;
        assert!(
            requests.iter().all(|request| request
                == "PUT /v1/processes/web?timeout=5000ms \
            HTTP/1.1"),
            "{requests:?}"
        );
    }

    #[tokio::test]
    async fn a_report_is_made_again_until_it_is_answered() {
        // Two lengths of one body: no answer to rely on.
        let broken = ("200 OK\r\ncontent-length: 9", "");
        let (requests, ()) = with_registrar(&[broken, ("204 No Content", "")], async |registrar| {
            registrar.report(ExitStatus::from_raw(9)).await;
        })
        .await;
        assert_eq!(requests, ["POST /v1/processes/web/exit HTTP/1.1"; 2]);
    }
}
