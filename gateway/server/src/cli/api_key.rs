//! `switchboard api-key`: keys for callers.

use anyhow::anyhow;

use super::Failure;
use crate::authenticate::fresh_api_key;

/// Prints a fresh key once, and the line for the file of hashes.
pub(super) fn new(id: &str, scopes: &[String]) -> Result<(), Failure> {
    let (key, hash) = fresh_api_key().ok_or_else(|| anyhow!("there is no randomness"))?;
    // Names and scopes in JSON are names and scopes in YAML, whatever they hold.
    let id = serde_json::json!(id);
    let scopes = serde_json::json!(scopes);
    println!("# The key, shown this once. Give it to the caller:");
    println!("# {key}");
    println!("# The line for the file that `authentication.api_keys.file` names:");
    println!("- {{ id: {id}, hash: {hash}, scopes: {scopes} }}");
    Ok(())
}
