use std::io::Write;

/// Says something where a person may read it. Standard error may be a pipe that nobody reads any more, which must not
/// keep the agent from its work, as `eprintln!` would.
pub(super) fn complain(text: &str) {
    let _unheard = writeln!(std::io::stderr(), "depbench agent: {text}");
}
