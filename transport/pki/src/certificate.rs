//! What Muster reads in a certificate: names and purposes of a node's, the cluster in an
//! authority's.

use data_encoding::HEXLOWER;
use names::{NodeName, Role};
use x509_parser::oid_registry::OID_SIG_ED25519;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509Name};

/// The end of the DNS name that carries a node's id.
const ID_SUFFIX: &str = ".id.muster";
/// The end of the DNS name that carries a member's name.
const NAME_SUFFIX: &str = ".name.muster";
/// The end of the DNS name that carries an observer's name. It is another one than a member's, so that
/// a program that does not know observers refuses such a certificate rather than take it for a member's.
const OBSERVER_SUFFIX: &str = ".observer.muster";
/// What stands before the cluster's id in the authority's common name.
const AUTHORITY_PREFIX: &str = "muster cluster ";

/// Why a certificate cannot serve in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// It is no X.509 certificate.
    #[error("it is not a well-formed certificate")]
    Malformed,
    /// An authority's certificate without the cluster's id in its common name.
    #[error("its common name is not \"muster cluster <id>\"")]
    NoCluster,
    /// It stands where an authority's certificate should be, and is none.
    #[error("it is not the certificate of an authority")]
    NotAnAuthority,
    /// Not exactly one `<32 hex>.id.muster`, and one `NAME.name.muster` or `NAME.observer.muster`, among its
    /// DNS names.
    #[error("its DNS names do not hold exactly one node id and one node name")]
    Names,
    /// It must serve both as a client's and as a server's.
    #[error("it is not made for both TLS servers and TLS clients")]
    Purpose,
}

/// What a node's certificate says.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// The node's id.
    pub id: [u8; 16],
    /// The node's name: one DNS label in lower case.
    pub name: String,
    /// What it is in the cluster.
    pub role: Role,
    /// When it begins to be valid, in Unix seconds.
    pub not_before: i64,
    /// When it expires, in Unix seconds.
    pub not_after: i64,
    /// The key's bytes, where it is an Ed25519 key, as those of nodes are.
    pub public_key: Option<[u8; 32]>,
}

/// For whom a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearer<'a> {
    /// The node's id.
    pub id: [u8; 16],
    /// The node's name.
    pub name: &'a str,
    /// What it is in the cluster.
    pub role: Role,
}

/// What an authority's certificate says.
#[derive(Clone, Debug)]
pub(crate) struct AuthorityFacts {
    pub(crate) cluster: [u8; 16],
    /// Unix seconds.
    pub(crate) not_after: i64,
    /// The public key, in DER.
    pub(crate) public_key: Vec<u8>,
    /// Which of the cluster's authorities it is, where it is one below another.
    pub(crate) unit: Option<String>,
    /// Whether another authority may stand below it.
    pub(crate) may_delegate: bool,
}

/// Reads a node's certificate, in DER. Says nothing about who signed it.
pub fn node(der: &[u8]) -> Result<NodeFacts, CertificateFault> {
    let certificate = parse(der)?;
    let usage = certificate
        .extended_key_usage()
        .map_err(|_| CertificateFault::Malformed)?;
    if !usage.is_some_and(|usage| usage.value.client_auth && usage.value.server_auth) {
        return Err(CertificateFault::Purpose);
    }
    let (id, name, role) = names(&certificate)?;
    let validity = certificate.validity();
    Ok(NodeFacts {
        id,
        name,
        role,
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
        public_key: certificate
            .public_key()
            .subject_public_key
            .data
            .as_ref()
            .try_into()
            .ok(),
    })
}

/// The key of a certificate, as its algorithm writes it.
pub(crate) fn key(der: &[u8]) -> Result<Vec<u8>, CertificateFault> {
    let certificate = parse(der)?;
    let key = &certificate.public_key().subject_public_key;
    Ok(key.data.to_vec())
}

/// The key of a certificate with its algorithm, in DER.
pub(crate) fn public_key_info(der: &[u8]) -> Result<Vec<u8>, CertificateFault> {
    Ok(parse(der)?.public_key().raw.to_vec())
}

/// Whether the key of one certificate has signed the other, whatever the time. Authorities' keys are
/// Ed25519 keys.
pub(crate) fn is_signed_by(der: &[u8], issuer: &[u8]) -> bool {
    let (Ok(certificate), Ok(key)) = (parse(der), key(issuer)) else {
        return false;
    };
    let signed = certificate.tbs_certificate.as_ref();
    let signature = certificate.signature_value.data.as_ref();
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key);
    certificate.signature_algorithm.algorithm == OID_SIG_ED25519
        && key.verify(signed, signature).is_ok()
}

/// Since when and until when a certificate is valid, in Unix seconds.
pub(crate) fn validity(der: &[u8]) -> Result<(i64, i64), CertificateFault> {
    let certificate = parse(der)?;
    let validity = certificate.validity();
    Ok((
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

/// Reads an authority's certificate.
pub(crate) fn authority(der: &[u8]) -> Result<AuthorityFacts, CertificateFault> {
    let certificate = parse(der)?;
    if !certificate.is_ca() {
        return Err(CertificateFault::NotAnAuthority);
    }
    Ok(AuthorityFacts {
        cluster: cluster(certificate.subject()).ok_or(CertificateFault::NoCluster)?,
        not_after: certificate.validity().not_after.timestamp(),
        public_key: certificate.public_key().raw.to_vec(),
        unit: certificate
            .subject()
            .iter_organizational_unit()
            .next()
            .and_then(|unit| unit.as_str().ok())
            .map(str::to_owned),
        may_delegate: certificate
            .basic_constraints()
            .ok()
            .flatten()
            .is_some_and(|basic| {
                basic
                    .value
                    .path_len_constraint
                    .is_none_or(|below| below > 0)
            }),
    })
}

/// The cluster that a certificate, in DER, says its issuer is of. Only for better words: nothing is
/// proved by it.
pub fn claimed_cluster(der: &[u8]) -> Option<[u8; 16]> {
    cluster(parse(der).ok()?.issuer())
}

/// The common name of a cluster's authority.
pub(crate) fn authority_name(cluster: [u8; 16]) -> String {
    format!("{AUTHORITY_PREFIX}{}", HEXLOWER.encode(&cluster))
}

/// The DNS names of a node's certificate.
pub(crate) fn dns_names(bearer: Bearer<'_>) -> Vec<String> {
    let suffix = match bearer.role {
        Role::Member => NAME_SUFFIX,
        Role::Observer => OBSERVER_SUFFIX,
    };
    vec![
        format!("{}{ID_SUFFIX}", HEXLOWER.encode(&bearer.id)),
        format!("{}{suffix}", bearer.name),
    ]
}

/// Reads an id of 32 hexadecimal digits in lower case: one id has one text.
pub(crate) fn id(text: &str) -> Option<[u8; 16]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateFault> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(CertificateFault::Malformed),
    }
}

fn cluster(name: &X509Name<'_>) -> Option<[u8; 16]> {
    let mut names = name.iter_common_name();
    let text = names.next()?.as_str().ok()?;
    if names.next().is_some() {
        return None;
    }
    id(text.strip_prefix(AUTHORITY_PREFIX)?)
}

fn names(certificate: &X509Certificate<'_>) -> Result<([u8; 16], String, Role), CertificateFault> {
    let extension = certificate
        .subject_alternative_name()
        .map_err(|_| CertificateFault::Malformed)?;
    let extension = extension.ok_or(CertificateFault::Names)?;
    let (mut ids, mut names) = (Vec::new(), Vec::new());
    for general in &extension.value.general_names {
        let GeneralName::DNSName(text) = general else {
            continue;
        };
        if let Some(digits) = text.strip_suffix(ID_SUFFIX) {
            ids.push(id(digits).ok_or(CertificateFault::Names)?);
        } else if let Some(name) = text.strip_suffix(NAME_SUFFIX) {
            names.push((name, Role::Member));
        } else if let Some(name) = text.strip_suffix(OBSERVER_SUFFIX) {
            names.push((name, Role::Observer));
        }
    }
    match (ids.as_slice(), names.as_slice()) {
        ([id], [(name, role)]) if NodeName::new(name).is_ok() => {
            Ok((*id, (*name).to_owned(), *role))
        }
        _ => Err(CertificateFault::Names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_text() {
        let bytes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];
        assert_eq!(id("000102030405060708090a0b0c0d0eff"), Some(bytes));
        for text in [
            "",
            "0",
            "000102030405060708090A0B0C0D0EFF",
            "+00102030405060708090a0b0c0d0eff",
            "xx0102030405060708090a0b0c0d0eff",
        ] {
            assert_eq!(id(text), None, "{text}");
        }
    }

    #[test]
    fn rubbish_is_no_certificate() {
        for bytes in [&b""[..], b"\x30", b"\x30\x82\xff\xff", &[0x30; 600]] {
            assert_eq!(node(bytes).unwrap_err(), CertificateFault::Malformed);
            assert_eq!(authority(bytes).unwrap_err(), CertificateFault::Malformed);
            assert_eq!(claimed_cluster(bytes), None);
        }
    }
}
