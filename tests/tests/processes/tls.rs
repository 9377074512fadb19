//! The TCP listener with a certificate of its own, as browsers, programs and Prometheus meet it, and
//! without one where others can read along.

use crate::fleet::{Fleet, Node, PATIENCE, eventually, program, run};
use crate::http::Client;
use crate::scraper::Prometheus;
use anyhow::{Context, ensure};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Where a node's certificate for its TCP listener is.
fn certificate(node: &Node) -> PathBuf {
    node.dir.join("http.pem")
}

fn key(node: &Node) -> PathBuf {
    node.dir.join("http.key")
}

/// Makes a certificate that signs itself, for this host.
fn certify(node: &Node) -> anyhow::Result<()> {
    let pair = KeyPair::generate()?;
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let made = CertificateParams::new(names)?.self_signed(&pair)?;
    std::fs::write(certificate(node), made.pem())?;
    std::fs::write(key(node), pair.serialize_pem())?;
    let mode = std::fs::Permissions::from_mode(0o600);
    Ok(std::fs::set_permissions(key(node), mode)?)
}

/// Adds lines to the configuration, whose last table is `[http]`.
fn configure(node: &Node, lines: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(node.config())?;
    Ok(std::fs::write(node.config(), format!("{text}{lines}\n"))?)
}

fn tls_lines(node: &Node) -> String {
    format!(
        "tls_cert = {:?}\ntls_key = {:?}",
        certificate(node),
        key(node)
    )
}

/// A node whose listener has a certificate.
async fn secured(more: &str) -> anyhow::Result<Fleet> {
    let mut fleet = Fleet::new(1)?;
    let node = &mut fleet.nodes[0];
    certify(node)?;
    configure(node, &format!("{}\n{more}", tls_lines(node)))?;
    node.start()?;
    fleet.whole().await?;
    Ok(fleet)
}

/// Where the listener is, without a scheme.
async fn listener(node: &Node) -> anyhow::Result<String> {
    let node = node.get("/v1/node").await?.json();
    Ok(node["http"].as_str().context("no listener")?.to_owned())
}

/// What curl prints; it fails where the answer is no success.
fn curl(ca: &Path, args: &[&str]) -> anyhow::Result<String> {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail-with-body", "--max-time", "20", "--cacert"]);
    run(curl.arg(ca).args(args))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_with_a_certificate_speaks_tls_and_nothing_else() -> anyhow::Result<()> {
    let fleet = secured("").await?;
    let node = &fleet.nodes[0];
    let (at, ca) = (listener(node).await?, certificate(node));
    let url = format!("https://{at}");
    ensure!(node.get("/v1/node").await?.json()["http_url"] == url.as_str());
    for version in ["1.3", "1.2"] {
        let (least, health) = (format!("--tlsv{version}"), format!("{url}/healthz"));
        let healthy = curl(&ca, &[&least, "--tls-max", version, &health])?;
        ensure!(healthy == "ok\n", "{healthy}");
    }
    let old = curl(&ca, &["--tlsv1.0", "--tls-max", "1.1", &url]);
    ensure!(old.is_err(), "{old:?}");
    let stranger = run(Command::new("curl").args(["-sS", &url]));
    ensure!(
        stranger.is_err(),
        "its certificate is this one: {stranger:?}"
    );

    // Plain HTTP gets an answer, not a riddle.
    let plain = Client::connect_tcp(&at)
        .await?
        .call("GET", "/healthz", None)
        .await?;
    ensure!(
        plain.status == 400 && plain.text.contains("https://"),
        "{plain:?}"
    );
    let metrics = curl(&ca, &[&format!("{url}/metrics")])?;
    let failed = metrics
        .lines()
        .find_map(|line| line.strip_prefix("muster_api_handshakes_failed_total "));
    ensure!(failed.is_some_and(|failed| failed != "0"), "{failed:?}");
    ensure!(metrics.contains("timestamp_seconds{certificate=\"http\"}"));

    // Tokens and the page work as they do by plain HTTP.
    let token = String::from_utf8(node.muster(&["token", "create"])?.stdout)?;
    let bearer = format!("Authorization: Bearer {}", token.trim());
    let told = curl(&ca, &["-H", &bearer, &format!("{url}/v1/node")])?;
    ensure!(told.contains(&url), "{told}");
    let link = String::from_utf8(node.muster(&["web"])?.stdout)?;
    ensure!(link.starts_with(&format!("{url}/#code=")), "{link}");
    ensure!(curl(&ca, &[&url])?.contains("/page.js"));
    let status = String::from_utf8(node.muster(&["status"])?.stdout)?;
    ensure!(
        status.contains(&format!("http\t{url}\n")) && status.contains("http TLS\thttp until"),
        "{status}"
    );
    Ok(())
}

/// The begin of a handshake that never goes on.
fn half_a_handshake(at: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(at)?;
    stream.write_all(&[22, 3, 1, 2])?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_has_the_time_of_a_head() -> anyhow::Result<()> {
    let fleet = secured("[limits]\nheader_timeout = \"300ms\"").await?;
    let at = listener(&fleet.nodes[0]).await?;
    let mut silent = TcpStream::connect(&at)?;
    silent.set_read_timeout(Some(PATIENCE))?;
    let mut half = half_a_handshake(&at)?;
    let closed =
        tokio::task::spawn_blocking(move || is_closed(&mut silent) && is_closed(&mut half));
    ensure!(closed.await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_counts_as_a_connection() -> anyhow::Result<()> {
    // An address may have half of all connections.
    let fleet = secured("[limits]\nconnections = 6\nheader_timeout = \"1h\"").await?;
    let node = &fleet.nodes[0];
    let (at, ca) = (listener(node).await?, certificate(node));
    let mut halves = (0..3)
        .map(|_| half_a_handshake(&at))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let url = format!("https://{at}/healthz");
    let healthy = tokio::task::spawn_blocking(move || curl(&ca, &[&url])).await??;
    ensure!(healthy == "ok\n", "it takes the place of one that waits");
    let gone = tokio::task::spawn_blocking(move || {
        let limit = std::time::Duration::from_millis(500);
        let gone = halves.iter_mut().filter_map(|half| {
            half.set_read_timeout(Some(limit)).ok()?;
            matches!(half.read(&mut [0; 64]), Ok(0)).then_some(())
        });
        gone.count()
    });
    ensure!(gone.await? == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_a_renewed_certificate_and_no_broken_one() -> anyhow::Result<()> {
    let fleet = secured("").await?;
    let node = &fleet.nodes[0];
    let url = format!("https://{}/healthz", listener(node).await?);
    let old = node.dir.join("old.pem");
    std::fs::copy(certificate(node), &old)?;
    let reload = || node.call("POST", "/v1/reload", None);
    ensure!(reload().await?.json()["applied"] == json!([]));

    certify(node)?;
    ensure!(curl(&old, &[&url]).is_ok(), "nobody has asked for it yet");
    let answer = reload().await?;
    ensure!(
        answer.status == 200 && answer.json()["applied"] == json!(["http.tls_cert"]),
        "{answer:?}"
    );
    ensure!(curl(&certificate(node), &[&url]).is_ok() && curl(&old, &[&url]).is_err());

    let new = node.dir.join("new.pem");
    std::fs::rename(certificate(node), &new)?;
    std::fs::copy(&old, certificate(node))?;
    let answer = reload().await?;
    ensure!(
        answer.status == 422
            && answer
                .text
                .contains("http.key does not belong to the certificate")
            && answer.text.contains("http.pem"),
        "{answer:?}"
    );
    ensure!(curl(&new, &[&url]).is_ok(), "the good pair stays in use");
    let doctor = String::from_utf8(node.muster(&["doctor"])?.stdout)?;
    ensure!(
        doctor.contains("http certificate") && doctor.contains("does not belong"),
        "{doctor}"
    );
    for start in [&["--check-config"][..], &[]] {
        let refused = Command::new(program("musterd"))
            .arg("--config")
            .arg(node.config())
            .args(start)
            .output()?;
        let told = String::from_utf8(refused.stderr)?;
        ensure!(
            refused.status.code() == Some(2) && told.contains("does not belong"),
            "{told}"
        );
    }
    std::fs::rename(&new, certificate(node))?;
    ensure!(reload().await?.status == 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_begins_and_ends_tls() -> anyhow::Result<()> {
    let fleet = Fleet::started(1).await?;
    let node = &fleet.nodes[0];
    let at = listener(node).await?;
    let before = std::fs::read_to_string(node.config())?;
    certify(node)?;
    configure(node, &tls_lines(node))?;
    let answer = node.call("POST", "/v1/reload", None).await?;
    ensure!(
        answer.json()["applied"] == json!(["http.tls_cert", "http.tls_key"]),
        "{answer:?}"
    );
    ensure!(curl(&certificate(node), &[&format!("https://{at}/healthz")]).is_ok());
    std::fs::write(node.config(), before)?;
    ensure!(node.call("POST", "/v1/reload", None).await?.status == 200);
    let plain = Client::connect_tcp(&at)
        .await?
        .call("GET", "/healthz", None)
        .await?;
    ensure!(plain.status == 200, "{plain:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_scrapes_and_discovers_by_https() -> anyhow::Result<()> {
    let fleet = secured("").await?;
    let node = &fleet.nodes[0];
    let dir = TempDir::with_prefix("prometheus")?;
    let token = node.muster(&["token", "create", "--scope", "sd", "--ttl", "1h"])?;
    std::fs::write(dir.path().join("token"), token.stdout)?;
    let at = listener(node).await?;
    let own = json!({ "address": at, "groups": ["muster"], "pid": std::process::id() });
    let answer = node.call("PUT", "/v1/processes/itself", Some(&own)).await?;
    ensure!(answer.status == 201, "{answer:?}");
    let (ca, token) = (certificate(node), dir.path().join("token"));
    let configuration = format!(
        "global: {{ scrape_interval: 1s }}
scrape_configs:
  - job_name: muster
    scheme: https
    tls_config: {{ ca_file: {ca:?} }}
    static_configs:
      - targets: ['{at}']
  - job_name: found
    scheme: https
    tls_config: {{ ca_file: {ca:?} }}
    http_sd_configs:
      - url: https://{at}/v1/sd/prometheus
        refresh_interval: 1s
        tls_config: {{ ca_file: {ca:?} }}
        authorization: {{ credentials_file: {token:?} }}
"
    );
    let prometheus = Prometheus::start(dir, &configuration)?;
    eventually("both jobs scrape it", async || {
        let up = prometheus.series("up == 1").await?;
        ensure!(up.len() == 2, "{up:?}");
        Ok(())
    })
    .await
}

/// An address of this host that is not the loopback's; none on a host without a network.
fn network_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Only looks the route up.
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

/// The statuses of what a token belongs to, and of what it does not.
async fn statuses(at: &str, token: &str) -> anyhow::Result<(Vec<u16>, Vec<u16>)> {
    let bearer = format!("Bearer {token}");
    let json = [("content-type", "application/json")];
    let mut client = Client::connect_tcp(at).await?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for path in ["/v1/node", "/v1/nothing", "/", "/page.js"] {
        let bearing = [("authorization", bearer.as_str())];
        let answer = client.call_with("GET", path, None, &bearing).await?;
        let sentence = answer.status != 403 || answer.text.contains("[http] tls_cert");
        ensure!(sentence, "{path}: {answer:?}");
        with.push(answer.status);
    }
    let code = json!({ "code": "nonsense" });
    let traded = client.call_with("POST", "/v1/web/token", Some(&code), &json);
    let traded = traded.await?;
    let kind = traded.json()["type"].as_str().map(str::to_owned);
    with.push(if kind.as_deref() == Some("/problems/bad-code") {
        200
    } else {
        traded.status
    });
    for path in ["/metrics", "/healthz", "/readyz", "/v1/openapi.json"] {
        without.push(client.call("GET", path, None).await?.status);
    }
    Ok((with, without))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_others_could_read_is_refused() -> anyhow::Result<()> {
    let Some(ip) = network_address() else {
        eprintln!("NOT RUN, needs a network: a_token_that_others_could_read_is_refused");
        return Ok(());
    };
    let mut fleet = Fleet::new(1)?;
    let node = &mut fleet.nodes[0];
    let text = std::fs::read_to_string(node.config())?;
    let text = text.replace("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:0\"");
    std::fs::write(node.config(), text)?;
    node.start()?;
    let node = &fleet.nodes[0];
    let made = node
        .call("POST", "/v1/tokens", Some(&json!({ "scope": "page" })))
        .await?;
    let token = made.json()["token"]
        .as_str()
        .context("no token")?
        .to_owned();
    let port = listener(node)
        .await?
        .rsplit(':')
        .next()
        .context("no port")?
        .to_owned();
    let (near, far) = (format!("127.0.0.1:{port}"), format!("{ip}:{port}"));
    let fine = (vec![200, 404, 200, 200, 200], vec![200; 4]);
    ensure!(statuses(&near, &token).await? == fine);
    let refused = (vec![403; 5], vec![200; 4]);
    let told = statuses(&far, &token).await?;
    ensure!(told == refused, "{told:?}");
    // A link leads where it can be used.
    let link = String::from_utf8(node.muster(&["web"])?.stdout)?;
    ensure!(link.starts_with(&format!("http://{near}/")), "{link}");
    ensure!(attention(node).await?.is_empty());

    configure(node, "plain_tokens = true")?;
    let answer = node.call("POST", "/v1/reload", None).await?;
    ensure!(
        answer.json()["applied"] == json!(["http.plain_tokens"]),
        "{answer:?}"
    );
    ensure!(statuses(&far, &token).await? == fine);
    let told = attention(node).await?;
    ensure!(
        told.len() == 1
            && told[0]["what"]
                .as_str()
                .is_some_and(|what| what.contains("plain_tokens")),
        "{told:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_cannot_be_used_has_no_link() -> anyhow::Result<()> {
    let Some(ip) = network_address() else {
        eprintln!("NOT RUN, needs a network: a_page_that_cannot_be_used_has_no_link");
        return Ok(());
    };
    let mut fleet = Fleet::new(1)?;
    let node = &mut fleet.nodes[0];
    let text = std::fs::read_to_string(node.config())?;
    let text = text.replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{ip}:0\""));
    std::fs::write(node.config(), text)?;
    node.start()?;
    let node = &fleet.nodes[0];
    let refused = node.call("POST", "/v1/web/codes", None).await?;
    ensure!(
        refused.status == 409 && refused.text.contains("[http] tls_cert"),
        "{refused:?}"
    );
    certify(node)?;
    configure(
        node,
        &format!("{}\nhosts = [\"localhost\"]", tls_lines(node)),
    )?;
    ensure!(node.call("POST", "/v1/reload", None).await?.status == 200);
    let made = node.call("POST", "/v1/web/codes", None).await?.json();
    let link = made["url"].as_str().unwrap_or_default();
    ensure!(link.starts_with("https://localhost:"), "{link}");
    Ok(())
}

async fn attention(node: &Node) -> anyhow::Result<Vec<Value>> {
    let status = node.get("/v1/status").await?.json();
    Ok(status["attention"].as_array().cloned().unwrap_or_default())
}
