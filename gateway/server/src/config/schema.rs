//! The JSON schema of the configuration file, for editors.

use super::file::File;

/// As `switchboard config schema` prints it.
pub(crate) fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(File).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), "switchboard.yaml".into());
    }
    schema
}
