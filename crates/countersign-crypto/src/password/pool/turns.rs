//! Whose turn it is: a queue for each key, and the keys one after the other.

use super::Full;
use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

pub(super) type Job = Box<dyn FnOnce() + Send>;

/// A key stands in `round` exactly once while it has a queue, and no queue is empty.
pub(super) struct Turns<K> {
    pub(super) queues: HashMap<K, VecDeque<(u64, Job)>>,
    pub(super) round: VecDeque<K>,
    waiting: usize,
    most: usize,
    most_per_key: usize,
    /// Of the next job.
    number: u64,
}

impl<K> Turns<K> {
    pub(super) fn new(most: usize, most_per_key: usize) -> Self {
        let (queues, round) = (HashMap::new(), VecDeque::new());
        Self { queues, round, waiting: 0, most, most_per_key, number: 0 }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// What was in it.
    pub(super) fn clear(&mut self) -> HashMap<K, VecDeque<(u64, Job)>> {
        self.round.clear();
        self.waiting = 0;
        std::mem::take(&mut self.queues)
    }
}

impl<K: Copy + Eq + Hash> Turns<K> {
    /// The number it is removed by, and the job that had to make room for it.
    pub(super) fn push(&mut self, key: K, job: Job) -> Result<(u64, Option<Job>), Full> {
        let of_key = self.queues.get(&key).map_or(0, VecDeque::len);
        if of_key >= self.most_per_key {
            return Err(Full::Key);
        }
        let displaced = if self.waiting >= self.most { Some(self.displace(of_key)?) } else { None };
        let number = self.number;
        self.number += 1;
        let queue = self.queues.entry(key).or_default();
        if queue.is_empty() {
            self.round.push_back(key);
        }
        queue.push_back((number, job));
        self.waiting += 1;
        Ok((number, displaced))
    }

    /// The last one of the longest queue, if that stays at least as long as the newcomer's becomes.
    fn displace(&mut self, newcomer: usize) -> Result<Job, Full> {
        let longest = self.queues.iter().max_by_key(|(_, queue)| queue.len());
        let (key, number) = longest
            .filter(|(_, queue)| queue.len() > newcomer + 1)
            .and_then(|(key, queue)| Some((*key, queue.back()?.0)))
            .ok_or(Full::Pool)?;
        self.remove(key, number).ok_or(Full::Pool)
    }

    pub(super) fn pop(&mut self) -> Option<Job> {
        let key = self.round.pop_front()?;
        let queue = self.queues.get_mut(&key)?;
        let (_, job) = queue.pop_front()?;
        self.waiting -= 1;
        if queue.is_empty() {
            self.queues.remove(&key);
        } else {
            self.round.push_back(key);
        }
        Some(job)
    }

    /// `None`: it is not waiting any more.
    pub(super) fn remove(&mut self, key: K, number: u64) -> Option<Job> {
        let queue = self.queues.get_mut(&key)?;
        let at = queue.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        let (_, job) = queue.remove(at)?;
        self.waiting -= 1;
        if queue.is_empty() {
            self.queues.remove(&key);
            self.round.retain(|other| *other != key);
        }
        Some(job)
    }
}
