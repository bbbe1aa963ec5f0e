//! Passwords of people: argon2id (RFC 9106) with its own salt. Hashing takes tens of milliseconds of a core, so it
//! runs on the blocking pool, and only a few at a time.

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::catalog::field::Invalid;

/// Two hashes at once: a flood of logins must leave cores to the checks.
static PERMITS: Semaphore = Semaphore::const_new(2);

/// What a password is compared with when there is no such person, so that both take as long.
static NOBODY: LazyLock<PasswordHash> = LazyLock::new(|| PasswordHash(hash("nobody has this password")));

/// The text form of a hash (PHC string).
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A password that may be set: 10 to 256 characters.
pub fn parse_password(text: &str) -> Result<&str, Invalid> {
    if (10..=256).contains(&text.chars().count()) {
        Ok(text)
    } else {
        Err(Invalid::new("must be 10 to 256 characters long"))
    }
}

pub async fn hash_password(password: String) -> PasswordHash {
    blocking(move || PasswordHash(hash(&password))).await
}

pub async fn verify_password(password: String, stored: PasswordHash) -> bool {
    blocking(move || matches(&password, &stored)).await
}

/// Takes as long as [`verify_password`], and never succeeds.
pub async fn verify_unknown(password: String) {
    blocking(move || matches(&password, &NOBODY)).await;
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let _permit = PERMITS.acquire().await;
    tokio::task::spawn_blocking(work)
        .await
        .expect("hashing neither panics nor is cancelled")
}

fn hash(password: &str) -> String {
    Argon2::default()
        .hash_password(password.as_bytes())
        .expect("the default parameters are valid and any password can be hashed")
        .to_string()
}

fn matches(password: &str, stored: &PasswordHash) -> bool {
    Phc::new(stored.as_str()).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}
