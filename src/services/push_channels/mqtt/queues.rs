//! Work queues by key: one item per key at a time, with keys taking turns.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Items by key. The next item of a key starts after the previous one has ended. Keys take turns, so that a key with
/// many items does not delay the others.
#[derive(Debug)]
pub(super) struct KeyedQueues<K, T> {
    /// Keys with waiting items or an item in progress.
    by_key: HashMap<K, VecDeque<T>>,
    /// Keys with waiting items and none in progress, in the order of their turns.
    turns: VecDeque<K>,
    waiting: usize,
}

impl<K: Eq + Hash + Clone, T> KeyedQueues<K, T> {
    pub(super) fn new() -> Self {
        Self {
            by_key: HashMap::new(),
            turns: VecDeque::new(),
            waiting: 0,
        }
    }

    /// Returns the number of waiting items.
    pub(super) const fn len(&self) -> usize {
        self.waiting
    }

    pub(super) fn push(&mut self, key: K, item: T) {
        self.waiting += 1;
        if let Some(queue) = self.by_key.get_mut(&key) {
            queue.push_back(item);
            return;
        }
        self.turns.push_back(key.clone());
        self.by_key.insert(key, VecDeque::from([item]));
    }

    /// Returns the next item, which is in progress until [`Self::end`]. Returns `None` if no item can start.
    pub(super) fn begin(&mut self) -> Option<(K, T)> {
        let key = self.turns.pop_front()?;
        let item = self.by_key.get_mut(&key)?.pop_front()?;
        self.waiting -= 1;
        Some((key, item))
    }

    /// Ends the item of a key that is in progress.
    pub(super) fn end(&mut self, key: K) {
        match self.by_key.get(&key) {
            Some(queue) if !queue.is_empty() => self.turns.push_back(key),
            _ => {
                self.by_key.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_with_many_items_does_not_hold_up_another() {
        let mut queues = KeyedQueues::new();
        for item in 0..100 {
            queues.push("many", item);
        }
        assert_eq!(queues.begin(), Some(("many", 0)));
        assert_eq!(queues.begin(), None, "its first is still under way");
        queues.push("one", 100);
        assert_eq!(queues.begin(), Some(("one", 100)));
        queues.end("many");
        queues.end("one");
        assert_eq!(queues.begin(), Some(("many", 1)));
        assert_eq!((queues.len(), queues.by_key.len()), (98, 1));
    }

    proptest! {
        /// For any sequence of pushes and ends, each key yields all its items once, in order, and one at a time.
        #[test]
        fn of_each_key_everything_comes_in_order(steps in prop::collection::vec((0_u8..4, any::<bool>()), 0..200)) {
            let mut queues = KeyedQueues::new();
            let mut pushed = [0_usize; 4];
            let mut begun = [0_usize; 4];
            let mut under_way = Vec::new();
            for (key, is_push) in steps {
                let index = usize::from(key);
                if is_push {
                    queues.push(key, pushed[index]);
                    pushed[index] += 1;
                } else if let Some((key, item)) = queues.begin() {
                    prop_assert!(!under_way.contains(&key));
                    prop_assert_eq!(item, begun[usize::from(key)]);
                    begun[usize::from(key)] += 1;
                    under_way.push(key);
                } else if !under_way.is_empty() {
                    queues.end(under_way.swap_remove(index % under_way.len()));
                }
                let waiting: usize = pushed.iter().sum::<usize>() - begun.iter().sum::<usize>();
                prop_assert_eq!(queues.len(), waiting);
            }
            loop {
                under_way.drain(..).for_each(|key| queues.end(key));
                let Some((key, item)) = queues.begin() else { break };
                prop_assert_eq!(item, begun[usize::from(key)]);
                begun[usize::from(key)] += 1;
                under_way.push(key);
            }
            prop_assert_eq!(pushed, begun);
            prop_assert!(queues.by_key.is_empty());
        }
    }
}
