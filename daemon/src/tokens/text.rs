//! Tokens as text: `muster_` id `_` secret, all of it lower-case letters, digits and underscores,
//! so that a double click takes it whole and scanners for leaked secrets know it by its beginning.
//! The codes of links are written alike, without the beginning.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "muster_";

/// Names a token. It is part of the token's text, but no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenId(pub [u8; 8]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for TokenId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        unhex(text).map(Self).ok_or(())
    }
}

/// What makes a token good. Only its hash is kept. Of 256 random bits a plain hash is enough: there
/// is nothing to guess.
pub(super) struct Secret(pub(super) [u8; 32]);

impl Secret {
    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// The token.
    pub(super) fn text(&self, id: TokenId) -> String {
        format!("{PREFIX}{}", self.code(id))
    }

    /// The code of a link.
    pub(super) fn code(&self, id: TokenId) -> String {
        format!("{id}_{}", HEXLOWER.encode(&self.0))
    }
}

/// Takes a token apart.
pub(super) fn parse(text: &str) -> Option<(TokenId, Secret)> {
    parse_code(text.strip_prefix(PREFIX)?)
}

/// Takes the code of a link apart.
pub(super) fn parse_code(text: &str) -> Option<(TokenId, Secret)> {
    let (id, secret) = text.split_once('_')?;
    Some((id.parse().ok()?, Secret(unhex(secret)?)))
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_reads_as_it_was_written(id: [u8; 8], secret: [u8; 32]) {
            let text = Secret(secret).text(TokenId(id));
            let (read, secret_read) = parse(&text).unwrap();
            prop_assert_eq!((read, secret_read.0), (TokenId(id), secret));
            prop_assert_eq!(text.len(), 88);
        }

        #[test]
        fn any_text_may_be_tried(text in ".{0,100}", tail in "[0-9a-f_]{0,90}") {
            prop_assert!(parse(&text).is_none());
            let _ = parse(&format!("{PREFIX}{tail}"));
        }
    }

    #[test]
    fn a_token_has_one_form_only() {
        let good = Secret([0xab; 32]).text(TokenId([1; 8]));
        assert!(parse(&good).is_some());
        for bad in [
            good.to_uppercase(),
            format!(" {good}"),
            format!("{good}0"),
            good.replace("muster_", ""),
            good.replace("ab", "AB"),
        ] {
            assert!(parse(&bad).is_none(), "{bad}");
        }
    }
}
