//! Authenticated connections between the nodes of one cluster, over QUIC.
//!
//! What it does: one UDP socket; mutual TLS 1.3 with the cluster's own certificate authority
//! (made and read by the crate [`pki`]); on each connection lossy datagrams
//! and a few *channels* of ordered, reliable messages; and everything that happens as two ordered
//! queues of [`Event`]s. Every queue, frame and wait has a limit ([`Settings`]), what reaches one
//! is counted ([`Stats`]), and a peer that breaks the protocol is disconnected with a reason in
//! words.
//!
//! What it does not do: it does not know what the bytes mean, whom to dial, or when to dial again;
//! it does not buffer for a peer that is not connected; a message accepted by [`Endpoint::send`]
//! can still be lost with its connection, which the [`Event::Closed`] of that connection tells.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use pki::Identity;
//! use transport::{Endpoint, Event, Patience, Settings};
//! let identity = Identity::load("ca.pem".as_ref(), "node.pem".as_ref(), "node.key".as_ref())?;
//! let (endpoint, mut urgent, _bulk) = Endpoint::bind(Settings::new("[::]:6878".parse()?, ["muster/1"]), identity)?;
//! endpoint.dial(1, "n2.example:6878".to_owned(), None, Patience::default());
//! while let Some(event) = urgent.next().await {
//!     match event {
//!         Event::Connected { conn, .. } => endpoint.send(conn, 0, "hello".into()),
//!         Event::Message { conn, bytes, .. } => println!("{conn} says {bytes:?}"),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! # On the wire
//!
//! QUIC version 1, ALPN by [`Settings::alpn`], both sides with a certificate ([`Settings::join_alpn`]
//! is the only name that a host without one may speak). Unidirectional streams only:
//!
//! | first byte | then |
//! | --- | --- |
//! | channel number | frames: length (4 bytes, big endian, at most 1 MiB), body. Length `0xffff_ffff` has no body: a keep-alive. One such stream per channel and direction |
//! | the number of a channel that only a later program has | is not read: the stream is refused with STOP_SENDING and code 1, and the connection goes on. Each number once |
//! | `0xff` | to the end of the stream (at most 64 KiB): one datagram that was too large for a packet |
//!
//! A second ALPN name, [`Settings::inquiry_alpn`], is for inquiries: each bidirectional stream is
//! one question (at most 1 KiB) and its answer (at most 16 KiB).
//!
//! A third one, [`Settings::join_alpn`], is for hosts that want to join ([`Newcomer`]) and for members
//! that ask on behalf of such ([`Endpoint::apply`]); its streams have the same form. To whoever offers
//! that name a node shows the authorities after its own certificates.
//!
//! Both sides greet: they open channel 0 with a keep-alive at once, the dialler when it has the
//! other one's. By it the dialler knows that its certificate was accepted (in TLS 1.3 a client
//! finishes its handshake before the server has judged it), and the accepting side that the dialler
//! has not given up meanwhile.

#![warn(missing_docs)]

mod accept;
mod admission;
mod congestion;
mod connection;
mod dial;
mod duplicate;
mod endpoint;
mod event;
mod fault;
mod frame;
mod inquiry;
mod newcomer;
mod places;
mod queue;
mod reader;
mod refusal;
mod registry;
mod settings;
mod stats;
mod tls;
mod writer;

pub use admission::Applicant;
pub use dial::Patience;
pub use endpoint::{BindError, Endpoint, ReloadError};
pub use event::{Event, Events, PeerName};
pub use fault::Fault;
pub use inquiry::{Inquiry, InquiryError, Question};
pub use newcomer::{Newcomer, NewcomerError};
pub use refusal::DialErrorKind;
pub use settings::Settings;
pub use stats::{ConnectionStats, Stats};
