//! Calls of other users of this host.

use crate::fleet::{Node, run};
use anyhow::Context;
use serde_json::Value;
use std::process::Command;

impl Node {
    /// Lets all users of this host reach the node's socket.
    pub(crate) fn let_others_in(&self) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let fleet = self.dir.parent().context("a node has a fleet")?;
        for (path, mode) in [(fleet, 0o755), (&self.dir, 0o755), (&self.socket(), 0o666)] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode))?;
        }
        Ok(())
    }

    /// The status of a call that another user makes; only root can change the user.
    pub(crate) fn status_as(
        &self,
        uid: u32,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<String> {
        let (uid, url) = (uid.to_string(), format!("http://muster{path}"));
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups", "curl"]);
        command.args(["-s", "-o", "/dev/null", "-w", "%{http_code}"]);
        command.arg("--unix-socket").arg(self.socket());
        command.args(["-X", method, &url]);
        if let Some(body) = body {
            command.args(["-d", &body.to_string()]);
        }
        run(&mut command)
    }
}
