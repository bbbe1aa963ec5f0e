//! Passwords of users: argon2id (RFC 9106), each with its own salt. Hashing takes tens of milliseconds of a core, so a
//! few threads of lowest priority do it.

use std::collections::VecDeque;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::thread;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::oneshot;

use crate::thread_priority;
use slipway_domain::catalog::field::Invalid;

/// Maximum number of hashing threads, limited by the number of cores. A flood of logins must leave cores to the checks.
const MAX_HASHERS: usize = 2;
/// Niceness of the threads (0 to 19). If cores are scarce, each thread gets about a seventieth of a core that is needed
/// for checks, so that a login takes some seconds.
const NICENESS: i32 = 19;

type Work = Box<dyn FnOnce() + Send>;

/// Priority of a hash. A flood of logins must not delay users who are signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HashPriority {
    SignedIn,
    Login,
}

/// Work queued for the threads.
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
    fn push(&self, priority: HashPriority, work: Work) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        match priority {
            HashPriority::SignedIn => lanes.signed_in.push_back(work),
            HashPriority::Login => lanes.logins.push_back(work),
        }
        self.has_work.notify_one();
    }

    /// Waits for the next work item; logins come last.
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

/// Queue of the threads, which are started with the first hash.
static QUEUE: LazyLock<Arc<Queue>> = LazyLock::new(start_hashers);

/// Hash to compare with if the user does not exist, so that both cases take the same time.
static DUMMY_HASH: LazyLock<PasswordHash> = LazyLock::new(|| PasswordHash(hash("nobody has this password")));

/// Text form of a hash (PHC string).
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

/// Valid length of a password in characters.
const LENGTH: RangeInclusive<usize> = 10..=256;

/// Validates a password to be set: 10 to 256 characters.
pub fn parse_password(text: &str) -> Result<&str, Invalid> {
    if LENGTH.contains(&text.chars().count()) {
        Ok(text)
    } else {
        Err(Invalid::new("must be 10 to 256 characters long"))
    }
}

pub async fn hash_password(password: String) -> PasswordHash {
    run_on_hasher(HashPriority::SignedIn, move || PasswordHash(hash(&password))).await
}

/// Verifies the password of a login.
pub async fn verify_password(password: String, stored: PasswordHash) -> bool {
    is_within_length(&password)
        && run_on_hasher(HashPriority::Login, move || matches(&password, &stored)).await
}

/// Verifies the password of a user who is signed in, before those of logins.
pub async fn verify_own_password(password: String, stored: PasswordHash) -> bool {
    run_on_hasher(HashPriority::SignedIn, move || matches(&password, &stored)).await
}

/// Takes as long as [`verify_password`], and never succeeds.
pub async fn verify_dummy(password: String) {
    if is_within_length(&password) {
        run_on_hasher(HashPriority::Login, move || matches(&password, &DUMMY_HASH)).await;
    }
}

/// Returns `false` for a password that is too long. A login may send a megabyte, which must be neither queued nor
/// hashed.
fn is_within_length(password: &str) -> bool {
    password.chars().take(LENGTH.end() + 1).count() <= *LENGTH.end()
}

async fn run_on_hasher<T: Send + 'static>(
    priority: HashPriority,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = oneshot::channel();
    QUEUE.push(priority, Box::new(move || send_unless_closed(sender, work)));
    receiver.await.expect("hashing does not panic")
}

/// Hashes nothing for a caller who has gone, so that the queue becomes short immediately after a flood of logins.
fn send_unless_closed<T>(sender: oneshot::Sender<T>, work: impl FnOnce() -> T) {
    if !sender.is_closed() {
        // The caller may go meanwhile.
        let _ = sender.send(work());
    }
}

fn start_hashers() -> Arc<Queue> {
    let queue = Arc::new(Queue::default());
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    for _ in 0..MAX_HASHERS.min(cores) {
        let queue = queue.clone();
        thread::Builder::new()
            .name("password-hasher".to_owned())
            .spawn(move || run_hasher(&queue))
            .expect("the system can start threads");
    }
    queue
}

fn run_hasher(queue: &Queue) -> ! {
    thread_priority::lower(NICENESS);
    loop {
        let work = queue.pop();
        // After a panic the caller gets no answer, but the thread continues for the others.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(work));
    }
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
        let (sender, receiver) = oneshot::channel();
        drop(receiver);
        send_unless_closed(sender, || panic!("the work is done"));
        let (sender, mut receiver) = oneshot::channel();
        send_unless_closed(sender, || 1);
        assert_eq!(receiver.try_recv(), Ok(1));
    }

    #[tokio::test]
    async fn a_password_that_is_too_long_to_be_one_is_not_hashed() {
        let stored = hash_password("x".repeat(257)).await;
        assert!(!verify_password("x".repeat(257), stored).await);
        let stored = hash_password("店".repeat(256)).await;
        assert!(verify_password("店".repeat(256), stored).await);
    }
}
