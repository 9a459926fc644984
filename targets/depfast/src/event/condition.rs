//! A value's condition, as an event of its own.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::compound::{self, Event};
use super::{Outcome, ValueEvent};
use crate::trace::{Dependency, WaitsOn};

/// That a [`ValueEvent`] satisfies a condition. It is triggered whenever it does: a condition may come and go.
pub struct Condition<T> {
    value: ValueEvent<T>,
    holds: Box<dyn Fn(&T) -> bool>,
}

impl<T: 'static> ValueEvent<T> {
    /// Is triggered while `holds` says so.
    pub fn when(&self, holds: impl Fn(&T) -> bool + 'static) -> Condition<T> {
        Condition {
            value: self.clone(),
            holds: Box::new(holds),
        }
    }

    /// Is triggered while the value is `target`.
    pub fn equals(&self, target: T) -> Condition<T>
    where
        T: PartialEq,
    {
        self.when(move |value| *value == target)
    }

    /// Is triggered while the value is `target` or more.
    pub fn at_least(&self, target: T) -> Condition<T>
    where
        T: PartialOrd,
    {
        self.when(move |value| *value >= target)
    }
}

impl<T> Condition<T> {
    /// Whether the value satisfies the condition now.
    pub fn holds(&self) -> bool {
        self.value.with(&self.holds)
    }

    /// Suspends the coroutine until the value satisfies the condition.
    pub async fn wait(&self, label: &'static str) {
        self.value.wait(label, &self.holds).await;
    }

    /// Suspends the coroutine until the value satisfies the condition, at most for `limit`.
    pub async fn wait_for(&self, label: &'static str, limit: Duration) -> Outcome {
        compound::wait_for(self.value.env(), label, limit, self).await
    }
}

impl<T> Event for Condition<T> {
    fn decided(&self) -> Option<Outcome> {
        self.holds().then_some(Outcome::Ready)
    }

    fn decision(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(self.value.reach(&self.holds))
    }

    fn dependencies(&self) -> Vec<Dependency> {
        vec![Dependency::new(WaitsOn::Local, Vec::new())]
    }
}
