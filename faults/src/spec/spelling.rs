//! Faults as a person types them on a command line.

use std::str::FromStr;

use serde_json::{Map, Value};
use vocab::problem::{FieldPath, Problems, Validate, nearest};

use super::FaultType;
use crate::catalog::{self, Listed};

/// A fault on a command line cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpellingError(String);

/// `TYPE`, `TYPE=VALUE` for a type with one required parameter, `TYPE=PARAMETER=VALUE,PARAMETER=VALUE…`, or both:
/// `cpu.quota=5%`, `net.delay=40ms,jitter=5ms`, `process.pause=for=100ms,period=1s`, `process.pause`. Also as
/// it stands in a file, `{cpu.quota: {share: 5%}}`, and as JSON.
impl FromStr for FaultType {
    type Err = SpellingError;

    fn from_str(text: &str) -> Result<FaultType, SpellingError> {
        let json = match text.trim_start().starts_with('{') {
            true if text.contains('"') => {
                serde_json::from_str(text).map_err(|error| wrong(text, &error))?
            }
            true => spelt(&from_file(text)?)?,
            false => spelt(text)?,
        };
        let kind: FaultType = serde_json::from_value(json).map_err(|error| wrong(text, &error))?;
        let mut problems = Problems::default();
        kind.validate(&FieldPath::root(), &mut problems);
        match problems.into_vec().first() {
            Some(problem) => Err(SpellingError(match &problem.help {
                Some(help) => format!("{problem}; {help}"),
                None => problem.to_string(),
            })),
            None => Ok(kind),
        }
    }
}

fn wrong(text: &str, error: &serde_json::Error) -> SpellingError {
    let error = error.to_string();
    // The column of text that nobody typed says nothing.
    let message = error.split(" at line ").next().unwrap_or(&error);
    SpellingError(format!("`{text}`: {message}"))
}

fn spelt(text: &str) -> Result<Value, SpellingError> {
    let (name, parameters) = text.split_once('=').unwrap_or((text, ""));
    let fault = find(name.trim())?;
    let mut fields = Map::new();
    let items = parameters.split(',').map(str::trim);
    for (position, item) in items.filter(|item| !item.is_empty()).enumerate() {
        let (parameter, value) = match item.split_once('=') {
            Some((parameter, value)) => (known(&fault, parameter.trim())?, value.trim()),
            None if position == 0 => (main_parameter(&fault)?, item),
            None => {
                let example = &fault.parameters[0].name;
                return Err(SpellingError(format!(
                    "`{item}` is no parameter of {}, expected as in `{example}={item}`",
                    fault.name
                )));
            }
        };
        if fields.insert(parameter.clone(), scalar(value)).is_some() {
            return Err(SpellingError(format!("`{parameter}` is given twice")));
        }
    }
    Ok(Value::Object(Map::from_iter([(
        fault.name.to_owned(),
        Value::Object(fields),
    )])))
}

/// The short spelling of `{TYPE: {PARAMETER: VALUE, …}}`.
fn from_file(text: &str) -> Result<String, SpellingError> {
    let inside = |text: &str| {
        let text = text.trim().strip_prefix('{')?.strip_suffix('}')?;
        Some(text.trim().to_owned())
    };
    let short = || {
        let whole = inside(text)?;
        let (name, parameters) = whole.split_once(':')?;
        let fields: Option<Vec<String>> = inside(parameters)?
            .split(',')
            .filter(|field| !field.trim().is_empty())
            .map(|field| {
                let (parameter, value) = field.split_once(':')?;
                Some(format!("{}={}", parameter.trim(), value.trim()))
            })
            .collect();
        Some(format!("{name}={}", fields?.join(",")))
    };
    short().ok_or_else(|| {
        SpellingError(format!(
            "`{text}` is no fault, expected such as cpu.quota=5% or {{cpu.quota: {{share: 5%}}}}"
        ))
    })
}

fn find(name: &str) -> Result<Listed, SpellingError> {
    let all = catalog::list();
    let names: Vec<&str> = all.iter().map(|fault| fault.name).collect();
    let near = nearest(name, names.iter().copied())
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default();
    let unknown = format!(
        "there is no fault `{name}`, only {}{near}",
        names.join(", ")
    );
    all.into_iter()
        .find(|fault| fault.name == name)
        .ok_or(SpellingError(unknown))
}

fn known(fault: &Listed, parameter: &str) -> Result<String, SpellingError> {
    let names = || fault.parameters.iter().map(|one| one.name.as_str());
    if names().any(|name| name == parameter) {
        return Ok(parameter.to_owned());
    }
    let near = nearest(parameter, names())
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default();
    let all: Vec<&str> = names().collect();
    Err(SpellingError(format!(
        "{} has no parameter `{parameter}`, only {}{near}",
        fault.name,
        all.join(", ")
    )))
}

/// The one that a value alone is for.
fn main_parameter(fault: &Listed) -> Result<String, SpellingError> {
    let mut required = fault.parameters.iter().filter(|one| !one.optional);
    match (required.next(), required.next()) {
        (Some(one), None) => Ok(one.name.clone()),
        _ => {
            let names: Vec<String> = fault
                .parameters
                .iter()
                .map(|one| format!("{}=…", one.name))
                .collect();
            Err(SpellingError(format!(
                "{} wants its parameters by name: {}={}",
                fault.name,
                fault.name,
                names.join(",")
            )))
        }
    }
}

/// Numbers and truth values are none in quotes.
fn scalar(text: &str) -> Value {
    match (text.parse::<u64>(), text.parse::<bool>()) {
        (Ok(number), _) => Value::from(number),
        (_, Ok(truth)) => Value::from(truth),
        _ => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_spelt_short() {
        for (text, shown) in [
            ("cpu.quota=5%", "cpu.quota 5%"),
            ("cpu.quota=share=5%", "cpu.quota 5%"),
            ("net.delay=40ms,jitter=5ms", "net.delay 40ms ± 5ms"),
            (
                "cpu.contention=15x,threads=2",
                "cpu.contention 15x on 2 threads",
            ),
            ("process.pause", "process.pause"),
            (
                "process.pause=for=100ms,period=1s",
                "process.pause 100ms every 1s",
            ),
            (
                "{net.delay: {delay: 40ms, jitter: 1ms}}",
                "net.delay 40ms ± 1ms",
            ),
            ("{process.pause: {}}", "process.pause"),
            (r#"{"cpu.quota":{"share":"5%"}}"#, "cpu.quota 5%"),
        ] {
            let kind: FaultType = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(kind.to_string(), shown);
        }
    }

    #[test]
    fn every_type_is_spelt_as_the_json_of_files_too() {
        for fault in catalog::typical() {
            let text = serde_json::to_string(&fault).unwrap();
            assert_eq!(text.parse::<FaultType>().unwrap(), fault);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_nearest_right_thing() {
        for (text, message) in [
            ("cpu.qouta=5%", "did you mean `cpu.quota`"),
            ("", "there is no fault ``"),
            ("cpu.quota", "missing field `share`"),
            ("cpu.quota=5", "5"),
            ("cpu.quota=0%", "process.pause"),
            ("cpu.quota=5%,6%", "no parameter of cpu.quota"),
            ("net.delay=40ms,jiter=5ms", "did you mean `jitter`"),
            ("net.delay=40ms,delay=50ms", "twice"),
            ("process.pause=100ms", "by name: process.pause=for=…"),
            ("{cpu", "is no fault, expected"),
            ("{\"cpu\"", "EOF while parsing"),
        ] {
            let error = text.parse::<FaultType>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
