//! Inviting hosts, and certificates.

use super::{Answer, NOTHING};
use crate::{ApiPath, Client, ClientError};
use api::authority::{
    AuthorityView, CreatedInvitation, Invitation, NewInvitation, RenewedCertificate,
};
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
