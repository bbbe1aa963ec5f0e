//! Passwords of people: argon2id (RFC 9106) with its own salt. Hashing takes tens of milliseconds of a core, so a few
//! threads do it that stand back behind all others.

use std::num::NonZero;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc};
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

/// The way to the threads, which are started with the first hash.
static QUEUE: LazyLock<mpsc::Sender<Work>> = LazyLock::new(start_hashers);

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
    on_hasher(move || PasswordHash(hash(&password))).await
}

pub async fn verify_password(password: String, stored: PasswordHash) -> bool {
    on_hasher(move || matches(&password, &stored)).await
}

/// Takes as long as [`verify_password`], and never succeeds.
pub async fn verify_unknown(password: String) {
    on_hasher(move || matches(&password, &NOBODY)).await;
}

async fn on_hasher<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = oneshot::channel();
    let work = move || {
        // Whoever asked may have gone.
        let _ = tell.send(work());
    };
    QUEUE.send(Box::new(work)).expect("the hashing threads never end");
    told.await.expect("hashing does not panic")
}

fn start_hashers() -> mpsc::Sender<Work> {
    let (queue, waiting) = mpsc::channel();
    let waiting = Arc::new(Mutex::new(waiting));
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    for _ in 0..MOST_HASHERS.min(cores) {
        let waiting = waiting.clone();
        thread::Builder::new()
            .name("password-hasher".to_owned())
            .spawn(move || hash_for_ever(&waiting))
            .expect("the system lets threads be started");
    }
    queue
}

fn hash_for_ever(waiting: &Mutex<mpsc::Receiver<Work>>) {
    stand_back();
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else {
            return;
        };
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
