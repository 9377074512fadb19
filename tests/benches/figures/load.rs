//! A client that costs as little as it can, so that the figures are the server's.

use anyhow::{Context, bail};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// One connection that sends a request and reads its answer, over and over.
pub(crate) struct Wire {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Wire {
    pub(crate) async fn connect(socket: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            stream: UnixStream::connect(socket).await?,
            buffer: Vec::with_capacity(64 << 10),
        })
    }

    /// Sends a whole request; gives the status and the body of its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed");
            }
            if let Some((status, start, end)) = parse(&self.buffer)?
                && self.buffer.len() >= end
            {
                return Ok((status, &self.buffer[start..end]));
            }
        }
    }
}

/// The status of an answer, and where its body begins and ends; nothing while the head is not
/// complete.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<(u16, usize, usize)>> {
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..head])?;
    let status = text.get(9..12).context("no status")?.parse()?;
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    // An answer without content (RFC 9110, section 15.3.5) says no length.
    let length = if status == 204 {
        0
    } else {
        length.context("no content-length")?.parse::<usize>()?
    };
    Ok(Some((status, head + 4, head + 4 + length)))
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: muster\r\n\r\n").into_bytes()
}

pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    with_body("POST", path, body)
}

pub(crate) fn put(path: &str, body: &str) -> Vec<u8> {
    with_body("PUT", path, body)
}

pub(crate) fn delete(path: &str) -> Vec<u8> {
    with_body("DELETE", path, "")
}

fn with_body(method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: muster\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What many clients measured together.
#[derive(Default)]
pub(crate) struct Measured {
    micros: Vec<u64>,
    pub(crate) span: Duration,
}

impl Measured {
    pub(crate) fn count(&self) -> usize {
        self.micros.len()
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.micros.len() as f64 / self.span.as_secs_f64().max(1e-9)
    }

    /// A percentile, in milliseconds.
    pub(crate) fn percentile(&mut self, percent: usize) -> f64 {
        self.micros.sort_unstable();
        let last = self.micros.len().saturating_sub(1);
        self.micros
            .get(last * percent / 100)
            .map_or(f64::NAN, |micros| *micros as f64 / 1_000.0)
    }

    pub(crate) fn add(&mut self, span: Duration) {
        self.micros
            .push(u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
    }
}

/// Runs `clients` connections until `until` says so; `request` makes each one's next request from
/// its number and a counter.
pub(crate) async fn drive(
    socket: &Path,
    clients: usize,
    until: impl Fn(usize, Duration) -> bool + Copy + Send + 'static,
    request: impl Fn(usize, usize) -> Vec<u8> + Copy + Send + Sync + 'static,
) -> anyhow::Result<Measured> {
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for client in 0..clients {
        let mut wire = Wire::connect(socket).await?;
        tasks.push(tokio::spawn(async move {
            let mut micros = Vec::new();
            while until(micros.len() * clients + client, begun.elapsed()) {
                let sent = Instant::now();
                let (status, body) = wire.exchange(&request(client, micros.len())).await?;
                if status >= 300 {
                    bail!("status {status}: {}", String::from_utf8_lossy(body));
                }
                micros.push(u64::try_from(sent.elapsed().as_micros())?);
            }
            Ok(micros)
        }));
    }
    let mut measured = Measured::default();
    for task in tasks {
        measured.micros.extend(task.await??);
    }
    measured.span = begun.elapsed();
    Ok(measured)
}
