//! The listeners: accepting connections within their bounds, and serving HTTP/1.1 on each.

use crate::http::connections::body::{Lent, MAX_BODY_BYTES};
use crate::http::connections::gate::{Conn, Gate, Seat};
use crate::http::connections::tls;
use crate::http::connections::who::Caller;
use crate::http::problem::Problem;
use crate::tls::Tls;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::Service;

/// What hyper may buffer of a connection: also the largest head of a request.
const MAX_BUFFER_BYTES: usize = 64 << 10;
/// How long calls in work may take to end when the daemon does.
const FAREWELL: Duration = Duration::from_secs(5);
/// How many that were not admitted are listened to at once, for how long, and how much they may
/// send: a head and the largest body of an ordinary request.
const MAX_LINGERING: usize = 64;
const LINGER: Duration = Duration::from_secs(2);
const MAX_DISMISSED_BYTES: u64 = (MAX_BODY_BYTES + MAX_BUFFER_BYTES) as u64;
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How a TCP connection has reached this node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    /// This end's address.
    pub(crate) at: SocketAddr,
    pub(crate) by_tls: bool,
}

impl Reached {
    /// Whether others than this host's administrators can read what is sent: on a network, not on
    /// the loopback interface.
    pub(crate) fn is_readable(&self) -> bool {
        !self.by_tls && !self.at.ip().to_canonical().is_loopback()
    }
}

/// Serves the unix socket until `shutdown`, then ends its connections: idle ones and streams at
/// once, calls in work with their answers, within 5 s.
pub async fn serve_unix(
    listener: UnixListener,
    router: Router,
    gate: Gate,
    shutdown: impl Future<Output = ()>,
) {
    serve(&listener, &router, &gate, shutdown).await;
}

/// Serves a TCP listener, as [`serve_unix`] does; new connections speak TLS while there is a
/// certificate.
pub async fn serve_tcp(
    listener: TcpListener,
    tls: watch::Receiver<Option<Tls>>,
    router: Router,
    gate: Gate,
    shutdown: impl Future<Output = ()>,
) {
    serve(&Front { listener, tls }, &router, &gate, shutdown).await;
}

/// The TCP listener and its certificate, as it is at each moment.
struct Front {
    listener: TcpListener,
    tls: watch::Receiver<Option<Tls>>,
}

/// The two kinds of listeners.
trait Listener {
    type Stream: Stream;

    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// What a connection that comes now begins with, if not with a request.
    fn tls(&self) -> Option<Tls>;
}

/// The two kinds of connections.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    fn caller(&self, gate: &Gate) -> io::Result<Caller>;
    fn local_address(&self) -> Option<SocketAddr>;
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }

    fn tls(&self) -> Option<Tls> {
        None
    }
}

impl Listener for Front {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn tls(&self) -> Option<Tls> {
        self.tls.borrow().clone()
    }
}

impl Stream for UnixStream {
    fn caller(&self, gate: &Gate) -> io::Result<Caller> {
        let peer = self.peer_cred()?;
        Ok(gate.process(peer.uid(), peer.pid()))
    }

    fn local_address(&self) -> Option<SocketAddr> {
        None
    }
}

impl Stream for TcpStream {
    fn caller(&self, _: &Gate) -> io::Result<Caller> {
        self.peer_addr()
            .map(|address| Caller::Address(address.ip().to_canonical()))
    }

    fn local_address(&self) -> Option<SocketAddr> {
        self.local_addr().ok()
    }
}

async fn serve<L: Listener>(
    listener: &L,
    router: &Router,
    gate: &Gate,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    let mut connections = JoinSet::new();
    let lingering = Arc::new(Semaphore::new(MAX_LINGERING));
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    admit(stream, listener.tls(), router, gate, &mut connections, &lingering);
                }
                Err(error) => {
                    // Mostly "too many open files": some will be closed in a moment.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = sweep.tick() => gate.sweep(),
            Some(_) = connections.join_next() => {}
        }
    }
    gate.close_all();
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL, ended).await;
}

fn admit<S: Stream>(
    stream: S,
    tls: Option<Tls>,
    router: &Router,
    gate: &Gate,
    connections: &mut JoinSet<()>,
    lingering: &Arc<Semaphore>,
) {
    // Without credentials there is nobody to answer: the peer is gone already.
    let Ok(caller) = stream.caller(gate) else {
        return;
    };
    match gate.admit(caller) {
        Ok(seat) => drop(connections.spawn(connection(stream, tls, router.clone(), seat))),
        // A handshake costs more than the answer is worth: they see the connection close.
        Err(_) if tls.is_some() => {}
        Err(problem) => {
            // Of very many at once, some see the connection close.
            if let Ok(place) = Arc::clone(lingering).try_acquire_owned() {
                connections.spawn(async move {
                    dismiss(stream, &problem).await;
                    drop(place);
                });
            }
        }
    }
}

/// Answers whoever cannot be served, and takes for a moment what they send: closed at once, the
/// connection would break while they are still sending, and they would not see the answer.
pub(super) async fn dismiss(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    problem: &Problem,
) {
    let answer = plain_answer(problem);
    let told = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        let mut request = stream.take(MAX_DISMISSED_BYTES);
        tokio::io::copy(&mut request, &mut tokio::io::sink()).await
    };
    // How it ends is nobody's concern: the client is gone, or has sent too much for too long.
    let _ = tokio::time::timeout(LINGER, told).await;
}

/// An answer as bytes, where no HTTP server is at work yet.
fn plain_answer(problem: &Problem) -> Vec<u8> {
    let body = problem.body();
    let retry = problem
        .retry_seconds()
        .map(|seconds| format!("retry-after: {seconds}\r\n"))
        .unwrap_or_default();
    let mut answer = format!(
        "HTTP/1.1 {} Refused\r\ncontent-type: application/problem+json\r\n{retry}\
            connection: close\r\ncontent-length: {}\r\n\r\n",
        problem.status(),
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer
}

async fn connection<S: Stream>(stream: S, tls: Option<Tls>, router: Router, seat: Seat) {
    let conn = &seat.conn;
    let reached = stream.local_address().map(|at| Reached {
        at,
        by_tls: tls.is_some(),
    });
    let stream = Watched {
        stream,
        conn: Arc::clone(conn),
        ahead: None,
    };
    let Some(tls) = tls else {
        return requests(stream, reached, &router, conn).await;
    };
    let secured = tokio::select! {
        biased;
        () = conn.closed() => None,
        secured = tls::secure(stream, &tls) => secured,
    };
    if let Some(stream) = secured {
        requests(stream, reached, &router, conn).await;
    }
}

/// Serves one request after the other.
async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    reached: Option<Reached>,
    router: &Router,
    conn: &Arc<Conn>,
) {
    let io = TokioIo::new(stream);
    let service = service_fn(|request| answer(request, router.clone(), Arc::clone(conn), reached));
    let mut http = pin!(
        http1::Builder::new()
            .max_buf_size(MAX_BUFFER_BYTES)
            .serve_connection(io, service)
    );
    tokio::select! {
        // A connection that had to yield does nothing more, whatever it has asked for.
        biased;
        () = conn.closed() => {
            if conn.may_finish() {
                http.as_mut().graceful_shutdown();
                let _ = http.await;
            }
        }
        // An error here is the client's going away in the middle, or a head that is no HTTP, which
        // hyper has answered.
        ended = &mut http => if let Err(error) = ended { tracing::trace!(%error, "a connection broke") },
    }
}

async fn answer(
    request: Request<Incoming>,
    mut router: Router,
    conn: Arc<Conn>,
    reached: Option<Reached>,
) -> Result<axum::response::Response, std::convert::Infallible> {
    conn.begin();
    let begun = Instant::now();
    let (mut head, body) = request.into_parts();
    let body = Lent::new(body);
    head.extensions.insert(Arc::clone(&conn));
    if let Some(reached) = reached {
        head.extensions.insert(reached);
    }
    let Some(body) = body else {
        let response = router.call(Request::from_parts(head, Body::empty())).await;
        conn.end();
        return response;
    };
    let expects = head.headers.contains_key(header::EXPECT);
    let mut response = router.call(Request::from_parts(head, body.body())).await?;
    if !body.drain(expects, &conn, begun).await {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    conn.end();
    Ok(response)
}

/// A connection's stream that tells the gate when bytes move.
pub(super) struct Watched<S> {
    stream: S,
    conn: Arc<Conn>,
    /// A byte that was looked at and is still to be read.
    ahead: Option<u8>,
}

impl<S: Stream> Watched<S> {
    /// The next byte, which stays to be read.
    pub(super) async fn look_ahead(&mut self) -> io::Result<u8> {
        let byte = self.read_u8().await?;
        self.ahead = Some(byte);
        Ok(byte)
    }
}

impl<S> Watched<S> {
    fn watch(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(1..)) => self.conn.wrote(),
            Poll::Pending => self.conn.blocked(),
            Poll::Ready(_) => {}
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(byte) = self.ahead.take()
        {
            buf.put_slice(&[byte]);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.conn.read();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
