//! How a replica gets decisions that it missed.

use std::rc::Rc;
use std::time::Duration;

use depfast::Responder;

use super::Copilot;
use crate::core::{Both, Index, Refusal, ReplicaId, Role};
use crate::message::{LEARN, Learn, Lesson};
use crate::wire::Wire;

/// How much is taught at once.
const LESSON_BYTES: usize = 256 << 10;
/// A peer that does not answer for this long is not asked again at once.
const PATIENCE: Duration = Duration::from_secs(1);

impl Copilot {
    /// Asks for decisions that a peer has known for a while and that are missing here.
    pub(crate) async fn learn_forever(self: Rc<Self>) {
        loop {
            self.behind
                .wait("missing decisions", |()| {
                    Role::BOTH
                        .into_iter()
                        .any(|role| self.who_knows(role).is_some())
                })
                .await;
            let before = self.committed();
            self.env
                .timeout("decisions on their way", self.timing.heartbeat / 2)
                .await;
            for role in Role::BOTH {
                if self.committed()[role] == before[role] {
                    self.learn(role).await;
                }
            }
        }
    }

    fn committed(&self) -> Both<Index> {
        let state = self.state.borrow();
        Both::new(|role| state.core.log(role).committed())
    }

    /// A peer that knows the first decision that is missing here.
    fn who_knows(&self, role: Role) -> Option<ReplicaId> {
        let state = self.state.borrow();
        let own = state.core.log(role).committed();
        let knows = |peer: &&ReplicaId| {
            let peer = state.peers.get(*peer);
            peer.is_some_and(|peer| peer.committed[role] > own)
        };
        self.peers.iter().find(knows).copied()
    }

    async fn learn(&self, role: Role) {
        while let Some(peer) = self.who_knows(role) {
            let from = self.committed()[role].next();
            let question = Learn { role, from }.encode();
            let call = self.rpc.call(peer, LEARN, vec![question]);
            let answer = self
                .env
                .within("lesson", PATIENCE, call.wait("lesson"))
                .await;
            let lesson = answer
                .and_then(Result::ok)
                .and_then(Result::<Lesson, Refusal>::decode);
            let mut state = self.state.borrow_mut();
            match lesson {
                Some(Ok(lesson)) if !lesson.is_empty() => {
                    for (index, commit) in (from.0..).map(Index).zip(lesson) {
                        self.learn_decision(&mut state, role, index, commit);
                    }
                }
                Some(Err(_)) => {
                    drop(state);
                    // A peer that has executed nothing that is missing here cannot help; another one may.
                    if !self.fetch_snapshot(peer).await {
                        self.disbelieve(role, peer);
                    }
                }
                _ => {
                    drop(state);
                    self.disbelieve(role, peer);
                }
            }
        }
    }

    /// Until it says so again, a peer is not believed to know more.
    fn disbelieve(&self, role: Role, peer: ReplicaId) {
        let mut state = self.state.borrow_mut();
        state.peers.entry(peer).or_default().committed[role] = Index::ZERO;
    }

    pub(crate) fn on_learn(&self, question: Learn, respond: Responder) {
        let Learn { role, from } = question;
        let state = self.state.borrow();
        let log = state.core.log(role);
        let reply = if from <= log.base() {
            Err(Refusal::Forgotten(log.base()))
        } else {
            let mut bytes = 0;
            let lesson: Lesson = from
                .previous()
                .until(log.committed())
                .map_while(|index| state.core.decision(role, index).cloned())
                .take_while(|commit| {
                    let batch = commit.choice.value.as_ref().map(|value| &value.batch);
                    let before = bytes;
                    bytes += 64 + batch.map_or(0, |batch| batch.bytes().len());
                    before < LESSON_BYTES
                })
                .collect();
            Ok(lesson)
        };
        drop(state);
        self.promise(respond, reply.encode());
    }
}
