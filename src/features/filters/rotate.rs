//! Responses to a separable filter in every right-angled orientation, pooled (IBSI 2, O1AQ).
//!
//! A square has four rotations, a cube twenty-four. A rotation permutes the kernels along the axes and turns some of them
//! around; kernels that are symmetric, antisymmetric or equal make many of the rotated filters the same up to sign, and
//! each different one is computed once. Filters that begin with the same kernel share that part.

use std::collections::BTreeMap;

use ndarray::{Array3, Zip};
use serde::{Deserialize, Serialize};

use super::boundary::Boundary;
use super::convolve::{Along, Taps, convolve};

/// How the responses of all orientations become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The greatest (9QXB).
    Max,
    /// Their mean (8LYX).
    Mean,
}

impl Pooling {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Max => "-max",
            Self::Mean => "-mean",
        }
    }
}

/// Kernels that are applied one after the other along one axis.
pub(super) type Chain = Vec<Taps>;

/// The response to one chain along x, y (and z), or the pooled responses in all orientations.
pub(super) fn response(
    image: &Array3<f32>,
    chains: &[Chain],
    pooling: Option<Pooling>,
    boundary: Boundary,
) -> Array3<f32> {
    let Some(pooling) = pooling else {
        let along = Along::ALL.into_iter().zip(chains);
        return along.fold(image.clone(), |image, (along, chain)| chained(&image, chain, along, boundary));
    };
    let distinct = Distinct::of(chains);
    let orientations = orientations(chains.len());
    let mut wanted: BTreeMap<Vec<usize>, [u32; 2]> = BTreeMap::new();
    for orientation in &orientations {
        let (key, negative) = distinct.rotated(orientation);
        wanted.entry(key).or_default()[usize::from(negative)] += 1;
    }
    let mut pool = Pool { pooling, pooled: None, count: f64::from(u32::try_from(orientations.len()).unwrap_or(1)) };
    let all: Vec<(&[usize], [u32; 2])> = wanted.iter().map(|(key, signs)| (&key[..], *signs)).collect();
    descend(image, &all, 0, &distinct, boundary, &mut pool);
    pool.pooled.unwrap_or_else(|| image.clone())
}

fn chained(image: &Array3<f32>, chain: &[Taps], along: Along, boundary: Boundary) -> Array3<f32> {
    let mut filtered: Option<Array3<f32>> = None;
    for taps in chain {
        filtered = Some(convolve(&[(filtered.as_ref().unwrap_or(image), taps)], along, boundary));
    }
    filtered.unwrap_or_else(|| image.clone())
}

/// Filters along axis `depth` for each group of filters that go on with the same kernel there.
fn descend(
    image: &Array3<f32>,
    wanted: &[(&[usize], [u32; 2])],
    depth: usize,
    distinct: &Distinct,
    boundary: Boundary,
    pool: &mut Pool,
) {
    let (Some(along), Some((first, signs))) = (Along::ALL.get(depth), wanted.first()) else { return };
    if depth == first.len() {
        return pool.add(image, *signs);
    }
    for group in wanted.chunk_by(|a, b| a.0[depth] == b.0[depth]) {
        let filtered = chained(image, &distinct.chains[group[0].0[depth]], *along, boundary);
        if depth + 1 == first.len() {
            pool.add(&filtered, group[0].1);
        } else {
            descend(&filtered, group, depth + 1, distinct, boundary, pool);
        }
    }
}

/// Pooled responses so far.
struct Pool {
    pooling: Pooling,
    pooled: Option<Array3<f32>>,
    count: f64,
}

impl Pool {
    /// Adds a response that counts so many times as it is, and so many times with the other sign.
    fn add(&mut self, response: &Array3<f32>, [plain, negative]: [u32; 2]) {
        let (pooling, share) = (self.pooling, (f64::from(plain) - f64::from(negative)) / self.count);
        let value = |v: f32| match (pooling, plain > 0, negative > 0) {
            (Pooling::Mean, ..) => (share * f64::from(v)) as f32,
            (Pooling::Max, true, true) => v.abs(),
            (Pooling::Max, _, true) => -v,
            (Pooling::Max, ..) => v,
        };
        match &mut self.pooled {
            None => self.pooled = Some(response.mapv(value)),
            Some(pooled) => Zip::from(pooled).and(response).par_for_each(|pooled, response| {
                let value = value(*response);
                *pooled = if pooling == Pooling::Max { pooled.max(value) } else { *pooled + value };
            }),
        }
    }
}

/// The chains that rotations can bring along an axis, each kind once.
struct Distinct {
    chains: Vec<Chain>,
    /// For each chain as it is and turned around: its kind, and whether it is the negative of it.
    kinds: Vec<[(usize, bool); 2]>,
}

impl Distinct {
    fn of(chains: &[Chain]) -> Self {
        let mut distinct: Vec<Chain> = Vec::new();
        let mut kind = |chain: Chain| {
            // A chain of one is the negative of another where its kernel is; longer ones are compared kernel by kernel.
            let negated = |chain: &Chain| match &chain[..] {
                [head @ .., last] => head.iter().cloned().chain([last.negated()]).collect(),
                [] => Chain::new(),
            };
            if let Some(index) = distinct.iter().position(|known| *known == chain) {
                return (index, false);
            }
            if let Some(index) = distinct.iter().position(|known| negated(known) == chain) {
                return (index, true);
            }
            distinct.push(chain);
            (distinct.len() - 1, false)
        };
        let kinds =
            chains.iter().map(|chain| [kind(chain.clone()), kind(chain.iter().map(Taps::flipped).collect())]).collect();
        Self { chains: distinct, kinds }
    }

    /// The kinds along the axes after a rotation, and whether the whole is negative.
    fn rotated(&self, orientation: &[(usize, bool)]) -> (Vec<usize>, bool) {
        let kinds = orientation.iter().map(|(from, turned)| self.kinds[*from][usize::from(*turned)]);
        kinds.fold((Vec::new(), false), |(mut key, negative), (kind, sign)| {
            key.push(kind);
            (key, negative ^ sign)
        })
    }
}

/// For each rotation: along each axis, the kernel of which axis comes there, and whether it is turned around.
fn orientations(dimensions: usize) -> Vec<Vec<(usize, bool)>> {
    let permutations: &[(&[usize], bool)] = match dimensions {
        2 => &[(&[0, 1], false), (&[1, 0], true)],
        _ => &[
            (&[0, 1, 2], false),
            (&[1, 2, 0], false),
            (&[2, 0, 1], false),
            (&[0, 2, 1], true),
            (&[2, 1, 0], true),
            (&[1, 0, 2], true),
        ],
    };
    let mut all = Vec::new();
    for (permutation, odd) in permutations {
        for turns in 0u32..1 << dimensions {
            // A rotation is an even permutation with an even number of turns, or an odd one with an odd number.
            if (turns.count_ones() % 2 == 1) == *odd {
                all.push(permutation.iter().enumerate().map(|(axis, from)| (*from, turns >> axis & 1 == 1)).collect());
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn bumpy() -> Array3<f32> {
        Array3::from_shape_fn((6, 7, 8), |(z, y, x)| ((x * 7 + y * 13 + z * 29 + x * y) % 17) as f32 - 5.0)
    }

    /// Every rotation on its own.
    fn slow(image: &Array3<f32>, chains: &[Chain], pooling: Pooling) -> Array3<f32> {
        let all: Vec<Array3<f32>> = orientations(chains.len())
            .iter()
            .map(|orientation| {
                let rotated: Vec<Chain> = orientation
                    .iter()
                    .map(|(from, turned)| {
                        chains[*from].iter().map(|taps| if *turned { taps.flipped() } else { taps.clone() }).collect()
                    })
                    .collect();
                response(image, &rotated, None, Boundary::Mirror)
            })
            .collect();
        let n = all.len() as f32;
        let first = all[0].clone();
        all[1..].iter().fold(first, |pooled, next| match pooling {
            Pooling::Max => Zip::from(&pooled).and(next).map_collect(|a, b| a.max(*b)),
            Pooling::Mean => pooled + next,
        }) / if pooling == Pooling::Mean { n } else { 1.0 }
    }

    #[test]
    fn there_are_four_rotations_of_a_square_and_twenty_four_of_a_cube() {
        assert_eq!(orientations(2).len(), 4);
        assert_eq!(orientations(3).len(), 24);
    }

    #[test]
    fn equal_filters_are_computed_once_and_counted_as_often_as_they_occur() {
        let (even, odd) = (Taps::new(&[1.0, 2.0, 1.0], 1), Taps::new(&[-1.0, 0.0, 1.0], 1));
        let (skew, long) = (Taps::new(&[1.0, 2.0, 4.0, -3.0], 1), Taps::new(&[0.5, 1.0, -2.0], 2));
        let sets: [Vec<Chain>; 4] = [
            vec![vec![even.clone()], vec![odd.clone()], vec![even.clone()]],
            vec![vec![skew.clone()], vec![odd.clone()], vec![even.clone()]],
            vec![vec![skew.clone(), long.clone()], vec![skew.clone(), long], vec![skew.clone(), odd.clone()]],
            vec![vec![odd], vec![skew]],
        ];
        for chains in sets {
            for pooling in [Pooling::Max, Pooling::Mean] {
                let found = response(&bumpy(), &chains, Some(pooling), Boundary::Mirror);
                for (found, expected) in found.iter().zip(&slow(&bumpy(), &chains, pooling)) {
                    assert_relative_eq!(*found, *expected, epsilon = 1e-3);
                }
            }
        }
    }
}
