//! Inviting hosts, and certificates.

use super::{Answer, NOTHING};
use crate::{ApiPath, Client, ClientError};
use api::authority::{
    AuthorityView, CreatedInvitation, Invitation, NewInvitation, NewRevocation, NewWithdrawal,
    RenewedCertificate, Revocation, SignedStatement, WithdrawalDraft,
};
use api::request::TimeoutQuery;
use hyper::Method;

/// Inviting hosts, and certificates.
impl Client {
    /// Who can sign, and the certificates of all members.
    pub async fn authority(&self) -> Result<Answer<AuthorityView>, ClientError> {
        self.read(&ApiPath::new(&["authority"])).await
    }

    /// Has the node's own certificate renewed.
    pub async fn renew_certificate(&self) -> Result<Answer<RenewedCertificate>, ClientError> {
        let path = ApiPath::new(&["authority", "renew"]);
        self.send(Method::POST, &path, NOTHING, None).await
    }

    /// Shuts a node out for ever, by its name or id.
    pub async fn revoke(
        &self,
        node: &str,
        why: &NewRevocation,
        wait: &TimeoutQuery,
    ) -> Result<Answer<Revocation>, ClientError> {
        let path = ApiPath::new(&["members", node, "revoke"]).with(wait);
        self.send(Method::POST, &path, Some(why), None).await
    }

    /// Drafts the withdrawal of an authority, which changes nothing.
    pub async fn draft_withdrawal(
        &self,
        wanted: &NewWithdrawal,
        wait: &TimeoutQuery,
    ) -> Result<Answer<WithdrawalDraft>, ClientError> {
        let path = ApiPath::new(&["authority", "withdrawal"]).with(wait);
        self.send(Method::POST, &path, Some(wanted), None).await
    }

    /// Publishes a revocation or withdrawal that was signed elsewhere.
    pub async fn publish_revocation(
        &self,
        statement: &SignedStatement,
        wait: &TimeoutQuery,
    ) -> Result<Answer<Revocation>, ClientError> {
        let path = ApiPath::new(&["revocations"]).with(wait);
        self.send(Method::POST, &path, Some(statement), None).await
    }

    /// The nodes that are shut out, and the authorities that are withdrawn.
    pub async fn revocations(&self) -> Result<Answer<Vec<Revocation>>, ClientError> {
        self.read_all(&ApiPath::new(&["revocations"])).await
    }

    /// The invitations of the node.
    pub async fn invitations(&self) -> Result<Answer<Vec<Invitation>>, ClientError> {
        self.read_all(&ApiPath::new(&["invitations"])).await
    }

    /// Invites hosts to join.
    pub async fn invite(
        &self,
        invitation: &NewInvitation,
    ) -> Result<Answer<CreatedInvitation>, ClientError> {
        let path = ApiPath::new(&["invitations"]);
        self.send(Method::POST, &path, Some(invitation), None).await
    }

    /// Revokes an invitation.
    pub async fn revoke_invitation(&self, id: &str) -> Result<Answer<()>, ClientError> {
        let path = ApiPath::new(&["invitations", id]);
        self.send(Method::DELETE, &path, NOTHING, None).await
    }
}
