//! Threads for calls that occupy a core for a long time: calls that read or write whole lists, or parse large bodies.
//!
//! The threads that answer checks run none of these.
//!
//! Tenants are served in turn. A call is refused if the queue of its tenant or the total of all queues is full.

use std::collections::{HashMap, VecDeque};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use metrics::{counter, gauge};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::ServiceError;
use super::deadline::CallScope;
use crate::thread_priority;
use slipway_domain::catalog::ids::TenantId;

/// Maximum number of waiting calls per tenant.
const WAITING_PER_TENANT: usize = 8;
/// Maximum number of waiting calls of all tenants.
const WAITING: usize = 64;
/// `Retry-After` of a refused call, in seconds.
const RETRY_AFTER_S: u64 = 2;
/// Maximum number of threads. Each may hold an answer of maximum size in memory.
const MAX_THREADS: usize = 4;
/// Niceness of the threads. If cores are scarce, each thread gets about a tenth of a core that checks also need.
const NICENESS: i32 = 10;

/// Owner of a queue; `None` is the platform itself.
type Owner = Option<TenantId>;

type Work = Box<dyn FnOnce() + Send>;

pub struct HeavyCalls {
    queues: Arc<Queues>,
    /// Runtime for the connections and timers of the calls.
    runtime: Handle,
}

struct Queues {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    by_owner: HashMap<Owner, Queue>,
    /// Owners with waiting calls, in the order of service.
    turns: VecDeque<Owner>,
    waiting: usize,
    is_over: bool,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    running: usize,
}

impl HeavyCalls {
    /// Starts the threads: half the number of cores, at least two and at most four. Must be called within a runtime.
    pub fn start() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self::with_threads((cores / 2).clamp(2, MAX_THREADS))
    }

    fn with_threads(threads: usize) -> Self {
        let queues = Arc::new(Queues {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        // One tenant leaves at least one thread to the others.
        let most_of_one = threads.saturating_sub(1).max(1);
        for _ in 0..threads {
            let queues = queues.clone();
            thread::Builder::new()
                .name("heavy-call".to_owned())
                .spawn(move || queues.work(most_of_one))
                .expect("the system lets threads be started");
        }
        Self {
            queues,
            runtime: Handle::current(),
        }
    }

    /// Runs a call on these threads and returns its result.
    ///
    /// The call keeps the deadline of the current call. It is cancelled when its caller goes away, even while it runs.
    pub async fn run<T: Send + 'static>(
        &self,
        owner: Owner,
        call: impl AsyncFnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (mut tell, told) = oneshot::channel();
        let runtime = self.runtime.clone();
        let scope = CallScope::current();
        let work = move || {
            let done = runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = tell.closed() => None,
                    done = scope.run(call()) => Some(done),
                }
            });
            if let Some(done) = done {
                // The caller may be gone.
                let _ = tell.send(done);
            }
        };
        if !self.queues.push(owner, Box::new(work)) {
            counter!("slipway_heavy_calls_refused_total").increment(1);
            return Err(ServiceError::Busy {
                retry_after_s: RETRY_AFTER_S,
            });
        }
        told.await.map_err(ServiceError::internal)
    }
}

impl Drop for HeavyCalls {
    fn drop(&mut self) {
        self.queues.lock().is_over = true;
        self.queues.changed.notify_all();
    }
}

impl Queues {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a call. Returns `false` if a queue is full.
    fn push(&self, owner: Owner, work: Work) -> bool {
        let mut state = self.lock();
        if state.waiting == WAITING {
            return false;
        }
        let queue = state.by_owner.entry(owner).or_default();
        if queue.waiting.len() == WAITING_PER_TENANT {
            return false;
        }
        queue.waiting.push_back(work);
        if queue.waiting.len() == 1 {
            state.turns.push_back(owner);
        }
        state.waiting += 1;
        gauge!("slipway_heavy_calls_waiting").increment(1.0);
        drop(state);
        self.changed.notify_one();
        true
    }

    fn work(&self, most_of_one: usize) {
        thread_priority::lower(NICENESS);
        while let Some((owner, work)) = self.next(most_of_one) {
            // The panic hook has logged the panic, and the caller gets an error.
            let _ = catch_unwind(AssertUnwindSafe(work));
            self.end(owner);
        }
    }

    /// Waits for the next call. Returns `None` once the threads must end.
    fn next(&self, most_of_one: usize) -> Option<(Owner, Work)> {
        let mut state = self.lock();
        loop {
            if state.is_over {
                return None;
            }
            if let Some(next) = state.next(most_of_one) {
                gauge!("slipway_heavy_calls_waiting").decrement(1.0);
                return Some(next);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn end(&self, owner: Owner) {
        let mut state = self.lock();
        if let Some(queue) = state.by_owner.get_mut(&owner) {
            queue.running -= 1;
            if queue.running == 0 && queue.waiting.is_empty() {
                state.by_owner.remove(&owner);
            }
        }
        drop(state);
        // Any thread may run a call that waited for another call of this owner.
        self.changed.notify_all();
    }
}

impl State {
    /// Takes the oldest call of the first owner that has not reached its share of the threads.
    fn next(&mut self, most_of_one: usize) -> Option<(Owner, Work)> {
        let by_owner = &self.by_owner;
        let has_room = |owner: &Owner| {
            by_owner
                .get(owner)
                .is_some_and(|queue| queue.running < most_of_one)
        };
        let place = self.turns.iter().position(has_room)?;
        let owner = self.turns.remove(place)?;
        let queue = self.by_owner.get_mut(&owner)?;
        let work = queue.waiting.pop_front()?;
        queue.running += 1;
        self.waiting -= 1;
        if !queue.waiting.is_empty() {
            self.turns.push_back(owner);
        }
        Some((owner, work))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::services::within_deadline;

    fn tenant(number: i64) -> Owner {
        TenantId::parse(number).ok()
    }

    /// Returns a call that blocks its thread until the sender is dropped.
    fn blocked() -> (mpsc::Sender<()>, impl AsyncFnOnce() + Send + 'static) {
        let (end, ended) = mpsc::channel::<()>();
        (end, async move || {
            let _ = ended.recv();
        })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_busy_tenant_leaves_a_thread_and_turns_to_others() {
        let calls = Arc::new(HeavyCalls::with_threads(2));
        let (end, first) = blocked();
        let running = calls.clone();
        let first = tokio::spawn(async move { running.run(tenant(1), first).await });
        while calls
            .queues
            .lock()
            .by_owner
            .get(&tenant(1))
            .is_none_or(|queue| queue.running == 0)
        {
            tokio::task::yield_now().await;
        }
        let waiting: Vec<_> = (0..WAITING_PER_TENANT)
            .map(|_| {
                let calls = calls.clone();
                tokio::spawn(async move { calls.run(tenant(1), async || ()).await })
            })
            .collect();
        while calls.queues.lock().waiting < WAITING_PER_TENANT {
            tokio::task::yield_now().await;
        }
        assert!(matches!(
            calls.run(tenant(1), async || ()).await,
            Err(ServiceError::Busy { .. })
        ));
        assert_eq!(calls.run(tenant(2), async || 2).await.unwrap(), 2);
        drop(end);
        first.await.unwrap().unwrap();
        for call in waiting {
            call.await.unwrap().unwrap();
        }
        // The caller gets its answer shortly before the owner's queue is removed.
        while !calls.queues.lock().by_owner.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_ends_the_call_and_not_the_thread() {
        let calls = HeavyCalls::with_threads(1);
        let panicked = calls.run(None, async || panic!("a test")).await;
        assert!(matches!(panicked, Err::<(), _>(ServiceError::Internal(_))));
        assert_eq!(calls.run(None, async || 1).await.unwrap(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nobody_works_for_a_caller_who_has_gone() {
        let calls = Arc::new(HeavyCalls::with_threads(1));
        let (end, first) = blocked();
        let running = calls.clone();
        let first = tokio::spawn(async move { running.run(None, first).await });
        while calls.queues.lock().by_owner.is_empty() {
            tokio::task::yield_now().await;
        }
        let (ran, has_run) = mpsc::channel();
        let running = calls.clone();
        let gone = tokio::spawn(async move { running.run(None, async move || ran.send(())).await });
        while calls.queues.lock().waiting == 0 {
            tokio::task::yield_now().await;
        }
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        drop(end);
        first.await.unwrap().unwrap();
        calls.run(None, async || ()).await.unwrap();
        assert!(has_run.try_recv().is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_call_ends_with_its_caller_and_knows_its_deadline() {
        let calls = Arc::new(HeavyCalls::with_threads(1));
        let (began, has_begun) = oneshot::channel();
        let (kept, mut is_dropped) = oneshot::channel::<()>();
        let running = calls.clone();
        let call = tokio::spawn(within_deadline(async move {
            let work = async move || {
                let _kept = kept;
                began.send(CallScope::current().has_deadline()).unwrap();
                std::future::pending::<()>().await;
            };
            running.run(None, work).await
        }));
        assert!(has_begun.await.unwrap(), "the deadline is carried to the thread");
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        calls.run(None, async || ()).await.unwrap();
        assert_eq!(is_dropped.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
