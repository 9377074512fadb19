//! TLS of the TCP listener: its certificate, and what handshakes are made with.

use crate::config::Http;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};

/// A certificate in use. Clones share it.
#[derive(Clone, Debug)]
pub struct Tls {
    server: pki::Server,
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files that the configuration names; `None` if it names none.
    ///
    /// # Errors
    /// What is wrong with them, in one sentence.
    pub(crate) fn load(http: &Http) -> anyhow::Result<Option<Self>> {
        let (Some(certificate), Some(key)) = (&http.tls_cert, &http.tls_key) else {
            return Ok(None);
        };
        let server = pki::Server::load(certificate, key)?;
        let resolver = Arc::new(SingleCertAndKey::from(server.certified_key()));
        let mut config = ServerConfig::builder_with_provider(pki::provider())
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self {
            server,
            config: Arc::new(config),
        }))
    }

    /// Makes handshakes.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// When the certificate expires, in Unix seconds.
    pub(crate) fn not_after(&self) -> i64 {
        self.server.not_after()
    }

    /// Whether clients would see no difference.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.server.is_same(&other.server)
    }
}
