//! The files of a TLS server, and the sentences with which unusable ones are refused.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use pki::Server;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

/// A certificate by itself and its key, in a directory.
struct Files {
    dir: TempDir,
}

impl Files {
    fn of(key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let dir = TempDir::new().unwrap();
        let mut params = CertificateParams::new(vec!["muster.example".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.self_signed(key).unwrap();
        fs::write(dir.path().join("cert.pem"), certificate.pem()).unwrap();
        let files = Self { dir };
        files.write_key(&key.serialize_pem());
        files
    }

    fn new() -> Self {
        Self::of(&KeyPair::generate().unwrap(), |_| {})
    }

    fn write_key(&self, text: &str) {
        fs::write(self.key(), text).unwrap();
        fs::set_permissions(self.key(), Permissions::from_mode(0o600)).unwrap();
    }

    fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    fn load(&self) -> Result<Server, pki::ServerError> {
        Server::load(&self.certificate(), &self.key())
    }

    /// The sentence, with paths cut down to names.
    fn refusal(&self) -> String {
        let folder = format!("{}/", self.dir.path().display());
        self.load().unwrap_err().to_string().replace(&folder, "")
    }
}

#[test]
fn a_certificate_of_any_authority_serves_with_its_key() {
    for algorithm in [&PKCS_ED25519, &PKCS_ECDSA_P384_SHA384] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let end = OffsetDateTime::now_utc() + Duration::days(9);
        let files = Files::of(&key, |params| params.not_after = end);
        let server = files.load().unwrap();
        assert_eq!(server.not_after(), end.unix_timestamp());
        assert!(server.is_same(&files.load().unwrap()));
        assert!(!server.is_same(&Files::new().load().unwrap()));
    }
}

#[test]
fn what_is_missing_or_is_no_pem_is_told_by_its_file() {
    let files = Files::new();
    fs::write(files.certificate(), "nothing").unwrap();
    assert_eq!(files.refusal(), "cert.pem holds no certificate in PEM form");
    fs::remove_file(files.certificate()).unwrap();
    assert!(
        files
            .refusal()
            .starts_with("cannot read cert.pem: No such file")
    );
    let files = Files::new();
    files.write_key("nothing");
    assert_eq!(files.refusal(), "key.pem holds no private key in PEM form");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let files = Files::new();
    fs::set_permissions(files.key(), Permissions::from_mode(0o640)).unwrap();
    assert_eq!(
        files.refusal(),
        "the key file key.pem has mode 0640, others can read it; allow its owner only (chmod 600)"
    );
}

#[test]
fn the_key_of_another_certificate_is_refused() {
    let files = Files::new();
    files.write_key(&KeyPair::generate().unwrap().serialize_pem());
    assert_eq!(
        files.refusal(),
        "the key key.pem does not belong to the certificate cert.pem"
    );
}

#[test]
fn a_certificate_is_refused_before_and_after_its_time() {
    let now = OffsetDateTime::now_utc();
    let key = KeyPair::generate().unwrap();
    let late = Files::of(&key, |params| params.not_after = now - Duration::days(1));
    assert_eq!(
        late.refusal(),
        format!(
            "the certificate cert.pem expired on {}; put a renewed one in its place",
            (now - Duration::days(1)).date()
        )
    );
    let early = Files::of(&key, |params| params.not_before = now + Duration::days(1));
    assert!(early.refusal().contains("is valid from"));
}
