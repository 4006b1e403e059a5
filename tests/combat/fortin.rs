//! The 32 configurations of the test set of Fortin's R implementation: 200 features, 10 samples, 2 batches.

use std::path::Path;

use radiomicsd::harmonise::{Batches, Covariate, Estimator, Features, FitSettings, Values};

use crate::support::{Table, largest_difference, published, reference};

/// The reference is written with 15 digits.
const TOLERANCE: f64 = 1e-8;

#[test]
fn all_configurations_of_the_r_implementation_are_equal() {
    let Some(folder) = reference() else { return };
    let folder = folder.join("fortin_r_vectors");
    let features = matrix(&folder.join("inputData/testdata.csv"));
    let (mut n, mut largest) = (0, 0.0f64);
    for (kind, parametric) in [("parametric", true), ("nonparametric", false)] {
        for (design, adjusted) in [("adjusted", true), ("unadjusted", false)] {
            for switches in 0..8 {
                let (noeb, mean_only, reference) = (switches & 1 > 0, switches & 2 > 0, switches & 4 > 0);
                let suffix: String = [(noeb, "_noeb"), (mean_only, "_meanonly"), (reference, "_batchref")]
                    .into_iter()
                    .filter_map(|(on, text)| on.then_some(text))
                    .collect();
                let path = folder.join(format!("outputData/testdata_combat_{kind}_{design}{suffix}_r.csv"));
                let estimator = match (noeb, parametric) {
                    (true, _) => Estimator::None,
                    (false, true) => Estimator::Parametric,
                    (false, false) => Estimator::NonParametric,
                };
                let reference = reference.then(|| "1".to_owned());
                let settings = FitSettings { mean_only, reference, ..published(estimator) };
                let (_, found) = table(&features, adjusted).harmonised(&settings);
                let difference = largest_difference(&found, &matrix(&path));
                assert!(difference <= TOLERANCE, "{}: {difference:e}", path.display());
                largest = largest.max(difference);
                n += 1;
            }
        }
    }
    eprintln!("{n} configurations, largest difference {largest:e}");
    assert_eq!(n, 32);
}

fn table(features: &Features, adjusted: bool) -> Table {
    let labels = (0..10).map(|i| if i < 5 { "1".to_owned() } else { "2".to_owned() }).collect();
    let disease = (0..10).map(|i| if i % 2 == 0 { "1".to_owned() } else { "2".to_owned() }).collect();
    let disease = Covariate { name: "disease".to_owned(), values: Values::Categorical(disease) };
    Table {
        features: features.clone(),
        batches: Batches { name: "batch".to_owned(), labels },
        covariates: if adjusted { vec![disease] } else { Vec::new() },
        undeclared: Vec::new(),
    }
}

/// A file with one feature per line.
fn matrix(path: &Path) -> Features {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let columns: Vec<Vec<f64>> = reader
        .records()
        .map(|record| record.unwrap().iter().map(|cell| cell.trim().parse().unwrap()).collect())
        .collect();
    let names = (0..columns.len()).map(|idx| format!("f{idx}")).collect();
    Features::new(names, &columns).unwrap()
}
