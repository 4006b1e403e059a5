//! The program itself: arguments, answers, exit codes.

use std::path::Path;
use std::process::{Command, Output};

fn radiomicsd(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_radiomicsd")).current_dir(folder).args(arguments).output().unwrap()
}

/// Two scanners of twelve patients; whoever is from the second is also old where `confounded`.
fn write_tables(folder: &Path, confounded: bool) {
    let (mut features, mut known) = ("id,a,b\n".to_owned(), "id,scanner,old\n".to_owned());
    for i in 0..24u32 {
        let noise = f64::from((i * 37) % 24) / 12.0;
        let (scanner, shift) = if i < 12 { ("x", 0.0) } else { ("y", 2.0) };
        let old = if confounded { u32::from(i >= 12) } else { i % 2 };
        features.push_str(&format!("P{i},{},{}\n", noise + shift, 1.5 - noise * noise + shift));
        known.push_str(&format!("P{i},{scanner},{old}\n"));
    }
    std::fs::write(folder.join("f.csv"), features).unwrap();
    std::fs::write(folder.join("c.csv"), known).unwrap();
}

const FIT: [&str; 12] = [
    "combat",
    "fit",
    "--features",
    "f.csv",
    "--covariates",
    "c.csv",
    "--batch",
    "scanner",
    "--model",
    "m.json",
    "--protect",
    "old",
];

#[test]
fn fit_and_apply_answer_with_what_they_did() {
    let folder = tempfile::tempdir().unwrap();
    write_tables(folder.path(), false);
    let fit = radiomicsd(folder.path(), &[&FIT[..], &["--categorical", "old", "--out", "h.csv", "--json"]].concat());
    assert!(fit.status.success(), "{}", String::from_utf8_lossy(&fit.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&fit.stdout).unwrap();
    assert_eq!((&answer["n_fitted"], &answer["n_harmonised"]), (&24.into(), &2.into()));
    let apply =
        ["combat", "apply", "--model", "m.json", "--features", "f.csv", "--covariates", "c.csv", "--out", "g.csv"];
    let apply = radiomicsd(folder.path(), &apply);
    assert!(String::from_utf8_lossy(&apply.stdout).contains("24 of 24 patients harmonised"));
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("g.csv"), read("h.csv"));
}

#[test]
fn a_design_that_would_lie_ends_with_one_and_wrong_usage_with_sixty_four() {
    let folder = tempfile::tempdir().unwrap();
    write_tables(folder.path(), true);
    let refused = radiomicsd(folder.path(), &FIT);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("E1") && said.contains("\"old\"") && said.contains("batch \"y\""), "{said}");
    assert!(!folder.path().join("m.json").exists());
    for wrong in
        [&["combat", "fit", "--features", "f.csv"][..], &["combat", "fit", "--eb", "some"], &["cohort", "export"]]
    {
        assert_eq!(radiomicsd(folder.path(), wrong).status.code(), Some(64), "{wrong:?}");
    }
}

#[test]
fn the_cohort_is_exported_from_the_storage_that_the_configuration_names() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = "[storage]\ndirectory = \"data\"\n[[protocol]]\nname = \"ct\"\nreference = \"CT\"\n\
                         [[protocol.input]]\nrole = \"CT\"\nmodality = \"CT\"\n";
    std::fs::write(folder.path().join("r.toml"), configuration).unwrap();
    let export = radiomicsd(folder.path(), &["cohort", "export", "--config", "r.toml", "--out", "all.csv"]);
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    let header = std::fs::read_to_string(folder.path().join("all.csv")).unwrap();
    assert!(header.starts_with("patient,case,revision,"), "{header}");
    let fit = ["combat", "fit", "--cohort", "--config", "r.toml", "--block", "CT", "--model", "m.json"];
    let fit = radiomicsd(folder.path(), &fit);
    assert_eq!(fit.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&fit.stderr).contains("no case has a block \"CT\""));
}
