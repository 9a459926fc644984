//! The JSON Schema of the experiment file, for editors.

use schemars::generate::SchemaSettings;

use super::Spec;

/// The schema as it is committed beside the examples, with a final newline.
///
/// # Panics
/// Never: a schema is JSON.
pub fn text() -> String {
    let schema = SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<Spec>();
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}
