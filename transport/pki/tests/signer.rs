//! Authorities on nodes: what they sign, and what is written of it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use pki::{Fingerprint, Identity, NodeKey, PinError, Pinned, PkiError, SIGNER_LIFE, Signer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A cluster's authority, its first node, and the authority of that one.
struct World {
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self {
            dir: TempDir::new().unwrap(),
        };
        pki::init(&world.files("ca")).unwrap();
        pki::issue(
            &world.files("ca"),
            ("first", pki::Role::Member),
            &world.files("first"),
            LIFE,
        )
        .unwrap();
        world
    }

    fn files(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn first(&self) -> Identity {
        load(&self.files("first"))
    }

    fn signer(&self) -> Signer {
        let out = self.files("authority");
        pki::delegate(&self.files("ca"), "first", &out, SIGNER_LIFE).unwrap();
        Signer::load(&out).unwrap().unwrap()
    }
}

fn load(dir: &Path) -> Identity {
    Identity::load(
        &dir.join("ca.pem"),
        &dir.join("node.pem"),
        &dir.join("node.key"),
    )
    .unwrap()
}

fn chain(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap()
}

fn member(id: [u8; 16], name: &str) -> pki::Bearer<'_> {
    let role = pki::Role::Member;
    pki::Bearer { id, name, role }
}

#[test]
fn what_an_authority_signs_is_a_node_of_the_cluster() {
    let world = World::new();
    let (signer, first, key) = (world.signer(), world.first(), NodeKey::generate().unwrap());
    let certified = signer
        .certify(member([7; 16], "second"), key.public(), LIFE, &first)
        .unwrap();
    let dir = world.files("second");
    let second = pki::install(&dir, &key, &certified.pem, &first.authorities_pem()).unwrap();
    assert_eq!((second.id(), second.name()), ([7; 16], "second"));
    assert_eq!(second.cluster(), first.cluster());
    assert_eq!(second.public_key().as_ref(), Some(key.public()));
    assert_eq!(second.not_after(), certified.not_after);
    let certificates = chain(&certified.pem);
    assert_eq!(certificates.len(), 2, "its own and the authority's");
    first.verify(&certificates[0], &certificates[1..]).unwrap();
    first.verify(&certificates[0], &[]).unwrap_err();
    for (file, mode) in [("node.key", 0o600), ("node.pem", 0o644), ("ca.pem", 0o644)] {
        let about = fs::metadata(dir.join(file)).unwrap();
        assert_eq!(about.permissions().mode() & 0o777, mode, "{file}");
    }
}

#[test]
fn an_authority_records_whom_it_signed_for() {
    let world = World::new();
    let (signer, first) = (world.signer(), world.first());
    let key = NodeKey::generate().unwrap();
    let certified = signer
        .certify(member([7; 16], "second"), key.public(), LIFE, &first)
        .unwrap();
    assert!(pki::list(&world.files("authority")).unwrap().is_empty());
    signer.record(&certified).unwrap();
    let issued = pki::list(&world.files("authority")).unwrap();
    assert_eq!((issued[0].name.as_str(), issued[0].id), ("second", [7; 16]));
    assert!(issued[0].not_after.is_some() && issued.len() == 1);
    let of_cluster = pki::list(&world.files("ca")).unwrap();
    assert_eq!(of_cluster[0].name, "first");
    assert_eq!(of_cluster[0].not_after, Some(first.not_after()));
    assert!(pki::list(&world.files("nothing")).is_err());
}

#[test]
fn a_renewed_authority_keeps_its_key() {
    let world = World::new();
    world.signer();
    let key = fs::read(world.files("authority/authority.key")).unwrap();
    world.signer();
    assert_eq!(
        key,
        fs::read(world.files("authority/authority.key")).unwrap()
    );
}

#[test]
fn the_clusters_own_key_can_sign_on_a_node_too() {
    let world = World::new();
    let out = world.files("authority");
    fs::create_dir(&out).unwrap();
    for (from, to) in [("ca.pem", "authority.pem"), ("ca.key", "authority.key")] {
        fs::copy(world.files("ca").join(from), out.join(to)).unwrap();
    }
    let signer = Signer::load(&out).unwrap().unwrap();
    let (first, key) = (world.first(), NodeKey::generate().unwrap());
    let certified = signer
        .certify(member([7; 16], "second"), key.public(), LIFE, &first)
        .unwrap();
    assert_eq!(chain(&certified.pem).len(), 1, "nothing stands between");
    first.verify(&chain(&certified.pem)[0], &[]).unwrap();
}

#[test]
fn what_others_would_refuse_never_leaves_an_authority() {
    let (world, other) = (World::new(), World::new());
    let signer = other.signer();
    let key = NodeKey::generate().unwrap();
    let error = signer
        .certify(
            member([7; 16], "second"),
            key.public(),
            LIFE,
            &world.first(),
        )
        .unwrap_err();
    assert!(matches!(error, PkiError::Distrusted { .. }), "{error}");
}

#[test]
fn a_key_that_others_can_read_does_not_sign() {
    let world = World::new();
    world.signer();
    let key = world.files("authority/authority.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = Signer::load(&world.files("authority")).unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    assert!(Signer::load(&world.files("nothing")).unwrap().is_none());
}

#[test]
fn a_renewed_certificate_takes_its_place_or_nothing_does() {
    let world = World::new();
    let (signer, first) = (world.signer(), world.first());
    let dir = world.files("first");
    let paths = ["ca.pem", "node.pem", "node.key"].map(|file| dir.join(file));
    let files = (paths[0].as_path(), paths[1].as_path(), paths[2].as_path());
    let node = first.bearer();
    let own = first.public_key().unwrap();
    let renewed = signer.certify(node, &own, LIFE * 2, &first).unwrap();
    let identity = pki::replace_certificate(files, &renewed.pem).unwrap();
    assert!(identity.not_after() > first.not_after());
    assert_eq!(load(&dir).not_after(), identity.not_after());
    let stranger = NodeKey::generate().unwrap();
    let wrong = signer
        .certify(node, stranger.public(), LIFE, &first)
        .unwrap();
    pki::replace_certificate(files, &wrong.pem).unwrap_err();
    assert_eq!(load(&dir).not_after(), identity.not_after());
}

#[test]
fn nothing_is_installed_that_does_not_fit_together() {
    let world = World::new();
    let (signer, first) = (world.signer(), world.first());
    let (key, other) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    let certified = signer
        .certify(member([7; 16], "second"), other.public(), LIFE, &first)
        .unwrap();
    let dir = world.files("second");
    pki::install(&dir, &key, &certified.pem, &first.authorities_pem()).unwrap_err();
    let left: Vec<_> = fs::read_dir(world.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("second"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let error = pki::install(&world.files("first"), &key, "", "").unwrap_err();
    assert!(matches!(error, PkiError::Exists { .. }), "{error}");
}

#[test]
fn a_node_is_known_by_the_fingerprint_of_its_authority() {
    let world = World::new();
    let (signer, first, key) = (world.signer(), world.first(), NodeKey::generate().unwrap());
    let certified = signer
        .certify(member([7; 16], "second"), key.public(), LIFE, &first)
        .unwrap();
    let mut shown = chain(&certified.pem);
    let leaf = shown.remove(0);
    let pin = Fingerprint::of(&first.authorities()[0]);
    assert_eq!(
        Pinned::judge(pin, &leaf, &shown).unwrap_err(),
        PinError::OtherCluster,
        "it does not show the authority"
    );
    shown.push(first.authorities()[0].clone());
    let found = Pinned::judge(pin, &leaf, &shown).unwrap();
    assert_eq!(
        (found.cluster, found.name.as_str()),
        (first.cluster(), "second")
    );
    // Somebody who shows the right authority, and a certificate by another one.
    let other = World::new();
    let forged = other
        .signer()
        .certify(
            member([7; 16], "second"),
            key.public(),
            LIFE,
            &other.first(),
        )
        .unwrap();
    let mut forged = chain(&forged.pem);
    let leaf = forged.remove(0);
    forged.push(first.authorities()[0].clone());
    assert_eq!(
        Pinned::judge(pin, &leaf, &forged).unwrap_err(),
        PinError::Untrusted
    );
}

#[test]
fn while_an_authority_is_replaced_a_node_knows_which_one_is_its_own() {
    let world = World::new();
    let before = world.first();
    assert_eq!(before.own_authority(), before.authorities().first());
    pki::rotate(&world.files("ca")).unwrap();
    fs::copy(world.files("ca/ca.pem"), world.files("first/ca.pem")).unwrap();
    let between = world.first();
    assert_eq!(between.authorities().len(), 2);
    assert_eq!(between.own_authority(), before.authorities().first());
    pki::renew(&world.files("ca"), "first", &world.files("first"), LIFE).unwrap();
    let after = world.first();
    assert_eq!(after.own_authority(), after.authorities().first());
    assert_ne!(after.own_authority(), between.own_authority());
}

#[test]
fn an_observer_is_one_in_its_certificate_and_stays_one() {
    let world = World::new();
    let (signer, first, key) = (world.signer(), world.first(), NodeKey::generate().unwrap());
    let bearer = pki::Bearer {
        role: pki::Role::Observer,
        ..member([7; 16], "watch")
    };
    let certified = signer.certify(bearer, key.public(), LIFE, &first).unwrap();
    let dir = world.files("watch");
    let identity = pki::install(&dir, &key, &certified.pem, &first.authorities_pem()).unwrap();
    assert_eq!(identity.bearer(), bearer);
    assert_eq!(first.role(), pki::Role::Member);
    // By the cluster's own key, and renewed with it.
    let (ca, out) = (world.files("ca"), world.files("watch2"));
    let role = pki::Role::Observer;
    assert_eq!(
        pki::issue(&ca, ("watch2", role), &out, LIFE).unwrap().role,
        role
    );
    assert_eq!(pki::renew(&ca, "watch2", &out, LIFE).unwrap().role, role);
    assert_eq!(load(&out).role(), role);
    let issued = pki::list(&ca).unwrap();
    let roles: Vec<_> = issued
        .iter()
        .map(|one| (one.name.as_str(), one.role))
        .collect();
    assert_eq!(roles, [("first", pki::Role::Member), ("watch2", role)]);
}
