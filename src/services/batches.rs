//! Batching of messages from a queue.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout_at;

use crate::timer;

/// State of a batch after a message was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchState {
    HasRoom,
    IsFull,
    /// No message follows.
    IsLast,
}

impl BatchState {
    /// Returns the state of a batch with `items` messages and room for `most`.
    pub(super) const fn of(items: usize, most: usize) -> Self {
        if items < most { Self::HasRoom } else { Self::IsFull }
    }
}

/// Collects messages into a batch until it is full or its first message has waited for `wait`.
///
/// Returns `Break` if no message follows: after `BatchState::IsLast`, or once the queue is closed.
pub(super) async fn collect<M>(
    messages: &mut mpsc::Receiver<M>,
    wait: Duration,
    mut put: impl FnMut(M) -> BatchState,
) -> ControlFlow<()> {
    let mut deadline = None;
    loop {
        let message = match deadline {
            None => messages.recv().await,
            Some(deadline) => match timeout_at(deadline, messages.recv()).await {
                Ok(message) => message,
                Err(_) => return ControlFlow::Continue(()),
            },
        };
        match message.map_or(BatchState::IsLast, &mut put) {
            BatchState::HasRoom => deadline.get_or_insert_with(|| timer::runtime_now() + wait),
            BatchState::IsFull => return ControlFlow::Continue(()),
            BatchState::IsLast => return ControlFlow::Break(()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn take(messages: &mut mpsc::Receiver<u8>) -> (Vec<u8>, ControlFlow<()>) {
        let mut batch = Vec::new();
        let next = collect(messages, Duration::ZERO, |number| {
            batch.push(number);
            match number {
                9 => BatchState::IsLast,
                _ => BatchState::of(batch.len(), 3),
            }
        });
        let next = next.await;
        (batch, next)
    }

    #[tokio::test]
    async fn a_batch_ends_when_it_is_full_or_late_or_nothing_more_comes() {
        let (queue, mut messages) = mpsc::channel(9);
        for number in 0..5 {
            queue.send(number).await.unwrap();
        }
        assert_eq!(
            take(&mut messages).await,
            (vec![0, 1, 2], ControlFlow::Continue(()))
        );
        assert_eq!(take(&mut messages).await, (vec![3, 4], ControlFlow::Continue(())));
        for number in [5, 9, 6] {
            queue.send(number).await.unwrap();
        }
        drop(queue);
        assert_eq!(take(&mut messages).await, (vec![5, 9], ControlFlow::Break(())));
        assert_eq!(take(&mut messages).await, (vec![6], ControlFlow::Break(())));
    }
}
