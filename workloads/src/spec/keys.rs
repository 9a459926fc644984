use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::problem::{FieldPath, Problems, Validate};

/// Which keys are written and read; a key is `key:` and twelve digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Keys {
    /// Each key as likely as any other.
    Uniform {
        /// How many keys there are.
        #[serde(default = "default_count")]
        count: u64,
    },
}

fn default_count() -> u64 {
    100_000
}

impl Default for Keys {
    fn default() -> Self {
        Keys::Uniform {
            count: default_count(),
        }
    }
}

impl Keys {
    /// How many keys there are.
    pub fn count(&self) -> u64 {
        match self {
            Keys::Uniform { count } => *count,
        }
    }
}

impl Validate for Keys {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        let Keys::Uniform { count } = self;
        if !(1..=1_000_000_000_000).contains(count) {
            problems.add(
                at.key("uniform").key("count"),
                format!("{count} keys are not from 1 to 1000000000000"),
            );
        }
    }
}
