//! Which of the models that a configuration names cannot be used: said before the first case comes.

use std::collections::BTreeSet;
use std::path::Path;

use super::active::ActiveModels;
use super::fusion;

/// One sentence for each named `ComBat` model and bundle of a storage directory that cannot be used, with its reason.
#[must_use]
pub fn unusable_models<'a>(
    storage: &Path,
    combat: impl IntoIterator<Item = &'a String>,
    bundles: impl IntoIterator<Item = &'a String>,
) -> Vec<String> {
    let combat: BTreeSet<&String> = combat.into_iter().collect();
    let bundles: BTreeSet<&String> = bundles.into_iter().collect();
    let folder = ActiveModels::folder(storage);
    let combat = combat.into_iter().filter_map(|name| {
        let error = ActiveModels::load(&folder, name).err()?;
        Some(format!("harmonise.model \"{name}\" cannot be used, values stay as they were measured: {error}"))
    });
    let bundles = bundles.into_iter().filter_map(|name| {
        let error = fusion::active(storage, name).err()?;
        Some(format!("fusion.bundle \"{name}\" cannot be used, nothing is predicted: {error}"))
    });
    combat.chain(bundles).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_not_there_is_named_once_with_its_reason() {
        let storage = tempfile::tempdir().unwrap();
        let name = "death".to_owned();
        let said = unusable_models(storage.path(), [&name], [&name, &name]);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("harmonise.model \"death\" cannot be used"));
        assert!(
            said[1].contains("fusion.bundle \"death\"") && said[1].ends_with("holds no active bundle"),
            "{}",
            said[1]
        );
        assert!(unusable_models(storage.path(), [], []).is_empty());
    }
}
