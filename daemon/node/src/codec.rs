//! The one place that knows how Muster's messages become bytes: bincode 2 with serde, little
//! endian, varints.
//!
//! bincode 2.0.1 is complete but no longer maintained; it is pinned and kept behind these
//! functions.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest encoded message, and the most that decoding one may allocate: 1 MiB.
pub const MAX_BYTES: usize = 1 << 20;

/// Bytes that are not a message of this protocol version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {0}")]
pub struct Malformed(String);

impl Malformed {
    /// For a value of that many bytes where fewer were allowed.
    pub(crate) fn too_large(bytes: usize) -> Self {
        Self(format!("{bytes} bytes"))
    }

    /// For a value that decodes but breaks a rule.
    pub(crate) fn rule(broken: &str) -> Self {
        Self(broken.to_owned())
    }
}

/// Encodes a value.
///
/// # Errors
/// The value is larger than [`MAX_BYTES`]; nothing was written.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Malformed> {
    let bytes = bincode::serde::encode_to_vec(value, bincode::config::standard())
        .map_err(|e| Malformed(e.to_string()))?;
    if bytes.len() > MAX_BYTES {
        Err(Malformed::too_large(bytes.len()))
    } else {
        Ok(bytes)
    }
}

/// Encodes a value into the front of `scratch`, without an allocation; gives that front.
///
/// # Errors
/// The value is larger than `scratch`.
pub(crate) fn encode_into<'a, T: Serialize>(
    value: &T,
    scratch: &'a mut [u8],
) -> Result<&'a [u8], Malformed> {
    let written = bincode::serde::encode_into_slice(value, scratch, bincode::config::standard())
        .map_err(|e| Malformed(e.to_string()))?;
    scratch
        .get(..written)
        .ok_or_else(|| Malformed::too_large(written))
}

/// Decodes a value from the front of `bytes`, reading at most `LIMIT` of them; gives it and how
/// many were read.
///
/// # Errors
/// The bytes do not begin with such a value, or it is larger.
pub(crate) fn decode_prefix<T: DeserializeOwned, const LIMIT: usize>(
    bytes: &[u8],
) -> Result<(T, usize), Malformed> {
    let config = bincode::config::standard().with_limit::<LIMIT>();
    bincode::serde::decode_from_slice(bytes, config).map_err(|e| Malformed(e.to_string()))
}

/// Decodes a value that fills `bytes` exactly.
///
/// # Errors
/// The bytes are too many, too few, not such a value, or would allocate more than [`MAX_BYTES`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    let config = bincode::config::standard().with_limit::<MAX_BYTES>();
    match bincode::serde::decode_from_slice(bytes, config) {
        Ok((value, read)) if read == bytes.len() => Ok(value),
        Ok((_, read)) => Err(Malformed(format!(
            "{} bytes after the end",
            bytes.len().saturating_sub(read)
        ))),
        Err(error) => Err(Malformed(error.to_string())),
    }
}
