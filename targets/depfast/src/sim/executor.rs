//! Coroutines of all nodes, run one at a time in the order in which they became runnable.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::env::LocalFuture;
use crate::id::NodeId;

type TaskId = u64;

#[derive(Default)]
pub(super) struct Executor {
    last_id: Cell<TaskId>,
    tasks: RefCell<BTreeMap<TaskId, Task>>,
    ready: Arc<Ready>,
}

struct Task {
    node: NodeId,
    /// Absent while it runs.
    coroutine: Option<LocalFuture<()>>,
    waker: Waker,
}

/// A waker has to be shareable between threads by its type, hence the lock; there is only one thread.
#[derive(Default)]
struct Ready(Mutex<VecDeque<TaskId>>);

impl Ready {
    fn push(&self, id: TaskId) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !queue.contains(&id) {
            queue.push_back(id);
        }
    }

    fn pop(&self) -> Option<TaskId> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }
}

struct TaskWaker {
    id: TaskId,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.push(self.id);
    }
}

impl Executor {
    pub(super) fn spawn(&self, node: NodeId, coroutine: LocalFuture<()>) {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let waker = Waker::from(Arc::new(TaskWaker {
            id,
            ready: Arc::clone(&self.ready),
        }));
        self.tasks.borrow_mut().insert(
            id,
            Task {
                node,
                coroutine: Some(coroutine),
                waker,
            },
        );
        self.ready.push(id);
    }

    /// Runs one coroutine until it waits; false if none is runnable.
    pub(super) fn step(&self) -> bool {
        let Some(id) = self.ready.pop() else {
            return false;
        };
        let taken = self
            .tasks
            .borrow_mut()
            .get_mut(&id)
            .and_then(|task| Some((task.coroutine.take()?, task.waker.clone())));
        let Some((mut coroutine, waker)) = taken else {
            return true;
        };
        let poll = coroutine.as_mut().poll(&mut Context::from_waker(&waker));
        let mut tasks = self.tasks.borrow_mut();
        match (poll, tasks.get_mut(&id)) {
            (Poll::Pending, Some(task)) => task.coroutine = Some(coroutine),
            (Poll::Ready(()), Some(_)) => {
                let finished = tasks.remove(&id);
                drop(tasks);
                drop(finished);
            }
            // Its node crashed while it ran.
            (_, None) => drop(tasks),
        }
        true
    }

    /// Drops all coroutines of a node.
    pub(super) fn kill(&self, node: NodeId) {
        let mut tasks = self.tasks.borrow_mut();
        let ids: Vec<_> = tasks
            .iter()
            .filter(|(_, task)| task.node == node)
            .map(|(id, _)| *id)
            .collect();
        let killed: Vec<_> = ids.iter().filter_map(|id| tasks.remove(id)).collect();
        // What they drop may want to look at the executor.
        drop(tasks);
        drop(killed);
    }
}
