//! Folds: who is left out together.

use super::bootstrap::strata;
use super::data::Dataset;
use super::error::FuseError;
use crate::math::random::Stream;

const PURPOSE: u64 = 201;

/// The fold of every row: stratified by event, all rows of one patient in one fold.
///
/// `stream` distinguishes repetitions, and the inner folds of different outer folds.
///
/// # Errors
/// When there are fewer than two folds, or either class has fewer patients than folds.
pub fn folds(data: &Dataset, n_folds: usize, seed: u64, stream: u64) -> Result<Vec<usize>, FuseError> {
    if n_folds < 2 {
        return Err(FuseError::TooFew { what: "folds", found: n_folds, expected: 2 });
    }
    let mut stream = Stream::new(seed, PURPOSE, stream);
    let mut fold_of = vec![0; data.patients.len()];
    let mut next = stream.below(n_folds);
    for mut stratum in strata(&data.patients, &data.outcome.events()) {
        if stratum.len() < n_folds {
            return Err(FuseError::TooFew { what: "patients of one class", found: stratum.len(), expected: n_folds });
        }
        stream.shuffle(&mut stratum);
        // Dealt like cards, the second class where the first ended: fold sizes differ by one at most.
        for rows in stratum {
            rows.iter().for_each(|row| fold_of[*row] = next);
            next = (next + 1) % n_folds;
        }
    }
    Ok(fold_of)
}

/// The rows outside and inside one fold.
#[must_use]
pub fn split(fold_of: &[usize], fold: usize) -> (Vec<usize>, Vec<usize>) {
    (0..fold_of.len()).partition(|row| fold_of[*row] != fold)
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Outcome;
    use super::*;

    fn data(n: usize, n_events: usize) -> Dataset {
        let patients = (0..n).map(|i| format!("P{:03}", i / 2)).collect();
        let outcome = Outcome::Binary((0..n).map(|i| i / 2 < n_events).collect());
        Dataset::new(patients, Vec::new(), outcome).unwrap()
    }

    #[test]
    fn folds_keep_patients_whole_and_classes_even() {
        let data = data(120, 23);
        let fold_of = folds(&data, 5, 1, 0).unwrap();
        for pair in fold_of.chunks(2) {
            assert_eq!(pair[0], pair[1]);
        }
        let events = data.outcome.events();
        for fold in 0..5 {
            let (outside, inside) = split(&fold_of, fold);
            assert_eq!(outside.len() + inside.len(), 120);
            assert_eq!(inside.len(), 24);
            let n_events = inside.iter().filter(|row| events[**row]).count() / 2;
            assert!((4..=5).contains(&n_events));
        }
        assert_ne!(fold_of, folds(&data, 5, 1, 1).unwrap());
        assert_eq!(fold_of, folds(&data, 5, 1, 0).unwrap());
    }

    #[test]
    fn more_folds_than_patients_of_a_class_are_refused() {
        assert!(folds(&data(40, 3), 5, 1, 0).is_err());
        assert!(folds(&data(40, 10), 1, 1, 0).is_err());
    }
}
