//! Models that were trained elsewhere, by the program built with ONNX: against what onnxruntime says of them
//! (`fixtures/onnx/make.py`), and what is refused.

#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers of tests are tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use approx::assert_relative_eq;
use radiomicsd::fuse::{Asked, BroughtModel, Bundle, Call, OutputIs, Pattern};
use radiomicsd::math::random::Stream;
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/onnx").join(name)
}

fn manifest(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(&format!("{name}.json"))).unwrap()).unwrap()
}

fn radiomicsd(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_radiomicsd")).current_dir(folder).args(arguments).output().unwrap()
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = radiomicsd(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Brings a model in by a manifest that is written first; what is said of it.
fn import(folder: &Path, model: &str, manifest: &Value) -> Output {
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    let model = fixture(&format!("{model}.onnx"));
    let model = model.to_str().unwrap();
    radiomicsd(folder, &["fusion", "import", "--model", model, "--manifest", "manifest.json", "--out", "bundle"])
}

fn refused(folder: &Path, model: &str, manifest: &Value) -> String {
    let output = import(folder, model, manifest);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(!folder.join("bundle").exists());
    String::from_utf8(output.stderr).unwrap()
}

/// The rows of a manifest's answers as one table per block; patients are P0, P1 and so on.
fn write_tables(folder: &Path, manifest: &Value) -> Vec<String> {
    let mut start = 0;
    let mut arguments = Vec::new();
    for block in manifest["blocks"].as_array().unwrap() {
        let name = block["name"].as_str().unwrap();
        let features: Vec<&str> =
            block["features"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
        let mut text = format!("id,{}\n", features.join(","));
        for (at, answer) in manifest["checks"].as_array().unwrap().iter().enumerate() {
            if answer["blocks"].as_array().unwrap().iter().any(|there| there == name) {
                let values = &answer["values"].as_array().unwrap()[start..start + features.len()];
                let cells: Vec<String> = values.iter().map(ToString::to_string).collect();
                text += &format!("P{at},{}\n", cells.join(","));
            }
        }
        std::fs::write(folder.join(format!("{name}.csv")), text).unwrap();
        arguments.extend(["--block".to_owned(), format!("{name}={name}.csv")]);
        start += features.len();
    }
    arguments
}

/// The rows of `fusion predict`, by patient.
fn predicted(folder: &Path, blocks: &[String]) -> Vec<Vec<String>> {
    let mut arguments = vec!["fusion", "predict", "--bundle", "bundle", "--out", "p.csv"];
    arguments.extend(blocks.iter().map(String::as_str));
    done(folder, &arguments);
    let mut reader = csv::Reader::from_path(folder.join("p.csv")).unwrap();
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// Whether a value of the blocks that are there lies beyond the range that the manifest gives it.
fn beyond_a_range(manifest: &Value, answer: &Value) -> bool {
    let there = answer["blocks"].as_array().unwrap();
    let features = manifest["blocks"].as_array().unwrap().iter().flat_map(|block| {
        let known = there.contains(&block["name"]);
        block["features"].as_array().unwrap().iter().map(move |feature| (known, &feature["range"]))
    });
    features.zip(answer["values"].as_array().unwrap()).any(|((known, range), value)| {
        known && value.as_f64().is_some_and(|v| v < range[0].as_f64().unwrap() || v > range[1].as_f64().unwrap())
    })
}

#[test]
fn the_program_says_of_every_row_what_onnxruntime_says() {
    for name in ["network", "logistic"] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let manifest = manifest(name);
        let answers = manifest["checks"].as_array().unwrap();
        let output = import(folder, name, &manifest);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("{} answers", answers.len())));
        let rows = predicted(folder, &write_tables(folder, &manifest));
        let mut n_asked = 0;
        for row in rows {
            let answer = &answers[row[0][1..].parse::<usize>().unwrap()];
            let blocks = answer["blocks"].as_array().unwrap();
            // The manifest of the network does not list PET alone.
            if blocks.len() == 1 && blocks[0] == "PT" {
                assert!(row[5].starts_with("pattern_not_validated"), "{row:?}");
                continue;
            }
            if beyond_a_range(&manifest, answer) {
                assert!(row[5].starts_with("out_of_distribution"), "{row:?}");
                continue;
            }
            n_asked += 1;
            let (found, expected) = (row[1].parse::<f64>().unwrap(), answer["probability"].as_f64().unwrap());
            assert!((found - expected).abs() < 1e-6, "{name} {row:?}: {expected}");
        }
        assert!(n_asked >= 16, "{n_asked}");
        let card = std::fs::read_to_string(folder.join("bundle/card.md")).unwrap();
        assert!(card.contains("native.none.stat_mean") && card.contains(manifest["sha256"].as_str().unwrap()));
    }
}

#[test]
fn a_bundle_that_was_brought_in_is_activated_listed_and_refuses_what_is_beyond_its_ranges() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut manifest = manifest("logistic");
    manifest["settings_sha256"] = "abc".into();
    assert!(import(folder, "logistic", &manifest).status.success());
    let features = "id,native.none.stat_mean,native.none.stat_max,native.none.morph_volume\n";
    std::fs::write(
        folder.join("CT.csv"),
        format!("{features}inside,40,100,9000\nmissing,40,,9000\nbeyond,400,100,9000\n"),
    )
    .unwrap();
    let rows = predicted(folder, &["--block".into(), "CT=CT.csv".into()]);
    let row = |id: &str| rows.iter().find(|row| row[0] == id).unwrap();
    assert_eq!((row("inside")[4].as_str(), row("missing")[4].as_str()), ("predicted", "predicted"));
    assert!(row("inside")[2].is_empty(), "no interval is known: {:?}", row("inside"));
    let told = &row("beyond")[5];
    assert!(told.starts_with("out_of_distribution") && told.contains("native.none.stat_mean is 400"), "{told}");
    let other = ["--block".to_owned(), "CT=CT.csv".into(), "--settings-sha256".into(), "def".into()];
    assert!(predicted(folder, &other).iter().all(|row| row[5].starts_with("other_settings")));

    std::fs::write(folder.join("site.toml"), "[storage]\ndirectory = \"storage\"\n").unwrap();
    done(folder, &["fusion", "activate", "--bundle", "bundle", "--name", "elsewhere", "--config", "site.toml"]);
    let listed = done(folder, &["fusion", "list", "--config", "site.toml"]);
    assert!(listed.contains("elsewhere") && listed.contains("active"), "{listed}");
    // The file of a bundle in force belongs to it.
    let storage = folder.join("storage/models/fusion/elsewhere");
    let own =
        std::fs::read_dir(storage).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let mut bytes = std::fs::read(own.join("model.onnx")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(own.join("model.onnx"), bytes).unwrap();
    let output = radiomicsd(folder, &["fusion", "list", "--config", "site.toml"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("was changed after it was brought in"));
}

#[test]
fn a_manifest_that_does_not_fit_its_model_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let change = |change: &dyn Fn(&mut Value)| {
        let mut changed = manifest("logistic");
        change(&mut changed);
        refused(folder, "logistic", &changed)
    };
    let told = change(&|m| m["sha256"] = "0".repeat(64).into());
    assert!(told.contains("names a file of SHA-256 0000"), "{told}");
    let told = change(&|m| m["blocks"][0]["features"].as_array_mut().unwrap().truncate(2));
    assert!(told.contains("another shape, expected rows of 2 values"), "{told}");
    let told = change(&|m| m["call"]["input"] = "x".into());
    assert!(told.contains("takes the inputs [\"X\"], expected [\"x\"]"), "{told}");
    let told = change(&|m| m["call"]["output"] = "chance".into());
    assert!(told.contains("does not make the output chance"), "{told}");
    let told = change(&|m| m["call"]["output_column"] = 7.into());
    assert!(told.contains("column 7"), "{told}");
    let told = change(&|m| m["checks"][3]["probability"] = 0.999.into());
    assert!(told.contains("check 3: the model says"), "{told}");
    let told = change(&|m| m["surprise"] = 1.into());
    assert!(told.contains("surprise"), "{told}");
    let told = change(&|m| m["patterns"] = json!([{ "blocks": ["MR"] }]));
    assert!(told.contains("pattern"), "{told}");
    let large = std::fs::read(fixture("large.onnx")).unwrap();
    assert!(large.len() < 4096);
}

/// A bundle that takes these values of one block.
fn bundle(input: &str, output: &str, n_values: usize) -> Bundle {
    let asked = |at: usize| Asked { name: format!("f{at}"), impute: 0.0, range: [-1.0, 1.0] };
    let pattern = Pattern { blocks: vec!["CT".to_owned()], validated: true, ..Pattern::default() };
    let call = Call {
        input: input.to_owned(),
        mask_input: None,
        output: output.to_owned(),
        output_column: 0,
        output_is: OutputIs::Logit,
    };
    let blocks = vec![("CT".to_owned(), (0..n_values).map(asked).collect())];
    let model =
        BroughtModel { endpoint: "death".to_owned(), sha256: String::new(), call, blocks, patterns: vec![pattern] };
    model.bundle().unwrap()
}

#[test]
fn a_small_file_that_makes_something_huge_is_refused_before_it_is_run() {
    let bytes = std::fs::read(fixture("large.onnx")).unwrap();
    let told = bundle("x0", "y", 3).attach(&bytes).unwrap_err().to_string();
    assert!(told.contains("more than a model of tables needs"), "{told}");
}

#[test]
fn what_is_cut_short_or_damaged_is_refused_or_still_a_model_and_never_worse() {
    let bytes = std::fs::read(fixture("logistic.onnx")).unwrap();
    let mut bundle = bundle("X", "probabilities", 3);
    bundle.attach(&bytes).unwrap();
    let whole = bundle.fitted.score(&[Some(vec![0.0; 3])]).unwrap().unwrap().linear;
    assert!(whole.is_finite());
    for length in 0..bytes.len() {
        let cut = bundle.attach(&bytes[..length]);
        // What follows the graph may be missing: versions are told before it, or the file is refused.
        if cut.is_ok() {
            assert_relative_eq!(bundle.fitted.score(&[Some(vec![0.0; 3])]).unwrap().unwrap().linear, whole);
        }
    }
    let mut stream = Stream::new(5, 0, 0);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << stream.below(8);
        let _ = bundle.attach(&damaged);
    }
    for _ in 0..200 {
        let noise: Vec<u8> = (0..stream.below(300)).map(|_| u8::try_from(stream.below(256)).unwrap()).collect();
        assert!(bundle.attach(&noise).is_err());
    }
}
