//! Endpoints on real loopback sockets.

mod datagrams;
mod handshake;
mod life;
mod messages;
mod pki;
mod rogue;
mod world;
