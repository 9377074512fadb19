//! Tokens for programs that use the API by TCP, and how the page in a browser gets its own.

use crate::page::Page;
use crate::time::Millis;
use crate::words::words;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

words! {
    /// What a token allows. None allows a change of the node, of the cluster or of processes.
    TokenScope {
        /// What the web page does, which is all reading and all changes of lists.
        Page = "page",
        /// All reading.
        Read = "read",
        /// `GET /v1/sd/prometheus`.
        Sd = "sd",
    }
}

/// What a new token is to allow.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it allows.
    pub scope: TokenScope,
    /// How long it is valid: a whole number with `s`, `m`, `h`, `d` or `y` (365 days). `page`: up to
    /// `12h`, `15m` if it is not given. `read`: up to `30d`, `15m` if it is not given. `sd`: up to
    /// `1y`, `30d` if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[0-9]+[smhdy]$")]
    pub ttl: Option<String>,
}

/// A token, without its text.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct TokenInfo {
    /// 16 hexadecimal digits.
    pub id: String,
    /// What it allows.
    pub scope: TokenScope,
    /// The user that it acts for.
    #[schema(value_type = u64, maximum = 4_294_967_295u64)]
    pub uid: u32,
    /// When it expires.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Millis,
}

/// A page of tokens.
pub type TokenInfoPage = Page<TokenInfo>;

/// A new token.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct CreatedToken {
    /// 16 hexadecimal digits.
    pub id: String,
    /// What a program sends as `Authorization: Bearer …`. It is told only here.
    pub token: String,
    /// What it allows.
    pub scope: TokenScope,
    /// The user that it acts for.
    #[schema(value_type = u64, maximum = 4_294_967_295u64)]
    pub uid: u32,
    /// When it expires.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Millis,
}

/// A link to the page.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct PageCode {
    /// 16 hexadecimal digits.
    pub id: String,
    /// What can be traded for a token, once. It is told only here.
    pub code: String,
    /// The page's address with the code in its fragment, and with the node's id, by which the page
    /// notices that another node answers: `#code=CODE.ID`.
    pub url: String,
    /// When the code expires.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Millis,
}

/// A code that nobody has used yet.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct PageCodeState {
    /// 16 hexadecimal digits.
    pub id: String,
}

/// A code that is to be traded for a token.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PageCodeTrade {
    /// The code of a link.
    pub code: String,
    /// The id of the node that the link is of: another one leaves the code as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub node: Option<String>,
}
