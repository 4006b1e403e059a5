//! The harmonisation that is in force for a protocol: one fitted model per block, applied to a case.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::combat_file::CombatFile;
use super::error::TableError;
use super::scanner::{header_covariates, scanner_facts};
use crate::harmonise::{BatchKey, BatchRules, Covariate, NoBatch, RawReason};
use crate::math::stats::quantile;
use crate::report::{ImageSeries, MeasurementGroup, Space};

/// The models of a protocol, by role.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ActiveModels {
    files: BTreeMap<String, CombatFile>,
}

/// What became of one block of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockHarmonised {
    /// The role.
    pub role: String,
    /// The lesion.
    pub lesion: usize,
    /// The batch, or why there is none.
    pub batch: Result<BatchKey, NoBatch>,
    /// The model's id, where there is one for the block.
    pub model: Option<String>,
    /// Values that were harmonised.
    pub n_harmonised: usize,
    /// Why all stayed raw, where they did.
    pub raw: Option<RawReason>,
}

impl ActiveModels {
    /// Reads the models of a name: `FOLDER/NAME.json`, or every `*.json` in `FOLDER/NAME`. Each names its block.
    ///
    /// # Errors
    /// When there is none, one cannot be read, names no block, or two name the same.
    pub fn load(folder: &Path, name: &str) -> Result<Self, TableError> {
        let mut paths = Vec::new();
        let (single, several) = (folder.join(format!("{name}.json")), folder.join(name));
        if single.is_file() {
            paths.push(single);
        } else if several.is_dir() {
            let entries = std::fs::read_dir(&several).map_err(TableError::io("listing", &several))?;
            paths.extend(entries.flatten().map(|entry| entry.path()).filter(|path| is_json(path)));
            paths.sort();
        }
        if paths.is_empty() {
            return Err(TableError::Model { path: folder.join(name), reason: "holds no model".to_owned() });
        }
        let mut files = BTreeMap::new();
        for path in paths {
            let file = CombatFile::read(&path)?;
            let wrong = |reason: &str| TableError::Model { path: path.clone(), reason: reason.to_owned() };
            let block = file.block.clone().ok_or_else(|| wrong("names no block: fit it with one"))?;
            if files.insert(block, file).is_some() {
                return Err(wrong("is the second model of its block"));
            }
        }
        Ok(Self { files })
    }

    /// Where a protocol's models lie in a storage directory.
    #[must_use]
    pub fn folder(storage: &Path) -> PathBuf {
        storage.join("models").join("combat")
    }

    /// The models of some files; of two for one block the later one.
    #[must_use]
    pub fn of(files: impl IntoIterator<Item = CombatFile>) -> Self {
        let named = files.into_iter().filter_map(|file| Some((file.block.clone()?, file)));
        Self { files: named.collect() }
    }

    /// All models, each with its role.
    pub fn blocks(&self) -> impl Iterator<Item = (&String, &CombatFile)> {
        self.files.iter()
    }

    /// The model of a block.
    #[must_use]
    pub fn block(&self, role: &str) -> Option<&CombatFile> {
        self.files.get(role)
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

/// The name of a value's column in feature tables.
#[must_use]
pub fn column_name(space: Space, filter: &str, tag: &str) -> String {
    let space = match space {
        Space::Native => "native",
        Space::Aligned => "aligned",
    };
    column_in(space, filter, tag)
}

/// The same, where the space is a word of a table.
pub(super) fn column_in(space: &str, filter: &str, tag: &str) -> String {
    format!("{space}.{filter}.{tag}")
}

/// Gives every measured value of a case its harmonised twin, block by block, and says in the parameters of each group how:
/// method, batch and model, or why its values stay raw.
///
/// `known` are covariates of the patient (one row each) beside those of the headers (`age`, `sex`); they come first.
#[must_use]
pub fn harmonise_case(
    groups: &mut [MeasurementGroup],
    images: &[ImageSeries],
    known: &[Covariate],
    models: &ActiveModels,
    settings_sha256: &str,
    rules: &BatchRules,
) -> Vec<BlockHarmonised> {
    let mut covariates = known.to_vec();
    for covariate in header_covariates(images.iter().map(|image| &*image.header)) {
        if !covariates.iter().any(|known| known.name == covariate.name) {
            covariates.push(covariate);
        }
    }
    let mut done = Vec::new();
    for image in images {
        let batch = rules.key(&scanner_facts(&image.header));
        let file = models.block(&image.role);
        for group in groups.iter_mut().filter(|group| group.role == image.role) {
            let outcome = harmonise_group(group, &batch, file, &covariates, settings_sha256);
            let raw = outcome.as_ref().err().cloned();
            group.parameters.extend(parameters(&batch, file, raw.as_ref()));
            done.push(BlockHarmonised {
                role: image.role.clone(),
                lesion: group.lesion,
                batch: batch.clone(),
                model: file.map(|file| file.id.clone()),
                n_harmonised: outcome.unwrap_or(0),
                raw,
            });
        }
    }
    done
}

/// How many values of a group were harmonised.
fn harmonise_group(
    group: &mut MeasurementGroup,
    batch: &Result<BatchKey, NoBatch>,
    file: Option<&CombatFile>,
    covariates: &[Covariate],
    settings_sha256: &str,
) -> Result<usize, RawReason> {
    let file = file.ok_or(RawReason::NoModel)?;
    if file.settings_sha256.as_ref().is_some_and(|hash| hash != settings_sha256) {
        return Err(RawReason::OtherSettings);
    }
    let batch = batch.as_ref().map_err(|_| RawReason::NoBatch)?;
    // A nested model needs the parts of the key apart; what the daemon knows is the whole.
    let model = file.single().ok_or(RawReason::NoModel)?;
    let names: Vec<String> =
        group.values.iter().map(|value| column_name(group.space, &value.filter, &value.tag)).collect();
    let values: Vec<(&str, f64)> =
        names.iter().zip(&group.values).map(|(name, value)| (name.as_str(), value.value)).collect();
    let harmonised = model.apply_one(&batch.label, covariates, &values)?;
    if let Some(spread) = &file.spread {
        let sds =
            values.iter().filter_map(|(name, value)| model.value_sd(spread, name, &batch.label, covariates, *value));
        group.parameters.extend(uncertainty(sds.collect(), spread.n_fitted));
    }
    let mut n = 0;
    for (value, harmonised) in group.values.iter_mut().zip(harmonised) {
        value.harmonised_value = harmonised;
        n += usize::from(harmonised.is_some());
    }
    Ok(n)
}

/// How sure the harmonised values are, in one line: half of them are surer.
fn uncertainty(mut sds: Vec<f64>, n_replicates: usize) -> Option<String> {
    sds.sort_by(f64::total_cmp);
    let median = quantile(&sds, 0.5);
    median.is_finite().then(|| {
        format!("harmonisation_uncertainty=median {median:.3} standard deviations, by {n_replicates} resampled cohorts")
    })
}

/// Lines for TID 4019 Algorithm Parameters.
fn parameters(batch: &Result<BatchKey, NoBatch>, file: Option<&CombatFile>, raw: Option<&RawReason>) -> Vec<String> {
    let mut lines = vec![match batch {
        Ok(key) => format!("harmonisation_batch={}", key.label),
        Err(reason) => format!("harmonisation_batch=none: {reason}"),
    }];
    if let Some(program) = batch.as_ref().ok().and_then(|key| key.converted_by.as_ref()) {
        lines.push(format!("harmonisation_images_converted_by={program}"));
    }
    if let Some(file) = file {
        lines.push(format!("harmonisation_model={}", file.id));
        lines.push("harmonisation_method=ComBat".to_owned());
        if file.model.stages.iter().any(|model| model.settings.allow_confounded) {
            lines.push("harmonisation_confounded=allowed".to_owned());
        }
    }
    if let Some(reason) = raw {
        lines.push(format!("harmonisation_raw={reason}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::combat_file::CombatContent;
    use super::super::testing::case;
    use super::*;
    use crate::clock::Timestamp;
    use crate::harmonise::testing::{Effects, cohort};
    use crate::harmonise::{Features, FitSettings, Resampling, Samples, bootstrap, fit_nested};
    use crate::report::CaseResult;

    /// A model of the two features of the test case, for a GE and a Siemens scanner.
    fn file(settings_sha256: Option<&str>) -> CombatFile {
        let mut training = cohort(&[40, 40], 2, &Effects { shifts: vec![0.0, 3.0], ..Effects::default() }, 5);
        let columns = [0, 1].map(|idx| training.features.column(idx).to_vec());
        let names = ["stat_mean", "stat_max"].map(|tag| column_name(Space::Native, "none", tag)).to_vec();
        training.features = Features::new(names, &columns).unwrap();
        for label in &mut training.batches.labels {
            *label = format!("CT|{}|DISCOVERY ST|SOFT", if label == "A" { "GE" } else { "SIEMENS" });
        }
        let samples = Samples { ..training.samples() };
        let model = fit_nested(&samples, &[training.batches.clone()], &FitSettings::default()).unwrap();
        let resampling = Resampling { n_replicates: 20, seed: 1 };
        let spread = Some(bootstrap(&model.stages[0], &samples, resampling).unwrap());
        let settings_sha256 = settings_sha256.map(str::to_owned);
        let block = Some("CT".to_owned());
        let content = CombatContent { block, settings_sha256, model, baseline: None, spread };
        CombatFile::new(content, Timestamp::UNIX_EPOCH).unwrap()
    }

    fn harmonised(case: &mut CaseResult, models: &ActiveModels) -> BlockHarmonised {
        let rules = BatchRules::built_in();
        let hash = case.settings_hash.clone();
        harmonise_case(&mut case.groups, &case.images, &[], models, &hash, &rules).remove(0)
    }

    #[test]
    fn a_known_scanner_is_harmonised_and_the_group_says_by_what() {
        let models = ActiveModels::of([file(Some("hash"))]);
        let mut siemens = case("c", "p", "SIEMENS", 1, 13.0);
        let found = harmonised(&mut siemens, &models);
        assert_eq!((found.n_harmonised, &found.raw), (2, &None));
        let value = &siemens.groups[0].values[0];
        let after = value.harmonised_value.unwrap();
        // The Siemens scanner measured 3 more than the GE one; both meet in the middle.
        assert!((after - (13.0 - 1.5)).abs() < 0.6, "{after}");
        assert!((value.value - 13.0).abs() <= 0.0);
        let lines = siemens.groups[0].parameters.join("\n");
        assert!(lines.contains("harmonisation_batch=CT|SIEMENS|DISCOVERY ST|SOFT"), "{lines}");
        assert!(lines.contains("harmonisation_uncertainty=median 0."), "{lines}");
        assert!(lines.contains(&format!("harmonisation_model={}", models.block("CT").unwrap().id)));
    }

    #[test]
    fn what_cannot_be_harmonised_stays_raw_with_its_reason() {
        let models = ActiveModels::of([file(Some("hash"))]);
        let raw = |case: &mut CaseResult, models: &ActiveModels| {
            let found = harmonised(case, models);
            assert!(case.groups[0].values.iter().all(|value| value.harmonised_value.is_none()));
            assert!(case.groups[0].parameters.iter().any(|line| line.starts_with("harmonisation_raw=")));
            found.raw.unwrap()
        };
        let mut philips = case("c", "p", "Philips", 1, 13.0);
        assert!(matches!(raw(&mut philips, &models), RawReason::UnknownBatch(_)));
        let mut planning = case("c", "p", "Varian Medical Systems", 1, 13.0);
        assert_eq!(raw(&mut planning, &models), RawReason::NoBatch);
        let mut other = case("c", "p", "GE", 1, 13.0);
        other.settings_hash = "another".to_owned();
        assert_eq!(raw(&mut other, &models), RawReason::OtherSettings);
        assert_eq!(raw(&mut case("c", "p", "GE", 1, 13.0), &ActiveModels::default()), RawReason::NoModel);
        // The model protects age: a patient of unknown age stays raw.
        let mut ageless = case("c", "p", "GE", 1, 13.0);
        std::sync::Arc::make_mut(&mut ageless.images[0].header).remove_element(dicom_dictionary_std::tags::PATIENT_AGE);
        assert_eq!(raw(&mut ageless, &models), RawReason::MissingCovariate("age".to_owned()));
    }

    #[test]
    fn models_are_found_by_name_as_one_file_or_as_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ActiveModels::load(folder.path(), "site").is_err());
        file(None).write(&folder.path().join("site.json")).unwrap();
        assert!(ActiveModels::load(folder.path(), "site").unwrap().block("CT").is_some());
        let several = folder.path().join("several");
        std::fs::create_dir(&several).unwrap();
        file(None).write(&several.join("ct.json")).unwrap();
        assert_eq!(ActiveModels::load(folder.path(), "several").unwrap().block("CT").unwrap(), &file(None));
        file(None).write(&several.join("again.json")).unwrap();
        assert!(ActiveModels::load(folder.path(), "several").unwrap_err().to_string().contains("second model"));
    }
}
