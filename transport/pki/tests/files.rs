//! Making identities, and the sentences with which unusable ones are refused.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use pki::{Identity, IdentityError, Issued, PkiError};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

/// An authority in a temporary directory, and the nodes that it issued beside it.
struct World {
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        pki::init(&dir.path().join("ca")).unwrap();
        Self { dir }
    }

    fn ca(&self) -> PathBuf {
        self.files("ca")
    }

    /// Where a node's files are.
    fn files(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn issue(&self, name: &str) -> Issued {
        self.issue_into(name, &self.files(name)).unwrap()
    }

    fn issue_into(&self, name: &str, files: &Path) -> Result<Issued, PkiError> {
        let who = (name, pki::Role::Member);
        pki::issue(&self.ca(), who, files, pki::NODE_LIFE)
    }
}

fn load(files: &Path) -> Result<Identity, IdentityError> {
    Identity::load(
        &files.join("ca.pem"),
        &files.join("node.pem"),
        &files.join("node.key"),
    )
}

fn refusal(files: &Path) -> String {
    load(files).unwrap_err().to_string()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A certificate by the world's authority that `issue` would not make.
fn certify(world: &World, files: &Path, change: impl FnOnce(&mut CertificateParams)) {
    let authority = world.issue("unused");
    fs::create_dir(files).unwrap();
    fs::copy(world.ca().join("ca.pem"), files.join("ca.pem")).unwrap();
    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = DistinguishedName::new();
    issuer
        .distinguished_name
        .push(DnType::OrganizationName, "muster");
    let cluster = u128::from_be_bytes(authority.cluster);
    issuer
        .distinguished_name
        .push(DnType::CommonName, format!("muster cluster {cluster:032x}"));
    let signer =
        KeyPair::from_pem(&fs::read_to_string(world.ca().join("ca.key")).unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = [
        format!("{:032x}.id.muster", 5),
        "five.name.muster".to_owned(),
    ];
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    change(&mut params);
    let certificate = params
        .signed_by(&key, &Issuer::new(issuer, signer))
        .unwrap();
    fs::write(files.join("node.pem"), certificate.pem()).unwrap();
    fs::write(files.join("node.key"), key.serialize_pem()).unwrap();
    fs::set_permissions(files.join("node.key"), Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn what_is_issued_can_be_loaded() {
    let world = World::new();
    let issued = world.issue("n1");
    let identity = load(&world.files("n1")).unwrap();
    assert_eq!(
        (identity.id(), identity.name(), identity.cluster()),
        (issued.id, "n1", issued.cluster)
    );
    let life = identity.not_after() - OffsetDateTime::now_utc().unix_timestamp();
    assert!((729 * 86_400..=730 * 86_400).contains(&life), "{life}");
}

#[test]
fn keys_are_for_their_owner_only() {
    let world = World::new();
    world.issue("n1");
    assert_eq!(
        (mode(&world.ca()), mode(&world.ca().join("ca.key"))),
        (0o700, 0o600)
    );
    assert_eq!(
        (
            mode(&world.files("n1")),
            mode(&world.files("n1").join("node.key"))
        ),
        (0o700, 0o600)
    );
    fs::set_permissions(
        world.files("n1").join("node.key"),
        Permissions::from_mode(0o640),
    )
    .unwrap();
    let refusal = refusal(&world.files("n1"));
    assert!(
        refusal.contains("node.key has mode 0640, others can read it"),
        "{refusal}"
    );
}

#[test]
fn an_authority_is_never_overwritten() {
    let world = World::new();
    let before = fs::read(world.ca().join("ca.key")).unwrap();
    let refusal = pki::init(&world.ca()).unwrap_err().to_string();
    assert!(
        refusal.ends_with("ca.pem exists already and is not overwritten"),
        "{refusal}"
    );
    assert_eq!(fs::read(world.ca().join("ca.key")).unwrap(), before);
    let left: Vec<_> = fs::read_dir(world.ca())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_name_is_issued_once_and_renewed_with_its_id() {
    let world = World::new();
    let first = world.issue("n1");
    let key = fs::read(world.files("n1").join("node.key")).unwrap();
    let refusal = world
        .issue_into("n1", &world.files("elsewhere"))
        .unwrap_err()
        .to_string();
    assert!(
        refusal.contains("the name n1 was issued already"),
        "{refusal}"
    );
    assert!(!world.files("elsewhere").exists());
    assert_eq!(
        pki::renew(&world.ca(), "n1", &world.files("n1"), pki::NODE_LIFE)
            .unwrap()
            .id,
        first.id
    );
    assert_eq!(load(&world.files("n1")).unwrap().id(), first.id);
    assert_ne!(fs::read(world.files("n1").join("node.key")).unwrap(), key);
    let short = pki::renew(&world.ca(), "n1", &world.files("n1"), pki::NODE_LIFE / 2).unwrap();
    let (year, moment) = (365 * 86_400, 600);
    assert!(
        (year - moment..=year).contains(&(first.not_after - short.not_after)),
        "half as long, made a moment later"
    );
    let refusal = pki::renew(&world.ca(), "n2", &world.files("n2"), pki::NODE_LIFE)
        .unwrap_err()
        .to_string();
    assert_eq!(refusal, "the name n2 was never issued by this authority");
}

#[test]
fn names_that_are_no_dns_label_are_refused() {
    let world = World::new();
    for name in ["", "../n1", "N1", "n 1", "n.1"] {
        assert!(
            world.issue_into(name, &world.files("out")).is_err(),
            "{name}"
        );
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let world = World::new();
    world.issue("n1");
    world.issue("n2");
    fs::copy(
        world.files("n2").join("node.key"),
        world.files("n1").join("node.key"),
    )
    .unwrap();
    let refusal = refusal(&world.files("n1"));
    assert!(
        refusal.contains("does not belong to the certificate"),
        "{refusal}"
    );
}

#[test]
fn a_certificate_of_another_cluster_is_refused() {
    let (world, other) = (World::new(), World::new());
    world.issue("n1");
    fs::copy(other.ca().join("ca.pem"), world.files("n1").join("ca.pem")).unwrap();
    let refusal = refusal(&world.files("n1"));
    assert!(refusal.contains("node.pem is of cluster"), "{refusal}");
}

#[test]
fn authorities_of_two_clusters_do_not_mix() {
    let (world, other) = (World::new(), World::new());
    world.issue("n1");
    let both = [
        fs::read(world.ca().join("ca.pem")).unwrap(),
        fs::read(other.ca().join("ca.pem")).unwrap(),
    ]
    .concat();
    fs::write(world.files("n1").join("ca.pem"), both).unwrap();
    let refusal = refusal(&world.files("n1"));
    assert!(
        refusal.contains("holds authorities of different clusters"),
        "{refusal}"
    );
}

#[test]
fn a_certificate_of_a_forgotten_authority_is_refused() {
    let world = World::new();
    world.issue("n1");
    pki::rotate(&world.ca()).unwrap();
    let pem = fs::read_to_string(world.ca().join("ca.pem")).unwrap();
    let newest = &pem[..pem.find("-----END CERTIFICATE-----").unwrap() + 26];
    fs::write(world.files("n1").join("ca.pem"), newest).unwrap();
    let refusal = refusal(&world.files("n1"));
    assert!(
        refusal.contains("node.pem is not signed by an authority in"),
        "{refusal}"
    );
}

#[test]
fn a_certificate_out_of_its_time_is_refused() {
    let now = OffsetDateTime::now_utc();
    let world = World::new();
    let files = world.files("late");
    certify(&world, &files, |params| {
        params.not_after = now - Duration::days(1)
    });
    assert!(
        refusal(&files).contains(&format!("expired on {}", (now - Duration::days(1)).date())),
        "{}",
        refusal(&files)
    );
    let world = World::new();
    let files = world.files("early");
    certify(&world, &files, |params| {
        params.not_before = now + Duration::days(2)
    });
    assert!(
        refusal(&files).contains("is valid from") && !refusal(&files).contains("years"),
        "{}",
        refusal(&files)
    );
    let world = World::new();
    let files = world.files("unset");
    certify(&world, &files, |params| {
        params.not_before = now + Duration::days(3 * 365 + 1);
        params.not_after = now + Duration::days(5 * 365);
    });
    let words = ", more than 3 years earlier: it has not been set";
    assert!(refusal(&files).ends_with(words), "{}", refusal(&files));
}

#[test]
fn a_certificate_without_a_nodes_names_or_purposes_is_refused() {
    let world = World::new();
    certify(&world, &world.files("names"), |params| {
        params.subject_alt_names.truncate(1)
    });
    assert!(refusal(&world.files("names")).contains(
        "do not hold exactly one node id and one node \
        name"
    ));
    let world = World::new();
    certify(&world, &world.files("purpose"), |params| {
        params.extended_key_usages.truncate(1)
    });
    assert!(refusal(&world.files("purpose")).contains(
        "it is not made for both TLS servers and \
        TLS clients"
    ));
}

#[test]
fn missing_and_empty_files_are_named() {
    let world = World::new();
    world.issue("n1");
    fs::write(world.files("n1").join("node.pem"), "nothing").unwrap();
    assert!(refusal(&world.files("n1")).ends_with("node.pem holds no certificate in PEM form"));
    fs::remove_file(world.files("n1").join("node.pem")).unwrap();
    assert!(refusal(&world.files("n1")).contains("cannot read"));
}
