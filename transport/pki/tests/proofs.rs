//! What nodes have signed, as other nodes judge it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use pki::{Identity, Proofs};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

fn node(dir: &TempDir, cluster: &str, name: &str, life: Duration) -> Proofs {
    let (ca, out) = (dir.path().join(cluster), dir.path().join(name));
    if !ca.exists() {
        pki::init(&ca).unwrap();
    }
    pki::issue(&ca, (name, pki::Role::Member), &out, life).unwrap();
    Proofs::new(load(&out))
}

fn load(dir: &Path) -> Identity {
    Identity::load(
        &dir.join("ca.pem"),
        &dir.join("node.pem"),
        &dir.join("node.key"),
    )
    .unwrap()
}

#[test]
fn a_proof_shows_who_has_signed_what() {
    let dir = TempDir::new().unwrap();
    let alpha = node(&dir, "ca", "alpha", pki::NODE_LIFE);
    let beta = node(&dir, "ca", "beta", pki::NODE_LIFE);
    let (chain, proof) = (alpha.chain(), alpha.sign(b"said").unwrap());
    for _ in 0..2 {
        let signer = beta.signer(&chain, b"said", &proof).unwrap();
        assert_eq!(signer.name, "alpha");
    }
    assert_eq!(proof, alpha.sign(b"said").unwrap(), "it is deterministic");
    assert!(beta.signer(&chain, b"Said", &proof).is_none());
    assert!(beta.signer(&beta.chain(), b"said", &proof).is_none());
    for cut in [0, 1, 2, proof.len() - 1] {
        assert!(beta.signer(&chain, b"said", &proof[..cut]).is_none());
    }
    for cut in [0, 3, 4, chain.len() - 1] {
        assert!(beta.signer(&chain[..cut], b"said", &proof).is_none());
    }
    let stranger = node(&dir, "other", "gamma", pki::NODE_LIFE);
    assert!(stranger.signer(&chain, b"said", &proof).is_none());
    assert!(stranger.cluster() != beta.cluster());
}

#[test]
fn a_certificate_proves_after_its_end_what_was_signed_with_it() {
    let dir = TempDir::new().unwrap();
    let beta = node(&dir, "ca", "beta", pki::NODE_LIFE);
    let brief = node(&dir, "ca", "brief", Duration::from_secs(1));
    let (chain, proof) = (brief.chain(), brief.sign(b"said").unwrap());
    sleep(Duration::from_millis(2_100));
    assert!(beta.signer(&chain, b"said", &proof).is_some());
}

#[test]
fn a_node_signs_with_its_latest_certificate_and_trusts_its_latest_authorities() {
    let dir = TempDir::new().unwrap();
    let alpha = node(&dir, "ca", "alpha", pki::NODE_LIFE);
    let beta = node(&dir, "ca", "beta", pki::NODE_LIFE);
    let (chain, proof) = (alpha.chain(), alpha.sign(b"said").unwrap());
    assert!(beta.signer(&chain, b"said", &proof).is_some());
    let other = node(&dir, "other", "gamma", pki::NODE_LIFE);
    beta.reload(load(&dir.path().join("gamma")));
    assert!(beta.signer(&chain, b"said", &proof).is_none());
    assert_eq!(beta.chain(), other.chain());
}
