//! The group as a Redis Cluster of one shard: who leads is its master and has every slot, the others are its replicas.

use std::fmt::Write;

use bytes::BytesMut;
use depfast::NodeId;
use resp::{Protocol, SLOTS, encode};

use super::{Call, Done};
use crate::front::Front;
use crate::replica::Status;

/// `CLUSTER SLOTS | SHARDS | NODES | INFO | MYID | KEYSLOT key | COUNTKEYSINSLOT slot | RESET …`
pub(super) fn cluster(call: Call<'_>) -> Done {
    let Call {
        connection,
        args,
        ticket,
    } = call;
    let group = Group::of(connection.front());
    match (args[1].to_ascii_uppercase().as_slice(), &args[2..]) {
        (b"SLOTS", []) => ticket.answer(|out| group.slots(out)),
        (b"SHARDS", []) => ticket.answer_as(|out, protocol| group.shards(out, protocol)),
        (b"NODES", []) => ticket.answer(|out| encode::bulk(out, group.nodes().as_bytes())),
        (b"INFO", []) => ticket.answer(|out| encode::bulk(out, group.info().as_bytes())),
        (b"MYID", []) => {
            ticket.answer(|out| encode::bulk(out, name(group.status.id).as_bytes()));
        }
        (b"KEYSLOT", [key]) => {
            let slot = resp::slot(key);
            ticket.answer(|out| encode::integer(out, i64::from(slot)));
        }
        _ => ticket.fail("ERR CLUSTER takes SLOTS, SHARDS, NODES, INFO, MYID or KEYSLOT <key>"),
    }
    Done::Continue
}

/// A member and where clients reach it.
struct Place {
    id: NodeId,
    host: String,
    port: i64,
}

struct Group {
    status: Status,
    /// Whether the member that orders changes is known.
    is_led: bool,
    /// That member. Without it the member that is asked stands for it: libraries give a cluster up if nobody has its
    /// slots, while all of them know `-CLUSTERDOWN`, and try again.
    master: NodeId,
    /// The master first.
    places: Vec<Place>,
}

impl Group {
    fn of(front: &Front) -> Self {
        let status = front.replica.status();
        let leader = front.replica.pilots()[0].or(status.leader);
        let master = leader.unwrap_or(status.id);
        let mut places: Vec<_> = front
            .members()
            .into_iter()
            .filter_map(|(id, address)| {
                let (host, port) = address.rsplit_once(':')?;
                Some(Place {
                    id,
                    host: host.trim_matches(['[', ']']).to_owned(),
                    port: port.parse().ok()?,
                })
            })
            .collect();
        places.sort_by_key(|place| (place.id != master, place.id));
        Self {
            status,
            is_led: leader.is_some(),
            master,
            places,
        }
    }

    fn role(&self, id: NodeId) -> &'static str {
        if id == self.master {
            "master"
        } else {
            "replica"
        }
    }

    fn slots(&self, out: &mut BytesMut) {
        encode::array(out, 1);
        encode::array(out, 2 + self.places.len());
        encode::integer(out, 0);
        encode::integer(out, i64::from(SLOTS) - 1);
        for place in &self.places {
            encode::array(out, 4);
            encode::bulk(out, place.host.as_bytes());
            encode::integer(out, place.port);
            encode::bulk(out, name(place.id).as_bytes());
            encode::array(out, 0);
        }
    }

    fn shards(&self, out: &mut BytesMut, protocol: Protocol) {
        encode::array(out, 1);
        encode::map(out, 2, protocol);
        encode::bulk(out, b"slots");
        encode::array(out, 2);
        encode::integer(out, 0);
        encode::integer(out, i64::from(SLOTS) - 1);
        encode::bulk(out, b"nodes");
        encode::array(out, self.places.len());
        for place in &self.places {
            encode::map(out, 7, protocol);
            let text = [
                ("id", name(place.id)),
                ("ip", place.host.clone()),
                ("endpoint", place.host.clone()),
                ("role", self.role(place.id).to_owned()),
                ("health", "online".to_owned()),
            ];
            for (field, value) in text {
                encode::bulk(out, field.as_bytes());
                encode::bulk(out, value.as_bytes());
            }
            let applied = i64::try_from(self.status.applied).unwrap_or(i64::MAX);
            for (field, value) in [("port", place.port), ("replication-offset", applied)] {
                encode::bulk(out, field.as_bytes());
                encode::integer(out, value);
            }
        }
    }

    /// One line a member, as `nodes.conf` of Redis has it. The master stands there twice, since
    /// `redis-benchmark --cluster` refuses a cluster of one master.
    fn nodes(&self) -> String {
        let mut text = String::new();
        for Place { id, host, port } in &self.places {
            let myself = if *id == self.status.id { "myself," } else { "" };
            let (role, master) = if *id == self.master {
                ("master", "-".to_owned())
            } else {
                ("slave", name(self.master))
            };
            let mut line = |name: String, flags: &str, slots: &str| {
                writeln!(
                    text,
                    "{name} {host}:{port}@{port} {flags} {master} 0 0 {term} connected{slots}",
                    term = self.status.term,
                )
                .expect("a string takes all text");
            };
            if role == "master" {
                line(name(*id), &[myself, role].concat(), " 0-16383");
                line(second_name(*id), role, " 0-16383");
            } else {
                line(name(*id), &[myself, role].concat(), "");
            }
        }
        text
    }

    fn info(&self) -> String {
        let (state, slots) = if self.is_led {
            ("ok", SLOTS)
        } else {
            ("fail", 0)
        };
        format!(
            "cluster_state:{state}\r\ncluster_slots_assigned:{slots}\r\ncluster_slots_ok:{slots}\r\n\
             cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:{nodes}\r\ncluster_size:1\r\n\
             cluster_current_epoch:{term}\r\ncluster_my_epoch:{term}\r\n",
            nodes = self.places.len(),
            term = self.status.term,
        )
    }
}

/// A member's name as a Redis Cluster has it: 40 hexadecimal digits.
fn name(id: NodeId) -> String {
    format!("{:040x}", id.0)
}

fn second_name(id: NodeId) -> String {
    format!("f{:039x}", id.0)
}
