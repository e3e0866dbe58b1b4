//! HA1s of API keys. Never repeats one: it is as good as a password.

use std::sync::Arc;

use super::credentials::unhex;
use super::{At, Resolve, raw};
use crate::access::digest_secret::{DigestSecret, MOST_SECRETS, REALM_FORM, is_realm};
use crate::config::document::Step;

impl Resolve<'_> {
    /// HA1s, each with the position of the secret that it is of; `secrets` is how many there are.
    pub(super) fn digests(&mut self, at: At, raw: &raw::Digests, secrets: usize) -> Vec<(DigestSecret, usize)> {
        let made = self.ha1s(at, raw);
        let mut taken: Vec<(DigestSecret, usize)> = Vec::with_capacity(made.len());
        for (position, digest, named) in made {
            let of = named.map_or(position, |number| usize::from(number).wrapping_sub(1));
            // Where no number is given, a file may hold HA1s of a secret that is no more.
            let is_there = named.is_none() || of < secrets;
            if !is_there || taken.iter().any(|(_, other)| *other == of) {
                let message = "`secret` is the number of a hash in `secret_sha256`, from 1, and no two HA1s are of one";
                self.fault(at.key("digest"), message);
            }
            taken.push((digest, of));
        }
        taken
    }

    fn ha1s(&mut self, at: At, raw: &raw::Digests) -> Vec<(usize, DigestSecret, Option<u8>)> {
        match raw {
            raw::Digests::One(one) => {
                self.digest(at, None, one).map(|digest| (0, digest, one.secret)).into_iter().collect()
            }
            raw::Digests::Several(digests) => {
                if !(1..=MOST_SECRETS).contains(&digests.len()) {
                    self.fault(
                        at.key("digest"),
                        "`digest` is one pair of HA1s, or two while a secret is being replaced",
                    );
                }
                let made = digests.iter().enumerate();
                made.filter_map(|(index, one)| Some((index, self.digest(at, Some(index), one)?, one.secret))).collect()
            }
        }
    }

    fn digest(&mut self, at: At, index: Option<usize>, raw: &raw::Digest) -> Option<DigestSecret> {
        let spot = |key: Option<&str>| {
            at.spot(std::iter::once(Step::from("digest")).chain(index.map(Step::from)).chain(key.map(Step::from)))
        };
        let realm = &raw.realm;
        if !is_realm(realm) {
            self.fault(spot(Some("realm")), format!("a realm is {REALM_FORM}"));
        }
        let (mut sha256, mut md5) = ([0; 32], [0; 16]);
        if raw.sha256.as_ref().is_some_and(|text| !unhex(text, &mut sha256)) {
            let message = "this is not 64 hexadecimal characters; `portcullis hash --digest` makes it";
            self.fault(spot(Some("sha256")), message);
        }
        if raw.md5.as_ref().is_some_and(|text| !unhex(text, &mut md5)) {
            let message = "this is not 32 hexadecimal characters; `portcullis hash --digest` makes it";
            self.fault(spot(Some("md5")), message);
        }
        if raw.sha256.is_none() && raw.md5.is_none() {
            if !["sha256", "md5"].iter().any(|key| self.lost_at(&spot(Some(key)))) {
                let message = "`digest` has neither `sha256` nor `md5`; `portcullis hash --digest` makes both";
                self.fault(spot(None), message);
            }
            return None;
        }
        let (sha256, md5) = (raw.sha256.as_ref().map(|_| sha256), raw.md5.as_ref().map(|_| md5));
        Some(DigestSecret { realm: Arc::from(&**realm), sha256, md5 })
    }
}
