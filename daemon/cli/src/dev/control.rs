//! The socket on which a running development cluster takes orders.

use super::layout::Layout;
use super::order::{Answer, Order};
use crate::failure::Failure;
use anyhow::Context;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// The longest order, and the longest answer.
const MAX_BYTES: u64 = 64 << 10;
/// How long an order may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an order may take when nobody says: longer than the cluster itself waits for a node.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// An order that waits for its answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) order: Order,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Gives an order to the cluster in `dir` and waits until it is in effect.
pub(crate) async fn ask(
    dir: &Path,
    order: &Order,
    timeout: Option<Duration>,
) -> Result<String, Failure> {
    let layout = Layout::new(dir.to_path_buf());
    let Ok(stream) = UnixStream::connect(layout.control()).await else {
        return Err(Failure::Unreachable(format!(
            "no development cluster runs in {}; start it \
            with: muster dev",
            dir.display()
        )));
    };
    let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
    let answer = match tokio::time::timeout(timeout, exchange(stream, order)).await {
        Ok(answer) => answer?,
        Err(_) => {
            return Err(Failure::Timeout(format!(
                "the development cluster did not answer \
            within {timeout:?}"
            )));
        }
    };
    if answer.code == 0 {
        Ok(answer.words)
    } else {
        Err(Failure::with_code(answer.code, answer.words))
    }
}

async fn exchange(mut stream: UnixStream, order: &Order) -> anyhow::Result<Answer> {
    let line = format!("{}\n", serde_json::to_string(order)?);
    stream.write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    BufReader::new(stream.take(MAX_BYTES))
        .read_line(&mut answer)
        .await?;
    anyhow::ensure!(
        !answer.is_empty(),
        "the development cluster ended before it was done"
    );
    serde_json::from_str(&answer).context("the development cluster's answer cannot be understood")
}

/// Takes orders until the receiver is gone. The directory's lock must be held: an old socket is
/// replaced.
pub(super) fn listen(layout: &Layout) -> anyhow::Result<mpsc::Receiver<Waiting>> {
    let path = layout.control();
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)
        .with_context(|| format!("cannot listen on {}", path.display()))?;
    let (orders, waiting) = mpsc::channel(16);
    tokio::spawn(async move {
        while !orders.is_closed() {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(serve(stream, orders.clone()))),
                // Out of descriptors, most likely: some will be free again.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    Ok(waiting)
}

async fn serve(mut stream: UnixStream, orders: mpsc::Sender<Waiting>) {
    let Ok(Ok(line)) = tokio::time::timeout(PATIENCE, read_line(&mut stream)).await else {
        return;
    };
    if line.is_empty() {
        // Somebody only looked whether a cluster runs here.
        return;
    }
    let answer = match serde_json::from_str(&line) {
        Ok(order) => carry_out(order, orders).await,
        Err(error) => Some(Answer {
            code: 2,
            words: format!("this is no order: {error}"),
        }),
    };
    if let Some(text) = answer.and_then(|answer| serde_json::to_string(&answer).ok()) {
        // Whoever gave the order may have gone.
        let _ = stream.write_all(format!("{text}\n").as_bytes()).await;
    }
}

async fn read_line(stream: &mut UnixStream) -> std::io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(MAX_BYTES))
        .read_line(&mut line)
        .await?;
    Ok(line)
}

async fn carry_out(order: Order, orders: mpsc::Sender<Waiting>) -> Option<Answer> {
    let (answer, answered) = oneshot::channel();
    orders.send(Waiting { order, answer }).await.ok()?;
    answered.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_order_is_answered_with_its_code() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().to_path_buf());
        let mut waiting = listen(&layout).unwrap();
        let cluster = tokio::spawn(async move {
            let mut orders = Vec::new();
            for code in [0, 4] {
                let Waiting { order, answer } = waiting.recv().await.unwrap();
                orders.push(order);
                answer
                    .send(Answer {
                        code,
                        words: format!("code {code}"),
                    })
                    .unwrap();
            }
            orders
        });
        assert_eq!(
            ask(dir.path(), &Order::Heal, None).await.ok().as_deref(),
            Some("code 0")
        );
        let kill = Order::Kill {
            node: "node1".to_owned(),
        };
        assert_eq!(ask(dir.path(), &kill, None).await.unwrap_err().code(), 4);
        assert_eq!(cluster.await.unwrap(), [Order::Heal, kill]);
    }

    #[tokio::test]
    async fn rubbish_and_silence_are_no_orders() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().to_path_buf());
        let _waiting = listen(&layout).unwrap();
        drop(UnixStream::connect(layout.control()).await.unwrap());
        let mut stream = UnixStream::connect(layout.control()).await.unwrap();
        stream.write_all(b"{\"order\":\"dance\"}\n").await.unwrap();
        let answer: Answer = serde_json::from_str(&read_line(&mut stream).await.unwrap()).unwrap();
        assert_eq!(answer.code, 2);
    }

    #[tokio::test]
    async fn no_cluster_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            ask(dir.path(), &Order::Heal, None)
                .await
                .unwrap_err()
                .code(),
            6
        );
    }
}
