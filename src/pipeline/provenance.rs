//! What a result was made from and how, as two digests.

use sha2::{Digest, Sha256};

use super::error::PipelineError;
use super::job::Job;

/// The version of the arithmetic. It goes up with every change that gives any feature of any image another value under the
/// same settings: a formula, an order of steps, a default that no setting names. Models are tied to it, and results of
/// two versions are never compared.
pub const NUMERICS_VERSION: u32 = 1;

/// SHA-256 (hex) of the settings that values depend on and of the numerics version.
pub(super) fn settings_hash(settings: &serde_json::Value) -> String {
    // Keys of a JSON object are sorted: the text depends on the settings alone.
    let measurement = settings.get("measurement").cloned().unwrap_or_default();
    let text = serde_json::json!({ "measurement": measurement, "numerics_version": NUMERICS_VERSION }).to_string();
    hex(text.as_bytes())
}

/// SHA-256 (hex) over the sorted digests of every instance of the case.
pub(super) fn inputs_digest(job: &Job<'_>) -> Result<String, PipelineError> {
    let digest = |uid| job.file(uid, "case").map(|file| file.digest.to_string());
    let mut digests: Vec<String> = job.spec.instances().map(digest).collect::<Result<_, _>>()?;
    digests.sort_unstable();
    Ok(hex(digests.join("\n").as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_depends_on_what_values_depend_on_and_on_nothing_else() {
        let settings = |spacing: f64, name: &str| serde_json::json!({ "measurement": { "grid": spacing }, "selection": { "name": name } });
        let hash = settings_hash(&settings(1.0, "a"));
        assert_eq!(hash, settings_hash(&settings(1.0, "b")));
        assert_ne!(hash, settings_hash(&settings(2.0, "a")));
        assert_eq!(hash.len(), 64);
    }
}
