//! `combat fit` and `combat apply` as a person uses them: tables in, tables and a model out.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use radiomicsd::clock::Timestamp;
use radiomicsd::harmonise::{Estimator, FitSettings, Resampling, Rule};
use radiomicsd::table::combat::{self, ApplyOptions, FitInput, FitOptions};
use radiomicsd::table::{CombatFile, TableError, WideTable};

use crate::support::{largest_difference, published, reference};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn options(&self, features: PathBuf, covariates: PathBuf) -> FitOptions {
        FitOptions {
            input: FitInput::Tables { features, covariates },
            batch: vec!["batch".to_owned()],
            protect: Vec::new(),
            categorical: Vec::new(),
            settings: FitSettings::default(),
            resampling: None,
            block: None,
            settings_sha256: None,
            model: self.path("model.json"),
            out: Some(self.path("out.csv")),
            picture: None,
        }
    }

    fn apply(&self, features: &Path, covariates: &Path) -> ApplyOptions {
        ApplyOptions {
            model: self.path("model.json"),
            features: features.to_owned(),
            covariates: covariates.to_owned(),
            out: self.path("applied.csv"),
            propose: None,
        }
    }
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn names(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Two scanners of twenty patients and one of four, three features and one that is constant on the first scanner.
fn tables(folder: &Folder) -> (PathBuf, PathBuf) {
    let (mut features, mut covariates) = ("id,a,b,c,flat\n".to_owned(), "id,batch,age,site\n".to_owned());
    for i in 0..44u32 {
        let (batch, shift) = match i {
            0..20 => ("x", 0.0),
            20..40 => ("y", 3.0),
            _ => ("z", -2.0),
        };
        let noise = |k: u32| f64::from((i * 37 + k * 101 + i * i * 7) % 97) / 48.5 - 1.0;
        let flat = if i < 20 { 5.0 } else { noise(9) };
        let _ = writeln!(features, "P{i},{},{},{},{flat}", noise(1) + shift, noise(2) + shift, noise(3) - shift);
        let _ = writeln!(covariates, "P{i},{batch},{},{}", 40 + (i * 13) % 30, if i % 3 == 0 { "N" } else { "S" });
    }
    (folder.write("f.csv", &features), folder.write("c.csv", &covariates))
}

#[test]
fn fit_and_apply_on_files_equal_the_reference() {
    let Some(data) = reference() else { return };
    let data = data.join("dev/pet_sw");
    let folder = Folder::new();
    let options = FitOptions {
        protect: names(&["age", "sex", "grade"]),
        categorical: names(&["sex", "grade"]),
        settings: published(Estimator::Parametric),
        ..folder.options(data.join("input_features.csv"), data.join("input_covariates.csv"))
    };
    let outcome = combat::fit(&options, now()).unwrap();
    assert_eq!(outcome.n_harmonised, 40);
    let read = |path: &Path| WideTable::read(path).unwrap();
    let expected = read(&data.join("out_param_cov.csv"));
    let found = read(&folder.path("out.csv"));
    assert_eq!((&found.id_name, &found.ids), (&expected.id_name, &expected.ids));
    assert!(largest_difference(&found.features().unwrap(), &expected.features().unwrap()) <= 1e-8);
    combat::apply(&folder.apply(&data.join("input_features.csv"), &data.join("input_covariates.csv"))).unwrap();
    // The model that was written and read is the model that was fitted, to the last bit.
    assert_eq!(std::fs::read(folder.path("applied.csv")).unwrap(), std::fs::read(folder.path("out.csv")).unwrap());
}

#[test]
fn small_batches_and_constant_features_are_told() {
    let folder = Folder::new();
    let (features, covariates) = tables(&folder);
    let mut options = folder.options(features.clone(), covariates.clone());
    options.protect = names(&["age"]);
    options.resampling = Some(Resampling { n_replicates: 20, seed: 1 });
    options.picture = Some(folder.path("picture.svg"));
    let outcome = combat::fit(&options, now()).unwrap();
    assert_eq!(outcome.unchanged, [("flat".to_owned(), "it is constant in batch \"x\"".to_owned())]);
    assert!(outcome.remarks.iter().any(|remark| remark.sentence.contains("batch \"z\" has 4 samples, fewer than 10")));
    assert!(outcome.text().contains("batch z  4 patients, shift only"), "{}", outcome.text());
    let (before, after) = (WideTable::read(&features).unwrap(), WideTable::read(&folder.path("out.csv")).unwrap());
    assert_eq!(before.numbers("flat").unwrap(), after.numbers("flat").unwrap());
    let file = CombatFile::read(&folder.path("model.json")).unwrap();
    assert_eq!(file.id, outcome.id);
    assert_eq!(file.spread.as_ref().unwrap().features.len(), 3);
    assert!(std::fs::read_to_string(folder.path("picture.svg")).unwrap().contains(&outcome.id));
}

#[test]
fn patients_of_unknown_scanners_and_ages_stay_raw_and_a_new_scanner_is_proposed_and_accepted() {
    let folder = Folder::new();
    let (features, covariates) = tables(&folder);
    let options = FitOptions { protect: names(&["age"]), ..folder.options(features.clone(), covariates.clone()) };
    combat::fit(&options, now()).unwrap();
    // Four patients of the second scanner are said to come from a new one, one has no age, one is not in the table.
    let mut text = std::fs::read_to_string(&covariates).unwrap();
    for i in 20..24 {
        text = text.replace(&format!("P{i},y"), &format!("P{i},new"));
    }
    text = text.replace("P0,x,40,", "P0,x,NA,").replace("P1,x", "Q1,x");
    let changed = folder.write("changed.csv", &text);
    let mut apply = folder.apply(&features, &changed);
    apply.propose = Some(folder.path("proposed.json"));
    let outcome = combat::apply(&apply).unwrap();
    assert_eq!((outcome.n_patients, outcome.n_harmonised), (44, 38));
    let reasons: Vec<(&str, usize)> = outcome.raw.iter().map(|(reason, n)| (reason.as_str(), *n)).collect();
    assert_eq!(
        reasons,
        [
            ("batch \"new\" is not in the model", 4),
            ("protected covariate \"age\" is missing", 1),
            ("the batch is not known", 1)
        ]
    );
    assert_eq!(outcome.proposed, ["new"]);
    apply.model = folder.path("proposed.json");
    apply.propose = None;
    let outcome = combat::apply(&apply).unwrap();
    assert!(outcome.raw.keys().any(|reason| reason.contains("proposed and not accepted")), "{:?}", outcome.raw);
    let id = combat::accept(&apply.model, "new", now()).unwrap();
    let outcome = combat::apply(&apply).unwrap();
    assert_eq!((outcome.n_harmonised, outcome.id), (42, id));
    assert!(combat::accept(&apply.model, "new", now()).is_err());
}

#[test]
fn a_known_covariate_that_goes_with_the_scanner_is_told_when_it_is_not_protected() {
    let folder = Folder::new();
    let (features, covariates) = tables(&folder);
    let text = std::fs::read_to_string(&covariates).unwrap().replace(",y,4", ",y,7").replace(",y,5", ",y,7");
    let older = folder.write("older.csv", &text);
    let outcome = combat::fit(&folder.options(features.clone(), older.clone()), now()).unwrap();
    let told = outcome.remarks.iter().find(|remark| remark.rule == Rule::W2).unwrap();
    assert!(told.sentence.contains("\"age\" is not protected and is associated with batch column \"batch\""), "{told}");
    let protected = FitOptions { protect: names(&["age"]), ..folder.options(features, older) };
    let outcome = combat::fit(&protected, now()).unwrap();
    assert!(outcome.remarks.iter().all(|remark| remark.rule != Rule::W2));
    assert!(outcome.remarks.iter().any(|remark| remark.rule == Rule::W1));
}

#[test]
fn what_cannot_be_done_is_a_sentence_about_columns_and_files() {
    let folder = Folder::new();
    let (features, covariates) = tables(&folder);
    let told = |options: &FitOptions| combat::fit(options, now()).unwrap_err().to_string();
    let options = folder.options(features.clone(), covariates.clone());
    let no_column = told(&FitOptions { batch: names(&["scanner"]), ..options.clone() });
    assert!(no_column.contains("column \"scanner\" is not there, the columns are batch, age, site"), "{no_column}");
    let batch = told(&FitOptions { protect: names(&["batch"]), ..options.clone() });
    assert!(batch.contains("cannot be protected"), "{batch}");
    let reference = FitSettings { reference: Some("w".to_owned()), ..FitSettings::default() };
    assert!(
        told(&FitOptions { settings: reference, ..options.clone() }).contains("batch \"w\" is to be the reference")
    );
    let outcome = folder.write("outcome.csv", &std::fs::read_to_string(&covariates).unwrap().replace("site", "death"));
    let FitInput::Tables { features, .. } = options.input.clone() else { unreachable!() };
    let input = FitInput::Tables { features, covariates: outcome };
    assert!(
        told(&FitOptions { input, protect: names(&["death"]), ..options.clone() })
            .contains("the outcome is never protected")
    );
    let strangers = folder.write("strangers.csv", "id,batch\nnobody,x\n");
    let FitInput::Tables { features, .. } = options.input.clone() else { unreachable!() };
    let none = told(&FitOptions { input: FitInput::Tables { features, covariates: strangers }, ..options });
    assert!(none.contains("no patient in common"), "{none}");
}

#[test]
fn a_broken_model_file_is_refused_whole_or_cut_anywhere() {
    let folder = Folder::new();
    let (features, covariates) = tables(&folder);
    combat::fit(&folder.options(features.clone(), covariates.clone()), now()).unwrap();
    let whole = std::fs::read_to_string(folder.path("model.json")).unwrap();
    let refused = |text: &str| {
        let path = folder.write("broken.json", text);
        match CombatFile::read(&path) {
            Err(error @ TableError::Model { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    for cut in (0..whole.trim_end().len()).step_by(whole.len() / 60) {
        refused(&whole[..cut]);
    }
    assert!(refused(&whole.replace("radiomicsd-combat", "other")).contains("no file of format"));
    assert!(refused(&whole.replacen("\"version\": 1", "\"version\": 2", 1)).contains("this program reads version 1"));
    // A batch less than the estimates are for.
    let mut value: serde_json::Value = serde_json::from_str(&whole).unwrap();
    value["model"]["stages"][0]["batches"].as_array_mut().unwrap().pop();
    assert!(refused(&value.to_string()).contains("one estimate for each of 2 batches"));
    let mut value: serde_json::Value = serde_json::from_str(&whole).unwrap();
    value["model"]["stages"][0]["features"][0]["harmonised"]["variance"] = (-1.0).into();
    assert!(refused(&value.to_string()).contains("cannot be"));
}

#[test]
fn kernels_within_vendors_are_harmonised_in_two_stages() {
    let folder = Folder::new();
    let (features, covariates) = tables(&folder);
    let mut text = String::new();
    for (idx, line) in std::fs::read_to_string(&covariates).unwrap().lines().enumerate() {
        let kernel = if idx == 0 {
            "kernel"
        } else if idx % 2 == 0 {
            "soft"
        } else {
            "sharp"
        };
        let _ = writeln!(text, "{line},{kernel}");
    }
    let covariates = folder.write("nested.csv", &text);
    let batch = names(&["batch", "kernel"]);
    let outcome =
        combat::fit(&FitOptions { batch, ..folder.options(features.clone(), covariates.clone()) }, now()).unwrap();
    assert!(outcome.batches.iter().any(|batch| batch.label == "x / sharp"), "{:?}", outcome.batches);
    combat::apply(&folder.apply(&features, &covariates)).unwrap();
    assert_eq!(std::fs::read(folder.path("applied.csv")).unwrap(), std::fs::read(folder.path("out.csv")).unwrap());
}
