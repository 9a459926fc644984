//! Coroutines of all nodes, run one at a time in the order in which they became runnable.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::env::LocalFuture;
use crate::id::NodeId;

pub(super) type TaskId = u64;

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
    this: Arc<TaskWaker>,
    waker: Waker,
}

/// A waker has to be shareable between threads by its type, hence the lock; there is only one thread.
#[derive(Default)]
struct Ready(Mutex<VecDeque<TaskId>>);

impl Ready {
    fn pop(&self) -> Option<TaskId> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.pop_front()
    }
}

struct TaskWaker {
    id: TaskId,
    /// Whether it is runnable: in the queue, or on its way there through a slow CPU.
    runnable: AtomicBool,
    ready: Arc<Ready>,
}

impl TaskWaker {
    fn queue(&self) {
        let mut queue = self.ready.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(self.id);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.runnable.swap(true, Relaxed) {
            self.queue();
        }
    }
}

impl Executor {
    pub(super) fn spawn(&self, node: NodeId, coroutine: LocalFuture<()>) {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let this = Arc::new(TaskWaker {
            id,
            runnable: AtomicBool::new(true),
            ready: Arc::clone(&self.ready),
        });
        this.queue();
        let task = Task {
            node,
            coroutine: Some(coroutine),
            waker: Waker::from(Arc::clone(&this)),
            this,
        };
        self.tasks.borrow_mut().insert(id, task);
    }

    /// The next runnable coroutine and its node.
    pub(super) fn next(&self) -> Option<(TaskId, NodeId)> {
        loop {
            let id = self.ready.pop()?;
            if let Some(task) = self.tasks.borrow().get(&id) {
                return Some((id, task.node));
            }
        }
    }

    /// Runs a coroutine until it waits.
    pub(super) fn run(&self, id: TaskId) {
        let taken = self.tasks.borrow_mut().get_mut(&id).and_then(|task| {
            // From here on it may become runnable again.
            task.this.runnable.store(false, Relaxed);
            Some((task.coroutine.take()?, task.waker.clone()))
        });
        let Some((mut coroutine, waker)) = taken else {
            return;
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
    }

    /// Drops all coroutines of a node, or of all nodes.
    pub(super) fn kill(&self, node: Option<NodeId>) {
        let mut tasks = self.tasks.borrow_mut();
        let dies = |task: &Task| node.is_none_or(|node| task.node == node);
        let (killed, spared): (BTreeMap<_, _>, _) = std::mem::take(&mut *tasks)
            .into_iter()
            .partition(|(_, task)| dies(task));
        *tasks = spared;
        // What they drop may want to look at the executor.
        drop(tasks);
        drop(killed);
    }
}
