//! A peer with a good certificate that does not keep to the protocol, written directly on quinn.

use crate::world::{Node, World, soon, until};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError};
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use transport::Event;

/// Connects with the certificate in `files`, as the node of that certificate would.
async fn rogue(files: &Path, node: &Node) -> Connection {
    let chain = vec![CertificateDer::from_pem_file(files.join("node.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(files.join("node.key")).unwrap();
    let config = client(files).with_client_auth_cert(chain, key).unwrap();
    connect(config, node).await.unwrap()
}

fn client(files: &Path) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(files.join("ca.pem")).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap();
    builder.with_root_certificates(roots)
}

async fn connect(mut config: ClientConfig, node: &Node) -> Result<Connection, ConnectionError> {
    config.alpn_protocols = vec![b"muster/1".to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()));
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let name = format!("{}.name.muster", node.name);
    endpoint
        .connect_with(config, node.endpoint.local_addr(), &name)
        .unwrap()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_nobody_connects() {
    let world = World::new();
    let node = world.node("node");
    let anonymous = client(&world.files("node")).with_no_client_auth();
    if let Ok(connection) = connect(anonymous, &node).await {
        soon(connection.closed()).await;
    }
    until(|| node.endpoint.stats().refused_certificate == 1).await;
    assert_eq!(node.endpoint.stats().connected, 0);
}

/// Sends these streams, then demands that the connection is closed with this reason at both ends.
async fn is_disconnected(streams: &[&[u8]], reason: &str) {
    let world = World::new();
    let mut node = world.node("node");
    world.issue("rogue");
    let rogue = rogue(&world.files("rogue"), &node).await;
    node.connected().await;
    for bytes in streams {
        let mut stream = rogue.open_uni().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.finish().unwrap();
    }
    assert_eq!(
        node.closed().await,
        format!("closed here: the peer broke the protocol: {reason}")
    );
    let ConnectionError::ApplicationClosed(close) = rogue.closed().await else {
        panic!()
    };
    assert_eq!(close.reason, reason);
    assert_eq!(node.endpoint.stats().violations, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_too_large_closes_the_connection() {
    is_disconnected(
        &[&[1, 0, 16, 0, 1, 0]],
        "a message of 1048577 bytes is larger than \
        allowed",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_channel_opened_twice_closes_the_connection() {
    is_disconnected(&[&[9, 1, 2, 3], &[9]], "it opened channel 9 twice").await;
}

/// A later program may have more channels than this one.
#[tokio::test(flavor = "multi_thread")]
async fn all_channels_that_are_not_known_are_refused_and_the_connection_goes_on() {
    let world = World::new();
    let mut node = world.node("node");
    world.issue("rogue");
    let rogue = rogue(&world.files("rogue"), &node).await;
    node.connected().await;
    for channel in 2..255 {
        let mut stream = soon(rogue.open_uni()).await.unwrap();
        stream.write_all(&[channel, 0, 0, 0, 1, 7]).await.unwrap();
        let code = soon(stream.stopped()).await.unwrap();
        assert_eq!(code, Some(1_u32.into()));
    }
    let mut known = rogue.open_uni().await.unwrap();
    known.write_all(&[0, 0, 0, 0, 1, 7]).await.unwrap();
    let Event::Message { channel, bytes, .. } = node.urgent().await else {
        panic!("it is told that the connection has ended")
    };
    assert_eq!((channel, &bytes[..]), (0, &[7][..]));
    assert_eq!(node.endpoint.stats().violations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_opened_twice_closes_the_connection() {
    is_disconnected(&[&[0], &[0]], "it opened channel 0 twice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_cut_short_closes_the_connection() {
    is_disconnected(
        &[&[0, 0, 0, 0, 9, 1, 2]],
        "it ended a channel within a message",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_stream_closes_the_connection() {
    is_disconnected(&[&[]], "it opened an empty stream").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datagram_beyond_64_kib_closes_the_connection() {
    let mut bytes = vec![0; (64 << 10) + 2];
    bytes[0] = 0xff;
    is_disconnected(&[&bytes], "it sent a datagram that is too large").await;
}
