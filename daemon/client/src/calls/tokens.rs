//! Tokens, and links to the page.

use super::{Answer, NOTHING};
use crate::{ApiPath, Client, ClientError};
use api::request::TimeoutQuery;
use api::tokens::{CreatedToken, NewToken, PageCode, PageCodeState, TokenInfo};
use hyper::Method;

/// Tokens.
///
/// ```no_run
/// # async fn example(client: client::Client) -> Result<(), client::ClientError> {
/// use api::request::TimeoutQuery;
/// use api::tokens::{NewToken, TokenScope};
///
/// let wanted = NewToken { scope: TokenScope::Read, ttl: Some("1h".into()) };
/// let token = client.create_token(&wanted, &TimeoutQuery::default()).await?.value;
/// println!("Authorization: Bearer {}", token.token);
/// # Ok(())
/// # }
/// ```
impl Client {
    /// The user's tokens, without their texts.
    pub async fn tokens(&self) -> Result<Answer<Vec<TokenInfo>>, ClientError> {
        self.read_all(&ApiPath::new(&["tokens"])).await
    }

    /// Makes a token that acts for the user.
    pub async fn create_token(
        &self,
        token: &NewToken,
        wait: &TimeoutQuery,
    ) -> Result<Answer<CreatedToken>, ClientError> {
        let path = ApiPath::new(&["tokens"]).with(wait);
        self.send(Method::POST, &path, Some(token), None).await
    }

    /// Revokes a token.
    pub async fn revoke_token(
        &self,
        id: &str,
        wait: &TimeoutQuery,
    ) -> Result<Answer<()>, ClientError> {
        let path = ApiPath::new(&["tokens", id]).with(wait);
        self.send(Method::DELETE, &path, NOTHING, None).await
    }

    /// Makes a link that opens the page for the user, once.
    pub async fn create_code(&self) -> Result<Answer<PageCode>, ClientError> {
        let path = ApiPath::new(&["web", "codes"]);
        self.send(Method::POST, &path, NOTHING, None).await
    }

    /// Whether such a link is still to be used.
    pub async fn code(&self, id: &str) -> Result<Answer<PageCodeState>, ClientError> {
        self.read(&ApiPath::new(&["web", "codes", id])).await
    }
}
