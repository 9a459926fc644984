//! A graph in the language of Graphviz.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::{Color, Edge, Graph};

pub(super) fn draw(graph: &Graph) -> String {
    let mut text = String::from("digraph spg {\n  node [shape=circle];\n");
    for (number, (group, names)) in groups(graph).into_iter().enumerate() {
        let node = |name: &str| format!("{} [label={}];\n", id(group, name), quote(name));
        let nodes: String = names
            .iter()
            .map(|name| format!("    {}", node(name)))
            .collect();
        if group.is_empty() {
            text += &nodes;
        } else {
            let label = quote(group);
            writeln!(
                text,
                "  subgraph cluster_{number} {{\n    label={label};\n{nodes}  }}"
            )
            .expect("a string takes all text");
        }
    }
    for edge in &graph.edges {
        let Edge {
            group, from, to, ..
        } = edge;
        let color = match edge.color() {
            Color::Red => "red",
            Color::Green => "green",
        };
        let label = quote(&format!("{} ({})", edge.label(), edge.count()));
        let (from, to) = (id(group, from), id(group, to));
        writeln!(text, "  {from} -> {to} [color={color}, label={label}];")
            .expect("a string takes all text");
    }
    text + "}\n"
}

fn groups(graph: &Graph) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut groups = BTreeMap::<_, BTreeSet<_>>::new();
    let nodes = graph.nodes.iter().map(|node| (&node.group, &node.name));
    let ends = graph.edges.iter();
    let ends = ends.flat_map(|edge| [(&edge.group, &edge.from), (&edge.group, &edge.to)]);
    for (group, name) in nodes.chain(ends) {
        groups
            .entry(group.as_str())
            .or_default()
            .insert(name.as_str());
    }
    groups
}

fn id(group: &str, name: &str) -> String {
    match group {
        "" => quote(name),
        _ => quote(&format!("{group}/{name}")),
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_boxes_and_names_are_quoted() {
        let mut graph = Graph::default();
        graph.add_wait("shard \"1\"", "n1", "n2", 2, 3, "replication");
        graph.add_wait("", "c1", "s1", 1, 1, "GET");
        assert_eq!(
            draw(&graph),
            r#"digraph spg {
  node [shape=circle];
    "c1" [label="c1"];
    "s1" [label="s1"];
  subgraph cluster_1 {
    label="shard \"1\"";
    "shard \"1\"/n1" [label="n1"];
    "shard \"1\"/n2" [label="n2"];
  }
  "c1" -> "s1" [color=red, label="1/1 (1)"];
  "shard \"1\"/n1" -> "shard \"1\"/n2" [color=green, label="2/3 (1)"];
}
"#
        );
    }
}
