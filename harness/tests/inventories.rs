//! Ansible inventories as the cluster of an experiment.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::collections::BTreeSet;
use std::path::Path;

use depbench::cluster::spec::{Become, ClusterSpec, HostKeys, SshNode, SshRole, SshSpec};
use depbench::experiment::{Experiment, from_text, load};

/// The experiment of an inventory, which `cluster` names.
fn experiment(inventory: &str, cluster: &str) -> Experiment {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("inventory.yml"), inventory).unwrap();
    let file = folder.path().join("experiment.yaml");
    let text =
        format!("name: x\ncluster: {{inventory: {cluster}}}\ntargets: [{{depfast-raft: {{}}}}]\n");
    std::fs::write(&file, text).unwrap();
    load(&file).unwrap_or_else(|error| panic!("{error}"))
}

fn ssh(experiment: &Experiment) -> &SshSpec {
    match &experiment.spec.cluster {
        ClusterSpec::Ssh(spec) => spec,
        ClusterSpec::Local(_) => panic!("an inventory has machines"),
    }
}

fn node<'a>(spec: &'a SshSpec, name: &str) -> &'a SshNode {
    let node = spec.nodes.iter().find(|node| node.name.as_str() == name);
    node.unwrap_or_else(|| panic!("no {name} in {spec:?}"))
}

#[test]
fn variables_become_fields() {
    let experiment = experiment(
        "all:
  hosts:
    s1: {ansible_host: 10.0.0.1, ansible_port: 2222}
  vars:
    ansible_user: ubuntu
    ansible_become_method: doas
    ansible_ssh_common_args: -F ../ssh_config
  children:
    elsewhere: {hosts: {db1: {}}}
    cluster:
      vars: {ansible_user: bench, ansible_ssh_private_key_file: ~/.ssh/bench}
      children:
        servers:
          hosts: {'s[1:3]': {}}
          vars: {depbench_program_source: ./depbench, depbench_disk_device: /dev/vdb, depbench_disk_mount: /data}
        clients: {hosts: {s3: {data_address: 192.168.0.3}, c1: {ansible_become: false, ansible_port: , depbench_program_source: }}}
",
        "inventory.yml",
    );
    let spec = ssh(&experiment);
    let names: Vec<&str> = spec.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["c1", "s1", "s2", "s3"]);
    assert_eq!(spec.config.as_deref(), Some(Path::new("../ssh_config")));
    assert_eq!(spec.host_keys, HostKeys::Strict);

    let first = node(spec, "s1");
    assert_eq!(first.destination(), "10.0.0.1");
    assert_eq!(first.login.port.unwrap().get(), 2222);
    // The inner group's goes before the outer one's.
    assert_eq!(first.login.user.as_deref(), Some("bench"));
    assert_eq!(
        first.login.identity.as_deref(),
        Some(Path::new("~/.ssh/bench"))
    );
    assert_eq!(first.login.r#become, Some(Become::Doas));
    assert_eq!(
        first.login.program.as_deref(),
        Some(Path::new("/usr/local/bin/depbench"))
    );
    assert_eq!(first.login.state_dir.as_deref(), Some(Path::new("/data")));

    let both = node(spec, "s3");
    assert_eq!(both.destination(), "s3");
    assert_eq!(
        both.roles,
        BTreeSet::from([SshRole::Server, SshRole::Client])
    );
    assert_eq!(both.data_address.unwrap().to_string(), "192.168.0.3");

    let client = node(spec, "c1");
    assert_eq!(client.login.r#become, Some(Become::None));
    assert_eq!(
        (&client.login.program, &client.login.state_dir),
        (&None, &None)
    );
}

#[test]
fn results_know_the_nodes_not_the_inventory() {
    let inventory = "servers: {hosts: {s1: }}\nclients: {hosts: {c1: {ansible_host: 10.0.0.9}}}\n";
    let settings =
        "{file: inventory.yml, host_keys: accept-new, disk: {own: 256MiB}, login: {user: bench}}";
    let experiment = experiment(inventory, settings);
    let spec = ssh(&experiment);
    assert_eq!(spec.host_keys, HostKeys::AcceptNew);
    assert_eq!(spec.login.user.as_deref(), Some("bench"));
    let resolved = experiment.resolved();
    assert!(
        !resolved.contains("inventory") && resolved.contains("10.0.0.9"),
        "{resolved}"
    );
    // The inventory is gone by now.
    let again = from_text("resolved", resolved).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.spec, experiment.spec);
}

#[test]
fn the_example_for_the_playbook_is_one() {
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../ansible/inventory.example.yml"
    );
    let experiment = experiment("", &format!("\"{example}\""));
    let spec = ssh(&experiment);
    assert_eq!(spec.nodes.len(), 6);
    assert_eq!(node(spec, "s2").destination(), "10.0.0.12");
}
