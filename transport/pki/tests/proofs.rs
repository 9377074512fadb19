//! What nodes have signed, as other nodes judge it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use pki::{By, Identity, Proofs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
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
        let signer = beta.signer((&chain, By::Now), b"said", &proof).unwrap();
        assert_eq!(signer.name, "alpha");
    }
    assert_eq!(proof, alpha.sign(b"said").unwrap(), "it is deterministic");
    assert!(beta.signer((&chain, By::Now), b"Said", &proof).is_none());
    assert!(
        beta.signer((&beta.chain(), By::Now), b"said", &proof)
            .is_none()
    );
    for cut in [0, 1, 2, proof.len() - 1] {
        assert!(
            beta.signer((&chain, By::Now), b"said", &proof[..cut])
                .is_none()
        );
    }
    for cut in [0, 3, 4, chain.len() - 1] {
        assert!(
            beta.signer((&chain[..cut], By::Now), b"said", &proof)
                .is_none()
        );
    }
    let longer = [&chain[..], &[0]].concat();
    assert!(beta.signer((&longer, By::Now), b"said", &proof).is_none());
    assert!(
        beta.signer((&chain.repeat(4), By::Now), b"said", &proof)
            .is_some()
    );
    assert!(
        beta.signer((&chain.repeat(5), By::Now), b"said", &proof)
            .is_none()
    );
    let stranger = node(&dir, "other", "gamma", pki::NODE_LIFE);
    assert!(
        stranger
            .signer((&chain, By::Now), b"said", &proof)
            .is_none()
    );
    assert!(stranger.cluster() != beta.cluster());
}

#[test]
fn a_certificate_proves_after_its_end_what_was_signed_with_it() {
    let dir = TempDir::new().unwrap();
    let beta = node(&dir, "ca", "beta", pki::NODE_LIFE);
    let brief = node(&dir, "ca", "brief", Duration::from_secs(1));
    let (chain, proof) = (brief.chain(), brief.sign(b"said").unwrap());
    sleep(Duration::from_millis(2_100));
    assert!(beta.signer((&chain, By::Now), b"said", &proof).is_some());
}

#[test]
fn a_node_signs_with_its_latest_certificate_and_trusts_its_latest_authorities() {
    let dir = TempDir::new().unwrap();
    let alpha = node(&dir, "ca", "alpha", pki::NODE_LIFE);
    let beta = node(&dir, "ca", "beta", pki::NODE_LIFE);
    let (chain, proof) = (alpha.chain(), alpha.sign(b"said").unwrap());
    assert!(beta.signer((&chain, By::Now), b"said", &proof).is_some());
    let other = node(&dir, "other", "gamma", pki::NODE_LIFE);
    beta.reload(load(&dir.path().join("gamma")));
    assert!(beta.signer((&chain, By::Now), b"said", &proof).is_none());
    assert_eq!(beta.chain(), other.chain());
}

fn retire(ca: &std::path::Path) -> Result<usize, pki::PkiError> {
    pki::retire(ca, pki::Unrenewed::Refuse)
}

#[test]
fn by_a_former_authority_only_what_is_kept_for_ever_is_judged() {
    let dir = TempDir::new().unwrap();
    let ca = dir.path().join("ca");
    let alpha = node(&dir, "ca", "alpha", pki::NODE_LIFE);
    let (chain, proof) = (alpha.chain(), alpha.sign(b"said").unwrap());
    assert_eq!(retire(&ca).unwrap(), 0, "there is but one");
    for _ in 0..2 {
        pki::rotate(&ca).unwrap();
    }
    let refused = retire(&ca).unwrap_err();
    assert!(
        refused.to_string().contains("certificates of alpha that"),
        "{refused}"
    );
    let shut_out = pki::retire(&ca, pki::Unrenewed::ShutOut);
    assert_eq!(shut_out.unwrap(), 2);
    let beta = node(&dir, "ca", "beta", pki::NODE_LIFE);
    assert!(beta.signer((&chain, By::Now), b"said", &proof).is_none());
    let signer = beta.signer((&chain, By::Ever), b"said", &proof).unwrap();
    assert_eq!(signer.name, "alpha");
    assert!(beta.signer((&chain, By::Now), b"said", &proof).is_none());
    assert!(beta.signer((&chain, By::Ever), b"Said", &proof).is_none());
    let stranger = node(&dir, "other", "gamma", pki::NODE_LIFE);
    let (chain, proof) = (stranger.chain(), stranger.sign(b"said").unwrap());
    assert!(beta.signer((&chain, By::Ever), b"said", &proof).is_none());
}

#[test]
fn who_joins_later_is_told_of_the_former_authorities_too() {
    let dir = TempDir::new().unwrap();
    let ca = dir.path().join("ca");
    pki::init(&ca).unwrap();
    pki::rotate(&ca).unwrap();
    retire(&ca).unwrap();
    let beta = dir.path().join("beta");
    pki::issue(&ca, ("beta", pki::Role::Member), &beta, pki::NODE_LIFE).unwrap();
    let identity = load(&beta);
    assert_eq!(
        (
            identity.authorities().len(),
            identity.former_authorities().len()
        ),
        (1, 1)
    );
    std::fs::write(beta.join("ca.pem"), identity.authorities_pem()).unwrap();
    assert_eq!(
        load(&beta).former_authorities(),
        identity.former_authorities()
    );
    // Another authority is added before the former ones, and a second one is retired.
    pki::rotate(&ca).unwrap();
    assert!(retire(&ca).is_err());
    std::fs::copy(ca.join("ca.pem"), beta.join("ca.pem")).unwrap();
    pki::renew(&ca, "beta", &beta, pki::NODE_LIFE).unwrap();
    assert_eq!(retire(&ca).unwrap(), 1);
    std::fs::copy(ca.join("ca.pem"), beta.join("ca.pem")).unwrap();
    assert_eq!(load(&beta).former_authorities().len(), 2);
}

/// An authority for nodes below the cluster's own in `ca`.
fn signer(dir: &TempDir, ca: &str, out: &str) -> pki::Signer {
    let out = dir.path().join(out);
    pki::delegate(&dir.path().join(ca), "alpha", &out, pki::SIGNER_LIFE).unwrap();
    pki::Signer::load(&out).unwrap().unwrap()
}

#[test]
fn only_an_authority_of_the_cluster_signs_as_one() {
    let dir = TempDir::new().unwrap();
    let beta = node(&dir, "ca", "beta", pki::NODE_LIFE);
    let below = signer(&dir, "ca", "below");
    let proof = below.sign(b"said").unwrap();
    assert!(beta.is_of_authority(&below.chain(), b"said", &proof));
    assert!(!beta.is_of_authority(&below.chain(), b"Said", &proof));
    assert!(!beta.is_of_authority(&below.chain(), b"said", &proof[..proof.len() - 1]));
    assert!(!beta.is_of_authority(&[], b"said", &proof));

    // A node signs for itself only.
    let alpha = node(&dir, "ca", "alpha", pki::NODE_LIFE);
    let own = alpha.sign(b"said").unwrap();
    assert!(!beta.is_of_authority(&alpha.chain(), b"said", &own));

    // One of another cluster.
    node(&dir, "other", "gamma", pki::NODE_LIFE);
    let foreign = signer(&dir, "other", "foreign");
    let proof = foreign.sign(b"said").unwrap();
    assert!(!beta.is_of_authority(&foreign.chain(), b"said", &proof));

    // One that says that it is of this cluster, below an authority that nobody here trusts.
    let forged = dir.path().join("forged");
    std::fs::create_dir(&forged).unwrap();
    for file in ["ca.pem", "ca.key"] {
        std::fs::copy(dir.path().join("ca").join(file), forged.join(file)).unwrap();
    }
    pki::rotate(&forged).unwrap();
    let untrusted = signer(&dir, "forged", "untrusted");
    let proof = untrusted.sign(b"said").unwrap();
    assert!(!beta.is_of_authority(&untrusted.chain(), b"said", &proof));
    // The authority that is trusted, with the signature of the one that is not.
    assert!(!beta.is_of_authority(&below.chain(), b"said", &proof));
}

#[test]
fn only_the_clusters_own_authority_signs_as_such() {
    let dir = TempDir::new().unwrap();
    let beta = node(&dir, "ca", "beta", pki::NODE_LIFE);
    let root = pki::Root::load(&dir.path().join("ca")).unwrap();
    let proof = root.sign(b"said").unwrap();
    assert_eq!(root.cluster(), beta.cluster());
    assert!(beta.is_of_root(&root.chain(), b"said", &proof));
    assert!(!beta.is_of_root(&root.chain(), b"Said", &proof));
    let below = signer(&dir, "ca", "below");
    let proof = below.sign(b"said").unwrap();
    assert!(beta.is_of_authority(&below.chain(), b"said", &proof));
    assert!(!beta.is_of_root(&below.chain(), b"said", &proof));
    assert!(!beta.is_of_root(&root.chain(), b"said", &proof));
    node(&dir, "other", "gamma", pki::NODE_LIFE);
    let foreign = pki::Root::load(&dir.path().join("other")).unwrap();
    let proof = foreign.sign(b"said").unwrap();
    assert!(!beta.is_of_root(&foreign.chain(), b"said", &proof));
}

#[test]
fn a_renewed_authority_keeps_its_mark_and_name() {
    let dir = TempDir::new().unwrap();
    node(&dir, "ca", "beta", pki::NODE_LIFE);
    let below = signer(&dir, "ca", "below");
    let again = signer(&dir, "ca", "below");
    assert_ne!(below.chain(), again.chain());
    assert_eq!(below.key_mark(), again.key_mark());
    let [known] = pki::intermediates(&again.chain()).try_into().unwrap();
    let pki::Intermediate { key, name, .. } = known;
    assert_eq!((key, name.as_str()), (below.key_mark(), "alpha"));
    assert_eq!(pki::marks(&again.chain()).unwrap().key, key);
    let root = pki::Root::load(&dir.path().join("ca")).unwrap();
    assert!(pki::intermediates(&root.chain()).is_empty());
    assert!(pki::marks(b"rubbish").is_none());
}

/// The certificate of a host that an authority below the cluster's own lets in, in PEM.
fn certified(by: &pki::Signer, identity: &Identity, name: &str) -> String {
    let bearer = pki::Bearer {
        id: [7; 16],
        name,
        role: pki::Role::Member,
    };
    let key = pki::NodeKey::generate().unwrap();
    let certified = by.certify(bearer, key.public(), pki::NODE_LIFE, identity);
    certified.unwrap().pem
}

#[test]
fn of_a_withdrawn_authority_only_the_named_certificates_are_good() {
    let dir = TempDir::new().unwrap();
    node(&dir, "ca", "alpha", pki::NODE_LIFE);
    let alpha = load(&dir.path().join("alpha"));
    let (stolen, other) = (signer(&dir, "ca", "stolen"), signer(&dir, "ca", "other"));
    let pems = [
        certified(&stolen, &alpha, "named"),
        certified(&stolen, &alpha, "thief"),
        certified(&other, &alpha, "beta"),
        std::fs::read_to_string(dir.path().join("alpha/node.pem")).unwrap(),
    ];
    let chain = |pem: &String| {
        let read = CertificateDer::pem_slice_iter(pem.as_bytes());
        let read = read.map(|der| der.unwrap());
        let length = |der: &CertificateDer<'_>| u32::try_from(der.len()).unwrap().to_be_bytes();
        let one = |der: CertificateDer<'_>| [&length(&der)[..], &der].concat();
        read.flat_map(one).collect::<Vec<u8>>()
    };
    let chains: Vec<Vec<u8>> = pems.iter().map(chain).collect();
    let mut withdrawn = pki::Withdrawn::default();
    assert!(!withdrawn.refuses_pem(&pems[1]));
    let good = pki::marks(&chains[0]).unwrap().certificate;
    withdrawn.add(stolen.key_mark(), [good]);
    let refused: Vec<bool> = pems.iter().map(|pem| withdrawn.refuses_pem(pem)).collect();
    assert_eq!(refused, [false, true, false, false]);
    let refused = chains.iter().map(|chain| withdrawn.refuses_chain(chain));
    assert!(refused.eq([false, true, false, false]));
    // A chain that is too long is none.
    let padded = [&chains[1][..], &[0, 0, 64, 0], &[0; 16 << 10]].concat();
    assert!(pki::marks(&padded).is_none());
}

#[test]
fn what_stands_above_a_certificate_is_told_apart_from_it() {
    let dir = TempDir::new().unwrap();
    let alpha = node(&dir, "ca", "alpha", pki::NODE_LIFE).chain();
    let (one, other) = (
        signer(&dir, "ca", "one").chain(),
        signer(&dir, "ca", "other").chain(),
    );
    let chain = [&alpha[..], &one, &other].concat();
    assert_eq!(Proofs::issuers(&chain), [&one[..], &other]);
    for none in [&alpha[..], &[], &chain[1..], &chain[..chain.len() - 1]] {
        assert_eq!(Proofs::issuers(none), [&[][..]; 0]);
    }
}
