//! What is taken from a published key set, and a forge for the tokens of other tests.

use aws_lc_rs::encoding::{AsBigEndian as _, EcPublicKeyUncompressedBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// A key pair that signs tokens and shows its public half as a JWK.
pub(crate) enum Forge {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Forge {
    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn p384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let point = |crv: &str, pair: &EcdsaKeyPair| {
            let public: EcPublicKeyUncompressedBin<'_> = pair.public_key().as_be_bytes().unwrap();
            let (x, y) = public.as_ref()[1..].split_at(public.as_ref().len() / 2);
            json!({ "kty": "EC", "crv": crv, "kid": kid, "x": BASE64.encode(x), "y": BASE64.encode(y) })
        };
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                json!({
                    "kty": "RSA", "kid": kid, "use": "sig",
                    "n": BASE64.encode(n.big_endian_without_leading_zero()),
                    "e": BASE64.encode(e.big_endian_without_leading_zero()),
                })
            }
            Self::P256(pair) => point("P-256", pair),
            Self::P384(pair) => point("P-384", pair),
            Self::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": BASE64.encode(pair.public_key()) })
            }
        }
    }

    /// The bytes of the public key, as an attacker would use them for a secret.
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Self::P256(pair) | Self::P384(pair) => pair.public_key().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    fn sign(&self, message: &[u8], pss: bool) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding: &dyn aws_lc_rs::signature::RsaEncoding =
                    if pss { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256(pair) | Self::P384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A signed token with any header and any claims.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let signature = self.sign(message.as_bytes(), header["alg"].as_str().is_some_and(|alg| alg.starts_with("PS")));
        format!("{message}.{}", BASE64.encode(signature))
    }
}

/// Header and claims of a token, before the last dot.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}

/// A key set of these keys.
pub(crate) fn set(keys: &[Value], fetched_at: Timestamp) -> Result<KeySet, KeySetFault> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), fetched_at)
}

fn with(mut jwk: Value, member: &str, value: Value) -> Value {
    jwk[member] = value;
    jwk
}

#[test]
fn keys_suit_the_algorithms_of_their_shape() {
    use JwtAlgorithm as A;
    let all = [A::RS256, A::RS384, A::RS512, A::PS256, A::PS384, A::PS512, A::ES256, A::ES384, A::EdDSA];
    for (forge, suits) in [
        (Forge::rsa(), &all[..6]),
        (Forge::p256(), &[A::ES256][..]),
        (Forge::p384(), &[A::ES384][..]),
        (Forge::ed25519(), &[A::EdDSA][..]),
    ] {
        let keys = set(&[forge.jwk("a")], NOW).unwrap();
        for algorithm in all {
            let expected = usize::from(suits.contains(&algorithm));
            assert_eq!(keys.candidates(Some("a"), algorithm).count(), expected, "{algorithm:?}");
            assert_eq!(keys.candidates(None, algorithm).count(), expected, "{algorithm:?}");
            assert_eq!(keys.candidates(Some("b"), algorithm).count(), 0);
        }
    }
    let pinned = set(&[with(Forge::rsa().jwk("a"), "alg", json!("RS256"))], NOW).unwrap();
    assert_eq!(pinned.candidates(Some("a"), A::RS256).count(), 1);
    assert_eq!(pinned.candidates(Some("a"), A::PS256).count(), 0);
}

#[test]
fn without_kid_only_a_single_key_will_do() {
    let (one, two, rsa) = (Forge::p256().jwk("one"), Forge::p256().jwk("two"), Forge::rsa().jwk("rsa"));
    let keys = set(&[one, two, rsa], NOW).unwrap();
    assert_eq!(keys.candidates(None, JwtAlgorithm::ES256).count(), 0);
    assert_eq!(keys.candidates(None, JwtAlgorithm::RS256).count(), 1);
    assert_eq!(keys.candidates(Some("one"), JwtAlgorithm::ES256).count(), 1);
    assert!(keys.knows("two") && !keys.knows("../two"));
}

#[test]
fn what_does_not_verify_signatures_is_left_out() {
    let good = Forge::p256().jwk("good");
    let weak = json!({ "kty": "RSA", "kid": "weak", "n": BASE64.encode([0xff; 128]), "e": "AQAB" });
    let padded =
        json!({ "kty": "RSA", "kid": "zeros", "n": BASE64.encode([&[0; 256][..], &[1]].concat()), "e": "AQAB" });
    for other in [
        weak,
        padded,
        json!({ "kty": "oct", "kid": "secret", "k": "c2VjcmV0" }),
        json!({ "kty": "oct", "alg": "HS256", "k": "c2VjcmV0" }),
        json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" }),
        json!({ "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" }),
        json!({ "kty": "OKP", "crv": "X25519", "x": "AA" }),
        json!({ "kty": "AKP", "alg": "ML-DSA-65", "pub": "AA" }),
        with(Forge::rsa().jwk("enc"), "use", json!("enc")),
        with(Forge::p256().jwk("ops"), "key_ops", json!(["sign"])),
        with(Forge::rsa().jwk("oaep"), "alg", json!("RSA-OAEP-256")),
        with(Forge::rsa().jwk("hmac"), "alg", json!("HS256")),
    ] {
        assert_eq!(set(&[other.clone(), good.clone()], NOW).unwrap().len(), 1, "{other}");
        assert_eq!(set(std::slice::from_ref(&other), NOW).unwrap_err(), KeySetFault::NoUsableKey(1), "{other}");
    }
}

#[test]
fn broken_sets_are_refused() {
    for document in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]", "nonsense", "<html>"] {
        assert!(matches!(KeySet::parse(document.as_bytes(), NOW), Err(KeySetFault::NotAKeySet(_))), "{document}");
    }
    assert_eq!(set(&[], NOW).unwrap_err(), KeySetFault::NoUsableKey(0));
    let good = Forge::p256().jwk("good");
    for broken in [
        with(good.clone(), "x", json!("AA")),
        with(good.clone(), "x", json!("!")),
        with(good.clone(), "kid", json!(7)),
        json!({ "kty": "EC", "crv": "P-256", "x": "AA" }),
        json!({ "kty": "RSA", "e": "AQAB" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA" }),
        json!({ "kid": "no kind" }),
        json!("text"),
    ] {
        let fault = set(&[good.clone(), broken.clone()], NOW).unwrap_err();
        assert!(matches!(fault, KeySetFault::BrokenKey { position: 2, .. }), "{broken}: {fault}");
    }
    assert_eq!(set(&vec![good; MOST_KEYS + 1], NOW).unwrap_err(), KeySetFault::TooMany(MOST_KEYS + 1));
}

#[test]
fn age_and_generation() {
    let (one, two) = (Forge::p256().jwk("one"), Forge::p256().jwk("two"));
    let at = |seconds| Timestamp::from_unix_seconds(NOW.unix_seconds() + seconds);
    let keys = set(std::slice::from_ref(&one), NOW).unwrap();
    assert!(!keys.is_stale(at(24 * 3600)) && keys.is_stale(at(24 * 3600 + 1)) && !keys.is_stale(at(-10)));
    assert_eq!(keys.generation(), set(std::slice::from_ref(&one), at(5)).unwrap().generation());
    assert_ne!(keys.generation(), set(&[one, two], NOW).unwrap().generation());
}

#[test]
fn sets_are_found_by_the_issuer_alone() {
    let mut sets = KeySets::default();
    sets.insert("https://one", set(&[Forge::p256().jwk("a")], NOW).unwrap());
    assert!(sets.of("https://one").is_some() && sets.of("https://one/").is_none());
    assert!(sets.retain(|issuer| issuer == "https://two"));
    assert!(sets.of("https://one").is_none() && !sets.retain(|_| true));
}

#[test]
fn debug_shows_no_key() {
    let shown = format!("{:?}", set(&[Forge::p256().jwk("kid-one")], NOW).unwrap());
    assert_eq!(shown, "KeySet { keys: 1, fetched_at: Timestamp(1800000000) }");
}
