//! Commands about registered processes.

pub(crate) mod groups;
pub(crate) mod links;
pub(crate) mod monitor;
pub(crate) mod registered;

use crate::args::{Described, Named, Ps, Register};
use crate::failure::Failure;
use crate::session::Session;
use crate::text::{printable, sort_by_name};
use clap::ValueEnum;
use client::ApiPath;
use hyper::Method;
use serde_json::{Map, Value, json};

/// `muster ps`.
pub(crate) async fn list(session: &Session<'_>, args: &Ps) -> Result<(), Failure> {
    let state = args.state.and_then(|state| state.to_possible_value());
    let path = ApiPath::new(&["processes"])
        .maybe("prefix", args.prefix.as_deref())
        .maybe("node", args.on.as_deref())
        .maybe("group", args.group.as_deref())
        .maybe("state", state.as_ref().map(|state| state.get_name()))
        .maybe("local", args.local.then_some("true"));
    let mut items = session.items(&path).await?;
    if session.output.is_json() {
        return session
            .output
            .json(&json!({ "items": items, "next": null }));
    }
    sort_by_name(&mut items);
    session
        .output
        .table(&registered::table(&items, &|at| session.time(at)))
}

/// `muster register`.
pub(crate) async fn register(session: &Session<'_>, args: &Register) -> Result<(), Failure> {
    let mut registration = described(&args.described)?;
    registration.insert("pid".to_owned(), json!(args.pid.map_or_else(caller, Ok)?));
    let path = session.timed(ApiPath::new(&["processes", &args.process]));
    let answer = session
        .send(Method::PUT, &path, Some(&Value::Object(registration)))
        .await?;
    print(session, &answer)
}

/// Whoever runs this command: registering this process itself, which ends at once, would be of no
/// use.
fn caller() -> Result<u32, Failure> {
    let parent =
        rustix::process::getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
    parent.ok_or_else(|| {
        Failure::Usage(
            "nobody who runs this command can be seen from here: \
        --pid is needed"
                .to_owned(),
        )
    })
}

/// The fields of a registration that are given as options.
pub(crate) fn described(args: &Described) -> Result<Map<String, Value>, Failure> {
    let mut metadata = Map::new();
    for (key, value) in &args.metadata {
        if metadata.insert(key.clone(), json!(value)).is_some() {
            return Err(Failure::Usage(format!("--meta gives {key:?} twice")));
        }
    }
    let mut fields = Map::new();
    let mut set = |field: &str, value: Value| fields.insert(field.to_owned(), value);
    if !metadata.is_empty() {
        set("metadata", Value::Object(metadata));
    }
    if !args.groups.is_empty() {
        set("groups", json!(args.groups));
    }
    if let Some(address) = &args.address {
        set("address", json!(address));
    }
    if let Some(what) = args.on_conflict.and_then(|what| what.to_possible_value()) {
        set("on_conflict", json!(what.get_name()));
    }
    Ok(fields)
}

/// `muster whereis`.
pub(crate) async fn whereis(session: &Session<'_>, args: &Named) -> Result<(), Failure> {
    let answer = session
        .get(&ApiPath::new(&["processes", &args.process]))
        .await?;
    print(session, &answer)
}

fn print(session: &Session<'_>, process: &Value) -> Result<(), Failure> {
    if session.output.is_json() {
        session.output.json(process)
    } else {
        session.output.table(&registered::places(process))
    }
}

/// `muster unregister`.
pub(crate) async fn unregister(session: &Session<'_>, args: &Named) -> Result<(), Failure> {
    session
        .send(
            Method::DELETE,
            &session.timed(ApiPath::new(&["processes", &args.process])),
            None,
        )
        .await?;
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
        let fields = described(&args(&[("port", "8080")])).unwrap();
        assert_eq!(
            Value::Object(fields),
            json!({"groups": ["g"], "metadata": {"port": "8080"}, "on_conflict": "terminate"})
        );
        assert_eq!(
            described(&args(&[("a", "1"), ("a", "2")]))
                .unwrap_err()
                .code(),
            2
        );
    }
}
