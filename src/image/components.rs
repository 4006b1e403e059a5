//! Voxels that hang together by their faces.

use super::{Mask, Volume};

/// The largest finite value of an image within a mask, with its place `[z, y, x]`; of several the first.
#[must_use]
pub fn largest_value(volume: &Volume<f32>, within: Option<&Mask>) -> Option<([usize; 3], f32)> {
    let mut largest: Option<([usize; 3], f32)> = None;
    for ((z, y, x), value) in volume.voxels.indexed_iter() {
        let at = [z, y, x];
        let counts = value.is_finite() && within.is_none_or(|mask| mask.voxels.get(at).is_some_and(|inside| *inside));
        if counts && largest.is_none_or(|(_, most)| *value > most) {
            largest = Some((at, *value));
        }
    }
    largest
}

/// The voxels that belong and hang together with `seed`, which must belong itself.
#[must_use]
pub fn connected<T>(volume: &Volume<T>, seed: [usize; 3], belongs: impl Fn([usize; 3], &T) -> bool) -> Mask {
    let mut mask = Mask::filled(volume.geometry, false);
    let belongs = |at: [usize; 3]| volume.voxels.get(at).is_some_and(|value| belongs(at, value));
    let mut open = Vec::new();
    if belongs(seed) {
        mask.voxels[seed] = true;
        open.push(seed);
    }
    while let Some(at) = open.pop() {
        for axis in 0..3 {
            for step in [at[axis].checked_sub(1), at[axis].checked_add(1)].into_iter().flatten() {
                let mut next = at;
                next[axis] = step;
                if belongs(next) && !mask.voxels[next] {
                    mask.voxels[next] = true;
                    open.push(next);
                }
            }
        }
    }
    mask
}

/// The part of a mask that hangs together and is larger than every other; of several the first.
///
/// Time and memory are linear in the voxels, however many parts there are.
#[must_use]
pub fn largest_component(mask: &Mask) -> Mask {
    let mut open_voxels = mask.voxels.clone();
    let mut largest: Vec<[usize; 3]> = Vec::new();
    let mut part: Vec<[usize; 3]> = Vec::new();
    for ((z, y, x), inside) in mask.voxels.indexed_iter() {
        if !*inside || !open_voxels[[z, y, x]] {
            continue;
        }
        part.clear();
        part.push([z, y, x]);
        open_voxels[[z, y, x]] = false;
        let mut next = 0;
        while let Some(at) = part.get(next).copied() {
            next += 1;
            for axis in 0..3 {
                for step in [at[axis].checked_sub(1), at[axis].checked_add(1)].into_iter().flatten() {
                    let mut neighbour = at;
                    neighbour[axis] = step;
                    if let Some(open) = open_voxels.get_mut(neighbour).filter(|open| **open) {
                        *open = false;
                        part.push(neighbour);
                    }
                }
            }
        }
        if part.len() > largest.len() {
            std::mem::swap(&mut part, &mut largest);
        }
    }
    let mut found = Mask::filled(mask.geometry, false);
    largest.into_iter().for_each(|at| found.voxels[at] = true);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;

    fn row<T>(values: Vec<T>) -> Volume<T> {
        let grid = Geometry::new([values.len() / 2, 1, 2], [4.0; 3], [0.0; 3], IDENTITY).unwrap();
        Volume::from_values(grid, values).unwrap()
    }

    fn indices(mask: &Mask) -> Vec<usize> {
        mask.voxels.iter().enumerate().filter(|(_, inside)| **inside).map(|(index, _)| index).collect()
    }

    #[test]
    fn only_what_hangs_together_with_the_hottest_voxel_is_taken() {
        let pet = row(vec![9.0, 4.0, 1.0, 8.0, f32::NAN, 8.0, 5.0, 3.0, 4.0, 1.0, 1.0, 1.0]);
        let (at, peak) = largest_value(&pet, None).unwrap();
        assert_eq!((at, peak), ([0, 0, 0], 9.0));
        let from = |threshold: f32| connected(&pet, at, |_, value| *value >= threshold);
        assert_eq!(indices(&from(4.0)), [0, 1, 6], "8 at the other end is as hot as needed and hangs on nothing");
        assert_eq!(from(9.5).count(), 0);
        let mut elsewhere = Mask::filled(pet.geometry, true);
        elsewhere.voxels[[0, 0, 0]] = false;
        assert_eq!(largest_value(&pet, Some(&elsewhere)), Some(([0, 0, 3], 8.0)));
        assert_eq!(largest_value(&row(vec![f32::NAN; 4]), None), None);
    }

    #[test]
    fn of_several_parts_the_largest_stays() {
        let mask = row(vec![true, false, false, true, true, false, true, false, false, false, true, true]);
        assert_eq!(indices(&largest_component(&mask)), [3, 4, 10, 11]);
        assert_eq!(largest_component(&row(vec![false; 4])).count(), 0);
    }
}
