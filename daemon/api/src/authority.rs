//! Who can sign for hosts that join, who is invited, and which certificates there are.

use crate::cluster::MemberRole;
use crate::page::Page;
use crate::time::Millis;
use crate::words::words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

words! {
    /// What was taken out of the cluster.
    RevocationKind {
        /// A node.
        Node = "node",
        /// An authority below the cluster's own.
        Authority = "authority",
    }
}

words! {
    /// What an invitation is good for now.
    InvitationState {
        /// Hosts can join by it.
        Open = "open",
        /// As many hosts have joined by it as may.
        Used = "used",
        /// Its time is over.
        Expired = "expired",
        /// It was revoked.
        Revoked = "revoked",
    }
}

/// Whom to invite. Each field may be missing.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// How long the token is valid: a whole number with `s`, `m`, `h` or `d`, from `10s` to `30d`;
    /// `10m` if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[0-9]+[smhd]$")]
    pub ttl: Option<String>,
    /// How many hosts may join by it; 1 if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1, maximum = 1000)]
    pub uses: Option<u32>,
    /// The name that the host must have; null or missing: any that is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the host becomes; `member` if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub role: Option<MemberRole>,
    /// What the new node says of itself: `{"rack": "7"}` is the tag `rack=7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tags: Option<BTreeMap<String, String>>,
}

/// A new invitation.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct CreatedInvitation {
    /// 12 hexadecimal digits.
    pub id: String,
    /// What the new host needs to join. It is told only here.
    pub token: String,
    /// Where the new host reaches this node; it may join by any other one.
    pub address: String,
    /// When the token expires.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Millis,
    /// How many hosts may join by it.
    pub uses: u32,
    /// The name that the host must have; null: any.
    #[schema(required = true)]
    pub name: Option<String>,
    /// What the host becomes.
    pub role: MemberRole,
}

/// An invitation, without its token.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Invitation {
    /// 12 hexadecimal digits.
    pub id: String,
    /// What it is good for now.
    pub state: InvitationState,
    /// Who invited, such as `alice@alpha`.
    pub by: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Millis,
    /// When its token expires.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Millis,
    /// How many hosts may join by it.
    pub uses: u32,
    /// The name that the host must have; null: any.
    #[schema(required = true)]
    pub name: Option<String>,
    /// What the host becomes.
    pub role: MemberRole,
    /// What the new node says of itself.
    pub tags: Vec<String>,
    /// Who has joined by it.
    pub used: Vec<InvitationUse>,
}

/// A page of invitations.
pub type InvitationPage = Page<Invitation>;

/// A host that has joined.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct InvitationUse {
    /// When it was admitted.
    #[schema(value_type = String, format = DateTime)]
    pub at: Millis,
    /// The name that it got.
    pub name: String,
    /// The id that it got.
    pub node: String,
    /// From where it came.
    pub address: String,
}

/// Who can sign, and which certificates there are.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct AuthorityView {
    /// Whether this node can sign.
    pub is_authority: bool,
    /// The nodes that can sign, this one first, the others as far as they answer.
    pub authorities: Vec<SigningNode>,
    /// The certificates of all members, by name.
    pub certificates: Vec<MemberCertificate>,
}

/// A node that can sign.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct SigningNode {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is reached.
    pub address: String,
    /// Until when: when the certificate of its signing key expires.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Millis,
}

/// A member's certificate.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct MemberCertificate {
    /// The member's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When its certificate expires; null for a member that did not answer.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    pub expires_at: Option<Millis>,
}

/// Why a node is shut out.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRevocation {
    /// In words, for all who are told: at most 500 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A node that is shut out for ever, or an authority that is withdrawn.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Revocation {
    /// Which of the two; an older program, which does not tell it, knows nodes only.
    #[serde(default)]
    #[schema(value_type = RevocationKind, required = true)]
    pub kind: Option<RevocationKind>,
    /// The node's id, or the authority's key.
    pub id: String,
    /// The name that it had; empty if the authority had never seen it.
    pub name: String,
    /// Why; may be empty.
    pub reason: String,
    /// When, by the clock of the authority; of a withdrawal, by that of the node which has drafted it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Millis,
    /// Who has asked for it, such as `alice@alpha`.
    pub by: String,
    /// The id of the node whose authority has signed it; of a withdrawal, of the node which has drafted it.
    pub authority: String,
    /// How many certificates and revocations of a withdrawn authority stay good; null for a node.
    #[schema(required = true)]
    pub stay_good: Option<usize>,
    /// Which these are: the first 16 bytes of SHA-256 over each, in hexadecimal digits; null for a node, and
    /// from an older program.
    #[serde(default)]
    #[schema(required = true)]
    pub good: Option<Vec<String>>,
}

/// Which authority is to be withdrawn.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWithdrawal {
    /// The name of the node for which it was made, or its key.
    pub authority: String,
    /// Why, in words, for all who are told: at most 500 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The nodes, by name or id, whose certificates or revocations by it are good no longer; none if it is
    /// not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without: Option<Vec<String>>,
}

/// What the cluster's own authority is to sign so that one below it is withdrawn.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct WithdrawalDraft {
    /// The statement, in base64, without a signature.
    pub statement: String,
    /// What it says, in words.
    pub text: String,
    /// Which authority it is about.
    pub authority: WithdrawnAuthority,
    /// The members whose certificates stay good.
    pub members: Vec<WithdrawalKept>,
    /// The nodes whose revocations stay good.
    pub revocations: Vec<WithdrawalKept>,
}

/// An authority below the cluster's own.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct WithdrawnAuthority {
    /// Its key: 32 hexadecimal digits, the first half of SHA-256 over the public key info.
    pub key: String,
    /// The name of the node for which it was made.
    pub name: String,
    /// When its certificate expires.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Millis,
}

/// A node of which something stays good.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct WithdrawalKept {
    /// Its id.
    pub id: String,
    /// Its name; empty where nobody knew it.
    pub name: String,
}

/// A statement that was signed elsewhere.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedStatement {
    /// In base64.
    pub statement: String,
}

/// A page of revocations.
pub type RevocationPage = Page<Revocation>;

/// A certificate that was renewed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct RenewedCertificate {
    /// The name of the node that signed.
    pub by: String,
    /// When the new certificate expires.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Millis,
}
