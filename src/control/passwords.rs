//! Passwords of people: which may be, and their argon2id hashes, made away from the threads that answer.
//!
//! Never keeps a password, and never tells by time whether an address is known.

use std::sync::Arc;
use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use super::{Fault, draw};
use crate::problem::{Code, Refusal};

/// Shortest and longest password, in characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 12..=128;

/// Memory of one hash in KiB, passes over it, lanes: OWASP's first choice for argon2id.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// Hashes made at once, and those that may wait for it.
const AT_ONCE: usize = 2;
const WAITING: usize = 32;

/// A password as somebody gave it. Has neither `Debug` nor `Display`.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// From what was typed.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Refuses what is too short or long, or is the address itself.
    pub(super) fn check(&self, email: &str) -> Result<(), Fault> {
        let wrong = |wrong: &str| Err(Refusal::field(Code::InvalidAttribute, "password", wrong).into());
        let length = self.0.chars().count();
        if !LENGTHS.contains(&length) {
            return wrong(&format!("a password has {} to {} characters", LENGTHS.start(), LENGTHS.end()));
        }
        if self.0.to_lowercase() == email.to_lowercase() {
            return wrong("a password must not be the email address");
        }
        Ok(())
    }
}

/// Where hashes are made: few at once, since each takes 19 MiB and a core.
#[derive(Debug)]
pub(super) struct Mill {
    places: Semaphore,
    queue: Semaphore,
}

impl Mill {
    pub(super) fn new() -> Self {
        Self { places: Semaphore::new(AT_ONCE), queue: Semaphore::new(AT_ONCE + WAITING) }
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
        let _queued = self.queue.try_acquire().map_err(|_| {
            let detail = "Too many people sign in at this moment; try again.";
            Refusal { retry_after: Some(2), ..Refusal::new(Code::RateLimited, detail) }
        })?;
        let _place = self.places.acquire().await.map_err(|_| Fault::Stopping)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| Fault::Stopping)
    }

    /// The hash of a password, in PHC form.
    pub(super) async fn hash(&self, password: &Password) -> Result<String, Fault> {
        let password = password.clone();
        self.run(move || hash(&password)).await?
    }

    /// Whether a password is the one of a hash. Without a hash it does the same work and says no.
    pub(super) async fn verify(&self, password: &Password, hash: Option<&str>) -> Result<bool, Fault> {
        let (password, hash) = (password.clone(), hash.map(str::to_owned));
        self.run(move || {
            let known = hash.is_some();
            let phc = hash.or_else(|| DUMMY.clone()).unwrap_or_default();
            verifies(&password, &phc) && known
        })
        .await
    }
}

/// What unknown addresses are checked against.
static DUMMY: LazyLock<Option<String>> = LazyLock::new(|| hash(&Password::new("nobody has this one".into())).ok());

fn argon() -> Result<Argon2<'static>, Fault> {
    let failed = |_| Refusal::new(Code::InternalError, "The password can't be hashed.");
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).map_err(failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hash of a password, in PHC form, on this very thread.
pub(super) fn hash(password: &Password) -> Result<String, Fault> {
    let salt = draw::bytes::<16>()?;
    let hash: Result<PasswordHash, _> = argon()?.hash_password_with_salt(password.0.as_bytes(), &salt);
    let failed = |_| Refusal::new(Code::InternalError, "The password can't be hashed.");
    Ok(hash.map_err(failed)?.to_string())
}

fn verifies(password: &Password, phc: &str) -> bool {
    // The parameters of the hash count, so that dearer ones can come later.
    let Ok(hash) = PasswordHash::new(phc) else { return false };
    argon().is_ok_and(|argon| argon.verify_password(password.0.as_bytes(), &hash).is_ok())
}

/// A mill for all.
pub(super) fn shared() -> Arc<Mill> {
    // Made before anybody asks, so that the first unknown address takes no longer than others.
    LazyLock::force(&DUMMY);
    Arc::new(Mill::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_verifies() {
        let right = Password::new("correct horse battery".into());
        let phc = hash(&right).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(verifies(&right, &phc) && !verifies(&Password::new("correct horse batterz".into()), &phc));
        assert_ne!(phc, hash(&right).unwrap());
    }

    #[test]
    fn what_may_be_a_password() {
        let check = |text: &str| Password::new(text.into()).check("someone@example.com").is_ok();
        assert!(check("twelve chars") && check(&"é".repeat(128)));
        assert!(!check("eleven char") && !check(&"x".repeat(129)) && !check("Someone@Example.com"));
    }
}
