//! What the daemon asks of its host beside files and sockets: the time, random bytes, its addresses and
//! accounts, and whether the process that started it is still there.

pub(crate) mod accounts;
pub(crate) mod addresses;
mod clock;
mod parent;

pub(crate) use clock::{Clock, wall_ms};
pub(crate) use parent::watch_parent;

use anyhow::Context;
use rand::TryRng;

/// Random bytes from the kernel.
pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::rngs::SysRng
        .try_fill_bytes(&mut bytes)
        .context("the kernel gives no random bytes")?;
    Ok(bytes)
}
