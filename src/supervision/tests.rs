use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

async fn wait_until(condition: impl Fn() -> bool) {
    let met = timeout(Duration::from_secs(30), async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    met.await.expect("the condition is met in time");
}

#[tokio::test]
async fn a_task_that_panics_or_returns_goes_on_with_its_queue() {
    let tasks = Tasks::default();
    let (queue, items) = mpsc::unbounded_channel();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    let task = tasks.supervise("consumer", Importance::Essential, items, move |items| {
        let count = count.clone();
        async move {
            while let Some(item) = items.recv().await {
                match item {
                    "panic" => panic!("a poisonous item"),
                    "return" => return Exit::Unexpected,
                    _ => count.fetch_add(1, Ordering::Relaxed),
                };
            }
            Exit::Finished
        }
        .boxed()
    });
    for item in ["a", "panic", "b", "return", "c"] {
        queue.send(item).unwrap();
    }
    wait_until(|| taken.load(Ordering::Relaxed) == 3).await;
    wait_until(|| tasks.down() == DownTasks::default()).await;
    drop(queue);
    task.await.unwrap();
}

#[tokio::test]
async fn an_injected_fault_takes_a_task_down_and_it_comes_back() {
    let tasks = Tasks::default();
    let runs = Arc::new(AtomicUsize::new(0));
    let count = runs.clone();
    let task = tasks.supervise("idle", Importance::Essential, (), move |()| {
        count.fetch_add(1, Ordering::Relaxed);
        pending::<()>().boxed()
    });
    for (fault, number) in [(Fault::Panic, 2), (Fault::Return, 3)] {
        assert!(tasks.inject("idle", fault));
        wait_until(|| tasks.down().names == ["idle"] && tasks.down().has_essential).await;
        wait_until(|| tasks.down() == DownTasks::default()).await;
        assert_eq!(runs.load(Ordering::Relaxed), number);
    }
    assert!(!tasks.inject("other", Fault::Panic));
    task.abort();
}

#[tokio::test]
async fn a_task_that_always_fails_stays_down() {
    let tasks = Tasks::default();
    let runs = Arc::new(AtomicUsize::new(0));
    let count = runs.clone();
    let task = tasks.supervise("broken", Importance::Auxiliary, (), move |()| {
        count.fetch_add(1, Ordering::Relaxed);
        async { panic!("always") as () }.boxed()
    });
    wait_until(|| runs.load(Ordering::Relaxed) == 1).await;
    while runs.load(Ordering::Relaxed) < 4 {
        let down = tasks.down();
        assert_eq!((down.names, down.has_essential), (vec!["broken"], false));
        sleep(Duration::from_millis(5)).await;
    }
    task.abort();
}
