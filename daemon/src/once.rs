//! Things that many are told of, written for the first and kept for the others.

use bytes::Bytes;
use std::ops::Deref;
use std::sync::OnceLock;

/// Something that happened, with its events as streams send them once they have been written: by
/// the first stream that tells of it. They are kept as long as it is.
#[derive(Debug)]
pub struct Once<T> {
    happened: T,
    events: OnceLock<Vec<Bytes>>,
}

impl<T> Once<T> {
    pub(crate) fn new(happened: T) -> Self {
        Self {
            happened,
            events: OnceLock::new(),
        }
    }

    /// Its events; `write` must always write the same.
    pub(crate) fn events<E>(
        &self,
        write: impl FnOnce(&T) -> Result<Vec<Bytes>, E>,
    ) -> Result<&[Bytes], E> {
        if let Some(written) = self.events.get() {
            return Ok(written);
        }
        let written = write(&self.happened)?;
        Ok(self.events.get_or_init(|| written))
    }
}

impl<T> Deref for Once<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.happened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_written_for_the_first_reader_only() {
        let once = Once::new(7);
        let failed: Result<&[Bytes], &str> = once.events(|_| Err("no"));
        assert_eq!(failed, Err("no"));
        let write = |number: &i32| Ok::<_, ()>(vec![Bytes::from(number.to_string())]);
        assert_eq!(once.events(write).unwrap(), ["7"]);
        assert_eq!(once.events(|_| Err("again")).unwrap(), ["7"]);
    }
}
