//! The parameters of QUIC and of its socket.

use super::BindError;
use crate::congestion::Bounded;
use crate::connection::MAX_LARGE_DATAGRAMS;
use crate::fault::{Fault, Socket, canonical};
use crate::refusal::Verdict;
use crate::settings::Settings;
use crate::stats::Counters;
use crate::tls::{Tls, TlsError};
use quinn::udp::UdpSocketState;
use quinn::{EndpointConfig, IdleTimeout, Runtime, TokioRuntime, TransportConfig, VarInt};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

/// How many bytes of datagrams wait in each direction of a connection; older ones are dropped for
/// newer ones.
const DATAGRAM_BUFFER_BYTES: usize = 256 << 10;
/// How many channels of a later program may be open before they are refused.
const UNKNOWN_CHANNELS: u32 = 4;
/// The most channels: more would leave no room for the other kinds of streams.
const MAX_CHANNELS: u8 = 200;

/// The parameters of QUIC. Its own keep-alive stays off, since it cannot be switched for a single
/// connection.
pub(super) fn transport(settings: &Settings) -> Result<TransportConfig, BindError> {
    if settings.urgent_channels == 0
        || settings.urgent_channels > settings.channels
        || settings.channels > MAX_CHANNELS
    {
        return Err(BindError::Setting("channels"));
    }
    let idle = IdleTimeout::try_from(settings.idle).map_err(|_| BindError::Setting("idle"))?;
    let streams = u32::from(settings.channels) + UNKNOWN_CHANNELS + u32::from(MAX_LARGE_DATAGRAMS);
    let window = u64::from(settings.stream_window_bytes) * u64::from(streams);
    let mut config = TransportConfig::default();
    config
        .initial_rtt(settings.initial_rtt)
        .congestion_controller_factory(Arc::new(Bounded::default()))
        .max_idle_timeout(Some(idle))
        .max_concurrent_bidi_streams(0_u8.into())
        .max_concurrent_uni_streams(streams.into())
        .stream_receive_window(settings.stream_window_bytes.into())
        // Room for every stream's window, so that a channel that is not read never holds up another
        // one.
        .receive_window(
            VarInt::from_u64(window).map_err(|_| BindError::Setting("stream_window_bytes"))?,
        )
        .send_window(window)
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES);
    Ok(config)
}

/// The parameters of the accepting side. A peer that gets a new address dials again, so connections
/// do not migrate.
pub(super) fn server(
    tls: &Tls,
    transport: &Arc<TransportConfig>,
) -> Result<quinn::ServerConfig, TlsError> {
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls.server(Verdict::default())?));
    let mut tokens = quinn::ValidationTokenConfig::default();
    tokens.sent(0);
    config
        .transport_config(transport.clone())
        .migration(false)
        .validation_token_config(tokens);
    Ok(config)
}

/// Opens the endpoint of QUIC on a socket; gives it and the address that the socket is bound to.
pub(super) fn open(
    socket: UdpSocket,
    settings: &Settings,
    fault: &Fault,
    counters: &Arc<Counters>,
    server: &quinn::ServerConfig,
) -> io::Result<(quinn::Endpoint, SocketAddr)> {
    let state = UdpSocketState::new((&socket).into())?;
    // The kernel may give less than this, as its own limits allow, which only costs throughput.
    let _ = state.set_recv_buffer_size((&socket).into(), settings.socket_buffer_bytes);
    let _ = state.set_send_buffer_size((&socket).into(), settings.socket_buffer_bytes);
    let runtime = Arc::new(TokioRuntime);
    let inner = runtime.wrap_udp_socket(socket)?;
    let local = canonical(inner.local_addr()?);
    let socket = Arc::new(Socket {
        inner,
        fault: fault.clone(),
        counters: counters.clone(),
    });
    let quic = quinn::Endpoint::new_with_abstract_socket(
        EndpointConfig::default(),
        Some(server.clone()),
        socket,
        runtime,
    )?;
    Ok((quic, local))
}
