//! Waiting for a value to satisfy a condition.

use std::cell::RefCell;
use std::rc::Rc;

use super::waiters::Waiters;
use crate::env::Env;
use crate::trace::WaitsOn;

/// A value that coroutines of one node share and wait on.
///
/// Clones are handles to the same value.
pub struct ValueEvent<T>(Rc<Inner<T>>);

struct Inner<T> {
    value: RefCell<T>,
    waiters: Waiters,
    env: Env,
}

impl<T> Clone for ValueEvent<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> ValueEvent<T> {
    /// An event that holds `value`.
    pub fn new(env: &Env, value: T) -> Self {
        Self(Rc::new(Inner {
            value: RefCell::new(value),
            waiters: Waiters::default(),
            env: env.clone(),
        }))
    }

    /// Replaces the value.
    pub fn set(&self, value: T) {
        *self.0.value.borrow_mut() = value;
        self.0.waiters.wake_all();
    }

    /// Changes the value in place.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.0.value.borrow_mut());
        self.0.waiters.wake_all();
        result
    }

    /// Looks at the value.
    pub fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.0.value.borrow())
    }

    /// A copy of the value.
    pub fn get(&self) -> T
    where
        T: Copy,
    {
        *self.0.value.borrow()
    }

    /// Suspends the coroutine until the value satisfies `condition`.
    pub async fn wait(&self, label: &'static str, condition: impl Fn(&T) -> bool) {
        if !condition(&self.0.value.borrow()) {
            let _waiting = self.0.env.begin_wait(label, WaitsOn::Local);
            self.reach(condition).await;
        }
    }

    /// Waits untraced.
    pub(super) async fn reach(&self, condition: impl Fn(&T) -> bool) {
        let reached = || condition(&self.0.value.borrow());
        self.0.waiters.wait_until(reached).await;
    }

    pub(super) fn env(&self) -> &Env {
        &self.0.env
    }
}
