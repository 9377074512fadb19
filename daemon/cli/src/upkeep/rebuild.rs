//! `muster rebuild`: by the daemon, or in its data directory while it is stopped.

use crate::args::{Global, Rebuild};
use crate::failure::Failure;
use crate::output::Output;
use crate::program::{OfflineError, Program, Rebuilt};
use crate::session::Session;
use crate::text::printable;
use api::lists::RebuildQuery;
use names::ListName;
use rustix::process::geteuid;
use serde_json::json;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Has the daemon do it.
pub(crate) async fn online(session: &Session<'_>, list: Option<&str>) -> Result<(), Failure> {
    let which = RebuildQuery {
        list: list.map(str::to_owned),
    };
    let wait = session.wait();
    let call = session.client().rebuild(&which, &wait);
    let answer = session.make(call).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    session.output.line(&words(answer.value.lists))
}

/// Does it without a daemon.
pub(crate) fn offline(
    global: &Global,
    args: &Rebuild,
    output: &Output,
    program: &Program,
) -> Result<(), Failure> {
    if global.node.is_some() || global.socket.is_some() {
        let words = "--offline asks no daemon: --data-dir says where the data is";
        return Err(Failure::Usage(words.to_owned()));
    }
    let list = args.list.as_deref().map(ListName::new).transpose();
    let list = list.map_err(|error| Failure::Usage(error.to_string()))?;
    let dir = match &args.data_dir {
        Some(dir) => std::path::absolute(dir)?,
        None => (program.data_dir)(args.config.clone()).map_err(Failure::Usage)?,
    };
    become_owner(&dir, args, output)?;
    let Rebuilt { lists, quarantined } =
        (program.rebuild)(&dir, list.as_ref()).map_err(|error| match error {
            OfflineError::NoList(words) => Failure::NotFound(words),
            OfflineError::Failed(words) => Failure::Failed(words),
        })?;
    if output.is_json() {
        return output.json(&json!({ "lists": lists }));
    }
    let dir = dir.display().to_string();
    output.line(&format!("{}, in {}", words(lists), printable(&dir)))?;
    if quarantined > 0 && list.is_none() {
        output.line(&format!(
            "{quarantined} in quarantine were left as they are"
        ))?;
    }
    Ok(())
}

fn words(lists: u64) -> String {
    let lists = match lists {
        1 => "1 list".to_owned(),
        lists => format!("{lists} lists"),
    };
    format!("what is shown of {lists} was made anew")
}

/// What is written must be its owner's, or that daemon could not read it. Root becomes the owner of
/// the directory, by running this program once more; returns if this process is the owner.
fn become_owner(dir: &Path, args: &Rebuild, output: &Output) -> Result<(), Failure> {
    // One that is not there is nobody's: that is found and told by who opens it.
    let Ok(metadata) = std::fs::metadata(dir) else {
        return Ok(());
    };
    let (owner, me) = (metadata.uid(), geteuid());
    if owner == me.as_raw() {
        return Ok(());
    }
    let whose = format!(
        "the data directory {} belongs to uid {owner}",
        dir.display()
    );
    if !me.is_root() {
        return Err(Failure::Failed(format!(
            "{whose}: run this as that user, or as root"
        )));
    }
    let mut again = Command::new(std::env::current_exe()?);
    again.args(["rebuild", "--offline", "--data-dir"]).arg(dir);
    again.args(output.is_json().then_some("--json"));
    again.args(args.list.iter().flat_map(|list| ["--", list.as_str()]));
    let error = again.uid(owner).gid(metadata.gid()).exec();
    Err(Failure::Failed(format!(
        "{whose}, and this program cannot be run as that user: {error}"
    )))
}
