//! Something to filter where the image has no value.

use ndarray::{Array3, ArrayViewMut1, Axis};
use rayon::prelude::*;

/// The image with each missing voxel replaced by the nearest one along its row, else its column, else its line of slices; the one
/// before where two are as near. `None` when nothing is missing.
pub(super) fn filled(image: &Array3<f32>) -> Option<Array3<f32>> {
    if image.iter().all(|value| value.is_finite()) {
        return None;
    }
    let mut filled = image.clone();
    for axis in [Axis(2), Axis(1), Axis(0)] {
        // Planes that hold whole lines of the axis.
        let across = Axis(usize::from(axis.index() == 0));
        filled.axis_iter_mut(across).into_par_iter().for_each(|mut plane| {
            let along = if axis.index() == 2 { 1 } else { 0 };
            for line in plane.lanes_mut(Axis(along)) {
                fill(line);
            }
        });
    }
    // An image without any value.
    filled.par_mapv_inplace(|value| if value.is_finite() { value } else { 0.0 });
    Some(filled)
}

fn fill(mut line: ArrayViewMut1<'_, f32>) {
    let n = line.len();
    let mut last: Option<usize> = None;
    let mut k = 0;
    while k < n {
        if line[k].is_finite() {
            last = Some(k);
            k += 1;
            continue;
        }
        let next = (k..n).find(|j| line[*j].is_finite());
        let end = next.unwrap_or(n);
        for j in k..end {
            let nearest = match (last, next) {
                (Some(before), Some(after)) => Some(if j - before <= after - j { before } else { after }),
                (before, after) => before.or(after),
            };
            if let Some(nearest) = nearest {
                line[j] = line[nearest];
            }
        }
        k = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_value_stands_for_a_missing_one() {
        let row = [f32::NAN, 1.0, f32::NAN, f32::NAN, f32::NAN, 7.0, f32::INFINITY];
        let image = Array3::from_shape_fn((2, 2, 7), |(z, y, x)| if (z, y) == (0, 0) { row[x] } else { f32::NAN });
        let filled = filled(&image).unwrap();
        for line in filled.lanes(Axis(2)) {
            assert_eq!(line.to_vec(), [1.0, 1.0, 1.0, 1.0, 7.0, 7.0, 7.0]);
        }
        assert!(super::filled(&Array3::zeros((2, 2, 2))).is_none());
        assert!(super::filled(&Array3::from_elem((1, 1, 3), f32::NAN)).unwrap().iter().all(|v| v.abs() < 1e-9));
    }
}
