//! Commands about registered processes.

pub(crate) mod groups;
pub(crate) mod links;
pub(crate) mod monitor;
pub(crate) mod registered;

use crate::args::{self, Described, Named, Ps, Register};
use crate::failure::Failure;
use crate::session::Session;
use crate::text::{by_name, printable};
use api::processes::{
    ConflictAction, ProcessState, ProcessesQuery, RegisterRequest, RegisteredProcess,
};
use client::Answer;
use std::collections::BTreeMap;

/// `muster ps`.
pub(crate) async fn list(session: &Session<'_>, args: &Ps) -> Result<(), Failure> {
    let state = args.state.map(|state| match state {
        args::ProcessState::Up => ProcessState::Up,
        args::ProcessState::Unreachable => ProcessState::Unreachable,
        args::ProcessState::Contested => ProcessState::Contested,
    });
    let which = ProcessesQuery {
        prefix: args.prefix.clone(),
        node: args.on.clone(),
        group: args.group.clone(),
        local: args.local.then_some(true),
        state: state.map(|state| state.to_string()),
    };
    let answer = session.ask(session.client().processes(&which)).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let mut processes = answer.value;
    processes.sort_by(|a, b| by_name(&a.name, &b.name));
    session
        .output
        .table(&registered::table(&processes, &|at| session.time(at)))
}

/// `muster register`.
pub(crate) async fn register(session: &Session<'_>, args: &Register) -> Result<(), Failure> {
    let registration = RegisterRequest {
        pid: Some(args.pid.map_or_else(caller, Ok)?),
        ..described(&args.described)?
    };
    let wait = session.wait();
    let call = session
        .client()
        .register(&args.process, &registration, &wait);
    print(session, &session.make(call).await?)
}

/// Whoever runs this command: registering this process itself, which ends at once, would be of no
/// use.
fn caller() -> Result<u32, Failure> {
    let parent =
        rustix::process::getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
    parent.ok_or_else(|| {
        Failure::Usage(
            "nobody who runs this command can be seen from here: --pid is needed".to_owned(),
        )
    })
}

/// What is said of a process in options.
pub(crate) fn described(args: &Described) -> Result<RegisterRequest, Failure> {
    let mut metadata = BTreeMap::new();
    for (key, value) in &args.metadata {
        if metadata.insert(key.clone(), value.clone()).is_some() {
            return Err(Failure::Usage(format!("--meta gives {key:?} twice")));
        }
    }
    let on_conflict = args.on_conflict.map(|what| match what {
        args::OnConflict::Notify => ConflictAction::Notify,
        args::OnConflict::Terminate => ConflictAction::Terminate,
    });
    Ok(RegisterRequest {
        metadata: (!metadata.is_empty()).then_some(metadata),
        groups: (!args.groups.is_empty()).then(|| args.groups.clone()),
        address: args.address.clone(),
        on_conflict,
        ..RegisterRequest::default()
    })
}

/// `muster whereis`.
pub(crate) async fn whereis(session: &Session<'_>, args: &Named) -> Result<(), Failure> {
    let call = session.client().whereis(&args.process);
    print(session, &session.ask(call).await?)
}

fn print(session: &Session<'_>, answer: &Answer<RegisteredProcess>) -> Result<(), Failure> {
    if session.output.is_json() {
        session.output.json(&answer.raw)
    } else {
        session.output.table(&registered::places(&answer.value))
    }
}

/// `muster unregister`.
pub(crate) async fn unregister(session: &Session<'_>, args: &Named) -> Result<(), Failure> {
    let wait = session.wait();
    let call = session.client().unregister(&args.process, &wait);
    session.make(call).await?;
    if session.output.is_json() {
        Ok(())
    } else {
        session
            .output
            .line(&format!("unregistered {}", printable(&args.process)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    fn args(metadata: &[(&str, &str)]) -> Described {
        let metadata = metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Described {
            groups: vec!["g".to_owned()],
            metadata,
            address: None,
            on_conflict: ValueEnum::from_str("terminate", false).ok(),
        }
    }

    #[test]
    fn what_is_typed_becomes_what_the_api_takes() {
        let request = described(&args(&[("port", "8080")])).unwrap();
        assert_eq!(
            serde_json::to_value(request).unwrap(),
            serde_json::json!({"groups": ["g"], "metadata": {"port": "8080"}, "on_conflict": "terminate"})
        );
        assert_eq!(
            described(&args(&[("a", "1"), ("a", "2")]))
                .unwrap_err()
                .code(),
            2
        );
    }
}
