//! Sweeps: which cells a file has, what is in them, and what they are called.

use depbench::experiment::{Cell, from_text};

fn cells(rest: &str) -> Vec<Cell> {
    let text = format!("name: x\ncluster: {{local: {{servers: 3}}}}\n{rest}\n");
    from_text("x.yaml", text)
        .unwrap_or_else(|error| panic!("{error}"))
        .cells
}

fn names(cells: &[Cell]) -> Vec<&str> {
    cells.iter().map(|cell| cell.id.as_str()).collect()
}

#[test]
fn without_a_sweep_every_target_is_a_cell() {
    assert_eq!(
        names(&cells("targets: [{depfast-raft: {}}, {etcd: {}}]")),
        ["depfast-raft", "etcd"]
    );
}

#[test]
fn a_grid_takes_every_combination_the_last_field_first() {
    let cells = cells(
        "targets: [{etcd: {}}]\nsweep: {workload.clients: [16, 32], workload.value: [16B, 1KiB]}",
    );
    assert_eq!(
        names(&cells),
        [
            "etcd,clients=16,value=16B",
            "etcd,clients=16,value=1KiB",
            "etcd,clients=32,value=16B",
            "etcd,clients=32,value=1KiB"
        ]
    );
    assert_eq!(cells[3].workload.clients.get(), 32);
    assert_eq!(cells[3].workload.value.to_string(), "1KiB");
    assert_eq!(cells[3].settings[1].path, "workload.value");
}

#[test]
fn a_setting_of_one_target_matters_to_that_target_alone() {
    let cells = cells(
        "targets: [{depfast-raft: {}}, {redis: {}}]\nsweep: {targets.depfast-raft.durability: [fsync, memory]}",
    );
    assert_eq!(
        names(&cells),
        [
            "depfast-raft,durability=fsync",
            "depfast-raft,durability=memory",
            "redis"
        ]
    );
    assert!(cells[2].settings.is_empty());
}

const FAULTS: &str = "targets: [{depfast-raft: {}}]
phases: {fault: 10s}
faults:
  - {name: one, type: {cpu.quota: {share: 5%}}, on: {node: s1}}
  - {name: two, type: {net.delay: {delay: 4ms}}, on: {node: s1}}
";

#[test]
fn fields_of_the_same_name_are_told_apart() {
    let cells = cells(&format!(
        "{FAULTS}sweep: {{faults.one.during: [fault], faults.two.during: [fault]}}"
    ));
    assert_eq!(
        names(&cells),
        ["depfast-raft,one.during=fault,two.during=fault"]
    );
}

#[test]
fn a_whole_choice_can_be_swept() {
    let cells = cells(&format!(
        "{FAULTS}sweep: {{faults.one.type: [{{cpu.quota: {{share: 50%}}}}, {{memory.limit: {{bytes: 50MB}}}}]}}"
    ));
    assert_eq!(cells[0].faults[0].kind.to_string(), "cpu.quota 50%");
    assert_eq!(cells[1].faults[0].kind.to_string(), "memory.limit 50MB");
    assert_eq!(
        names(&cells),
        [
            "depfast-raft,type=cpu.quota-50%",
            "depfast-raft,type=memory.limit-50MB"
        ]
    );
}

#[test]
fn fields_that_the_file_leaves_out_can_be_swept() {
    let swept = cells(
        "targets: [{etcd: {}}]\nsweep: {phases.warmup: [1s, 2s], workload.keys.uniform.count: [9]}",
    );
    assert_eq!(swept.len(), 2);
    assert_eq!(swept[1].phases.warmup.to_string(), "2s");
    assert_eq!(swept[1].workload.keys.count(), 9);
    let needed = "targets: [{etcd: {}}]\nworkload: {mode: {open: {arrivals: poisson}}}
sweep: {workload.mode.open.rate: [500/s, 900/s]}";
    assert_eq!(
        names(&cells(needed)),
        ["etcd,rate=500_s", "etcd,rate=900_s"]
    );
}

#[test]
fn servers_can_be_swept() {
    let cells = cells("targets: [{etcd: {}}]\nsweep: {cluster.local.servers: [3, 5]}");
    assert_eq!(cells[1].cluster.servers(), 5);
}
