//! A real Prometheus, ended when the test ends.

use crate::fleet::{Fleet, eventually};
use crate::http::Client;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A program that ends with the test.
pub(crate) struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        Ok(Self(
            command
                .stdin(Stdio::null())
                .spawn()
                .with_context(|| format!("{command:?}"))?,
        ))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// The first line that it prints.
    pub(crate) fn line(&mut self) -> anyhow::Result<String> {
        use std::io::BufRead;
        let mut line = String::new();
        std::io::BufReader::new(self.0.stdout.take().context("its output")?)
            .read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

/// Prometheus, where it answers.
pub(crate) struct Prometheus {
    address: String,
    dir: TempDir,
    _program: Program,
}

impl Prometheus {
    /// Starts one in a directory that holds whatever its configuration names.
    pub(crate) fn start(dir: TempDir, configuration: &str) -> anyhow::Result<Self> {
        std::fs::write(dir.path().join("prometheus.yml"), configuration)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let log = std::fs::File::create(dir.path().join("log"))?;
        let mut command = Command::new("prometheus");
        command.arg(format!(
            "--config.file={}",
            dir.path().join("prometheus.yml").display()
        ));
        command.arg(format!(
            "--storage.tsdb.path={}",
            dir.path().join("data").display()
        ));
        command.arg(format!("--web.listen-address={address}"));
        let program = Program::start(command.stdout(log.try_clone()?).stderr(log))
            .context("the Debian package prometheus is needed")?;
        Ok(Self {
            address,
            dir,
            _program: program,
        })
    }

    /// Starts one that scrapes all nodes each second, as the job `muster` with their names as
    /// instances, by these rules.
    pub(crate) async fn of(fleet: &Fleet, rules: &[(&str, String)]) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("prometheus")?;
        for (name, text) in rules {
            std::fs::write(dir.path().join(name), text)?;
        }
        let mut targets = String::new();
        for node in &fleet.nodes {
            let listener = node.get("/v1/node").await?.json()["http"]
                .as_str()
                .context("no listener")?
                .to_owned();
            targets += &format!(
                "      - {{ targets: ['{listener}'], labels: {{ instance: {} }} \
                }}\n",
                node.name
            );
        }
        let files: Vec<&str> = rules.iter().map(|(name, _)| *name).collect();
        let configuration = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s \
                }}\nrule_files: {files:?}\nscrape_configs:\n  - \
             job_name: muster\n    static_configs:\n{targets}"
        );
        let prometheus = Self::start(dir, &configuration)?;
        eventually("all nodes are scraped", async || {
            let up = prometheus.series("up == 1").await?;
            ensure!(up.len() == fleet.nodes.len(), "{up:?}");
            Ok(())
        })
        .await?;
        Ok(prometheus)
    }

    /// The data of an answer of its API.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = Client::connect_tcp(&self.address)
            .await?
            .call("GET", path, None)
            .await?;
        let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        ensure!(answer.status == 200, "{answer:?} {}", log());
        Ok(answer.json()["data"].clone())
    }

    /// The series that there are now of an expression.
    pub(crate) async fn series(&self, expression: &str) -> anyhow::Result<Vec<Value>> {
        let found = self
            .get(&format!("/api/v1/query?query={}", encoded(expression)))
            .await?;
        Ok(found["result"].as_array().cloned().unwrap_or_default())
    }
}

/// Everything but letters and digits, percent-encoded.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}

/// Runs a program on files of a directory; gives all that it printed.
pub(crate) fn tool(program: &str, args: &[&str], dir: &Path) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output();
    let output = output.with_context(|| format!("{program} is needed"))?;
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{program} {args:?}: {told}");
    Ok(told)
}
