//! Passwords of people: argon2id (RFC 9106) with its own salt. Hashing takes tens of milliseconds of a core, so a few
//! threads do it that stand back behind all others.

use std::collections::VecDeque;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::thread;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::oneshot;

use crate::catalog::field::Invalid;

/// As many hashes at once, or as many as there are cores: a flood of logins must leave cores to the checks.
const MOST_HASHERS: usize = 2;
/// How far the threads stand back where cores are scarce, as `nice` counts (0 to 19): each then gets about a seventieth
/// of a core that is wanted for checks, so that a login takes some seconds there.
const NICENESS: i32 = 19;

type Work = Box<dyn FnOnce() + Send>;

/// Who waits for a hash. A flood of logins must not hold up people who are signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    SignedIn,
    Login,
}

/// What waits for the threads.
#[derive(Default)]
struct Queue {
    lanes: Mutex<Lanes>,
    has_work: Condvar,
}

#[derive(Default)]
struct Lanes {
    signed_in: VecDeque<Work>,
    logins: VecDeque<Work>,
}

impl Queue {
    fn push(&self, lane: Lane, work: Work) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        match lane {
            Lane::SignedIn => lanes.signed_in.push_back(work),
            Lane::Login => lanes.logins.push_back(work),
        }
        self.has_work.notify_one();
    }

    /// Waits for the next; logins come last.
    fn pop(&self) -> Work {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let next = lanes.signed_in.pop_front();
            if let Some(work) = next.or_else(|| lanes.logins.pop_front()) {
                return work;
            }
            lanes = self.has_work.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The way to the threads, which are started with the first hash.
static QUEUE: LazyLock<Arc<Queue>> = LazyLock::new(start_hashers);

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

/// The length of a password in characters.
const LENGTH: RangeInclusive<usize> = 10..=256;

/// A password that may be set: 10 to 256 characters.
pub fn parse_password(text: &str) -> Result<&str, Invalid> {
    if LENGTH.contains(&text.chars().count()) {
        Ok(text)
    } else {
        Err(Invalid::new("must be 10 to 256 characters long"))
    }
}

pub async fn hash_password(password: String) -> PasswordHash {
    on_hasher(Lane::SignedIn, move || PasswordHash(hash(&password))).await
}

/// Verifies the password of a login.
pub async fn verify_password(password: String, stored: PasswordHash) -> bool {
    may_be_set(&password) && on_hasher(Lane::Login, move || matches(&password, &stored)).await
}

/// Verifies the password of somebody who is signed in, before those of logins.
pub async fn verify_own_password(password: String, stored: PasswordHash) -> bool {
    on_hasher(Lane::SignedIn, move || matches(&password, &stored)).await
}

/// Takes as long as [`verify_password`], and never succeeds.
pub async fn verify_unknown(password: String) {
    if may_be_set(&password) {
        on_hasher(Lane::Login, move || matches(&password, &NOBODY)).await;
    }
}

/// A login may bring a megabyte, which must neither wait in the queue nor be hashed.
fn may_be_set(password: &str) -> bool {
    password.chars().take(LENGTH.end() + 1).count() <= *LENGTH.end()
}

async fn on_hasher<T: Send + 'static>(lane: Lane, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = oneshot::channel();
    QUEUE.push(lane, Box::new(move || tell_unless_gone(tell, work)));
    told.await.expect("hashing does not panic")
}

/// Nothing is hashed for a caller who has gone: after a flood of logins the queue must be short again at once.
fn tell_unless_gone<T>(tell: oneshot::Sender<T>, work: impl FnOnce() -> T) {
    if !tell.is_closed() {
        // The caller may go meanwhile.
        let _ = tell.send(work());
    }
}

fn start_hashers() -> Arc<Queue> {
    let queue = Arc::new(Queue::default());
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    for _ in 0..MOST_HASHERS.min(cores) {
        let queue = queue.clone();
        thread::Builder::new()
            .name("password-hasher".to_owned())
            .spawn(move || hash_for_ever(&queue))
            .expect("the system lets threads be started");
    }
    queue
}

fn hash_for_ever(queue: &Queue) -> ! {
    stand_back();
    loop {
        let work = queue.pop();
        // Whoever waits for this hash gets no answer, but the thread goes on for the others.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(work));
    }
}

/// Linux keeps a priority for each thread; elsewhere it is the whole process's, which must not stand back.
fn stand_back() {
    // Without it hashing works too.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_hashed_for_a_caller_who_has_gone() {
        let (tell, told) = oneshot::channel();
        drop(told);
        tell_unless_gone(tell, || panic!("the work is done"));
        let (tell, mut told) = oneshot::channel();
        tell_unless_gone(tell, || 1);
        assert_eq!(told.try_recv(), Ok(1));
    }

    #[tokio::test]
    async fn a_password_that_is_too_long_to_be_one_is_not_hashed() {
        let stored = hash_password("x".repeat(257)).await;
        assert!(!verify_password("x".repeat(257), stored).await);
        let stored = hash_password("店".repeat(256)).await;
        assert!(verify_password("店".repeat(256), stored).await);
    }
}
