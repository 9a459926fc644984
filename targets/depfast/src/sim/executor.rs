//! Coroutines of all nodes, run one at a time in the order in which they became runnable.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::env::LocalFuture;
use crate::id::NodeId;

/// Names a coroutine: where it is kept, and its number, which no other ever had.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct TaskId {
    slot: usize,
    serial: u64,
}

#[derive(Default)]
pub(super) struct Executor {
    tasks: RefCell<Tasks>,
    /// Those that became runnable, as far as they were taken out of the shared queue: before all that are in it.
    taken: RefCell<VecDeque<TaskId>>,
    ready: Arc<Ready>,
}

#[derive(Default)]
struct Tasks {
    slots: Vec<Option<Task>>,
    free: Vec<usize>,
    started: u64,
}

struct Task {
    serial: u64,
    node: NodeId,
    /// Absent while it runs.
    body: Option<Body>,
}

struct Body {
    coroutine: LocalFuture<()>,
    this: Arc<TaskWaker>,
    waker: Waker,
}

impl Tasks {
    fn reserve(&mut self) -> TaskId {
        self.started += 1;
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        TaskId {
            slot,
            serial: self.started,
        }
    }

    fn get_mut(&mut self, id: TaskId) -> Option<&mut Task> {
        let task = self.slots[id.slot].as_mut();
        task.filter(|task| task.serial == id.serial)
    }

    fn remove(&mut self, slot: usize) -> Option<Task> {
        self.free.push(slot);
        self.slots[slot].take()
    }
}

/// A waker has to be shareable between threads by its type, hence the lock; there is only one thread.
#[derive(Default)]
struct Ready(Mutex<VecDeque<TaskId>>);

impl Ready {
    /// Takes everything at once: locks cost time.
    fn take_into(&self, taken: &mut VecDeque<TaskId>) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *queue, taken);
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
        let mut tasks = self.tasks.borrow_mut();
        let id = tasks.reserve();
        let this = Arc::new(TaskWaker {
            id,
            runnable: AtomicBool::new(true),
            ready: Arc::clone(&self.ready),
        });
        this.queue();
        tasks.slots[id.slot] = Some(Task {
            serial: id.serial,
            node,
            body: Some(Body {
                coroutine,
                waker: Waker::from(Arc::clone(&this)),
                this,
            }),
        });
    }

    /// The next runnable coroutine and its node.
    pub(super) fn next(&self) -> Option<(TaskId, NodeId)> {
        let mut taken = self.taken.borrow_mut();
        loop {
            if taken.is_empty() {
                self.ready.take_into(&mut taken);
            }
            let id = taken.pop_front()?;
            if let Some(task) = self.tasks.borrow_mut().get_mut(id) {
                return Some((id, task.node));
            }
        }
    }

    /// Runs a coroutine until it waits.
    pub(super) fn run(&self, id: TaskId) {
        let body = |task: &mut Task| task.body.take();
        let Some(mut body) = self.tasks.borrow_mut().get_mut(id).and_then(body) else {
            return;
        };
        // From here on it may become runnable again.
        body.this.runnable.store(false, Relaxed);
        let mut context = Context::from_waker(&body.waker);
        let poll = body.coroutine.as_mut().poll(&mut context);
        let mut tasks = self.tasks.borrow_mut();
        match (poll, tasks.get_mut(id)) {
            (Poll::Pending, Some(task)) => task.body = Some(body),
            (Poll::Ready(()), Some(_)) => {
                tasks.remove(id.slot);
                drop(tasks);
                drop(body);
            }
            // Its node crashed while it ran.
            (_, None) => {
                drop(tasks);
                drop(body);
            }
        }
    }

    /// Drops all coroutines of a node, or of all nodes, in the order in which they began.
    pub(super) fn kill(&self, node: Option<NodeId>) {
        let mut tasks = self.tasks.borrow_mut();
        let dies = |task: &Task| node.is_none_or(|node| task.node == node);
        let mut killed = Vec::new();
        for slot in 0..tasks.slots.len() {
            if tasks.slots[slot].as_ref().is_some_and(dies) {
                killed.extend(tasks.remove(slot));
            }
        }
        // What they drop may want to look at the executor.
        drop(tasks);
        killed.sort_by_key(|task| task.serial);
        drop(killed);
    }
}
