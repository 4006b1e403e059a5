//! What stands for the voxels beyond the edges of the image (IBSI 2, GBYQ).

use ndarray::Array3;
use serde::{Deserialize, Serialize};

/// How the image goes on beyond its edges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boundary {
    /// With zeros.
    Zero,
    /// With the outermost voxel (SIJG).
    Nearest,
    /// From its other side (Z7YO).
    Periodic,
    /// Mirrored, the outermost voxel twice (ZDTV).
    #[default]
    Mirror,
}

impl Boundary {
    /// The voxel of a line of `n` that stands at `index`; `None` where there is nothing.
    pub(super) fn source(self, index: isize, n: usize) -> Option<usize> {
        let inside = usize::try_from(index).ok().filter(|index| *index < n);
        let length = n as isize;
        match self {
            Self::Zero => inside,
            Self::Nearest => Some(index.clamp(0, length - 1) as usize),
            Self::Periodic => Some(index.rem_euclid(length) as usize),
            Self::Mirror => {
                let folded = index.rem_euclid(2 * length);
                Some(folded.min(2 * length - 1 - folded) as usize)
            }
        }
    }

    /// In a filter's label: nothing for the usual one.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Zero => "-zero",
            Self::Nearest => "-nearest",
            Self::Periodic => "-periodic",
            Self::Mirror => "",
        }
    }

    /// A larger image: `before` voxels in front, `total` in all, along x, y, z.
    pub(super) fn extend(self, image: &Array3<f32>, before: [usize; 3], total: [usize; 3]) -> Array3<f32> {
        let (nz, ny, nx) = image.dim();
        let sources = |axis: usize, n: usize| -> Vec<Option<usize>> {
            (0..total[axis]).map(|k| self.source(k as isize - before[axis] as isize, n)).collect()
        };
        let [xs, ys, zs] = [sources(0, nx), sources(1, ny), sources(2, nz)];
        Array3::from_shape_fn((total[2], total[1], total[0]), |(z, y, x)| match (zs[z], ys[y], xs[x]) {
            (Some(z), Some(y), Some(x)) => image[[z, y, x]],
            _ => 0.0,
        })
    }
}

/// Whether slices are filtered for themselves or the volume as a whole: `2` or `3` in a settings file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Dimensions {
    /// Each slice for itself.
    Slices,
    /// The volume.
    #[default]
    Volume,
}

impl Dimensions {
    /// 2 or 3.
    pub(super) const fn count(self) -> usize {
        match self {
            Self::Slices => 2,
            Self::Volume => 3,
        }
    }

    /// The reach of a filter that looks `steps` voxels far along x, y, z.
    pub(super) fn reach(self, [x, y, z]: [usize; 3]) -> [usize; 3] {
        [x, y, if self == Self::Volume { z } else { 0 }]
    }
}

impl TryFrom<u8> for Dimensions {
    type Error = String;

    fn try_from(count: u8) -> Result<Self, String> {
        match count {
            2 => Ok(Self::Slices),
            3 => Ok(Self::Volume),
            other => Err(format!("dimensions is {other}, expected 2 or 3")),
        }
    }
}

impl From<Dimensions> for u8 {
    fn from(dimensions: Dimensions) -> Self {
        if dimensions == Dimensions::Slices { 2 } else { 3 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_on_as_the_manual_draws_them() {
        let line = |boundary: Boundary| (-4..7).map(|k| boundary.source(k, 3)).collect::<Vec<_>>();
        let some = |indices: [usize; 11]| indices.map(Some).to_vec();
        assert_eq!(line(Boundary::Nearest), some([0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2]));
        assert_eq!(line(Boundary::Periodic), some([2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0]));
        assert_eq!(line(Boundary::Mirror), some([2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]));
        let zero: Vec<Option<usize>> = (-4..7).map(|k| (0..3).contains(&k).then_some(k as usize)).collect();
        assert_eq!(line(Boundary::Zero), zero);
    }
}
