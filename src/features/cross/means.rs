//! k-means: points to the nearest of k centres, centres to the mean of their points, until nothing moves.

use rayon::prelude::*;

use crate::features::diagnostics::CHUNK;
use crate::math::random::Stream;

/// The purpose of this module's stream of random numbers.
const PURPOSE: u64 = 0x006d_6561_6e73;

/// Beginnings that are tried; the best end is kept.
const TRIALS: u64 = 4;

/// Rounds after which a trial ends all the same.
const ROUNDS_MAX: usize = 100;

/// Points of `d` coordinates each, one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Points<'a> {
    pub(super) values: &'a [f64],
    pub(super) d: usize,
}

impl<'a> Points<'a> {
    pub(super) fn len(self) -> usize {
        self.values.len() / self.d
    }

    pub(super) fn get(self, at: usize) -> &'a [f64] {
        &self.values[at * self.d..(at + 1) * self.d]
    }

    /// Chunks of whole points: always the same ones, whatever the number of threads.
    pub(super) fn chunks(self) -> rayon::slice::Chunks<'a, f64> {
        self.values.par_chunks(CHUNK * self.d)
    }
}

/// Centres, the sum of squared distances to them, and the centre of each point.
#[derive(Debug, Clone)]
pub(super) struct Clusters {
    pub(super) centres: Vec<Vec<f64>>,
    inertia: f64,
    pub(super) labels: Vec<u8>,
}

/// The best of several beginnings, each drawn from the seed.
pub(super) fn cluster(points: Points, k: usize, seed: u64) -> Clusters {
    let trials = (0..TRIALS).map(|trial| run(points, begin(points, k, &mut Stream::new(seed, PURPOSE, trial))));
    let best = trials.reduce(|best, next| if next.inertia < best.inertia { next } else { best });
    best.unwrap_or_else(|| Clusters { centres: Vec::new(), inertia: 0.0, labels: Vec::new() })
}

/// The centres that those of other points move to: one beginning, a few rounds where the points differ by little.
pub(super) fn cluster_from(points: Points, centres: &[Vec<f64>]) -> Clusters {
    run(points, centres.to_vec())
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// k-means++ (Arthur and Vassilvitskii 2007): each further centre is a point drawn by its squared distance to those before.
fn begin(points: Points, k: usize, stream: &mut Stream) -> Vec<Vec<f64>> {
    let mut centres = vec![points.get(stream.below(points.len())).to_vec()];
    let mut nearest: Vec<f64> = vec![f64::INFINITY; points.len()];
    while centres.len() < k {
        let last = &centres[centres.len() - 1];
        nearest.iter_mut().enumerate().for_each(|(at, least)| *least = least.min(distance(points.get(at), last)));
        let total: f64 = nearest.iter().sum();
        let mut left = stream.uniform() * total;
        let drawn = nearest.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        centres.push(points.get(drawn.unwrap_or(points.len() - 1)).to_vec());
    }
    centres
}

fn run(points: Points, mut centres: Vec<Vec<f64>>) -> Clusters {
    let mut labels: Vec<u8> = Vec::new();
    let mut inertia = f64::INFINITY;
    for _ in 0..ROUNDS_MAX {
        let parts: Vec<(Vec<u8>, f64)> = points
            .chunks()
            .map(|chunk| {
                let nearest = chunk.chunks_exact(points.d).map(|point| nearest(point, &centres));
                nearest.fold((Vec::new(), 0.0), |(mut labels, sum), (label, distance)| {
                    labels.push(label);
                    (labels, sum + distance)
                })
            })
            .collect();
        inertia = parts.iter().map(|(_, sum)| sum).sum();
        let next: Vec<u8> = parts.into_iter().flat_map(|(labels, _)| labels).collect();
        let still = next == labels;
        labels = next;
        if still {
            break;
        }
        move_centres(points, &labels, &mut centres);
    }
    Clusters { centres, inertia, labels }
}

fn nearest(point: &[f64], centres: &[Vec<f64>]) -> (u8, f64) {
    let mut best = (0, f64::INFINITY);
    for (label, centre) in (0u8..).zip(centres) {
        let distance = distance(point, centre);
        if distance < best.1 {
            best = (label, distance);
        }
    }
    best
}

/// A centre without points stays where it is.
fn move_centres(points: Points, labels: &[u8], centres: &mut [Vec<f64>]) {
    let parts: Vec<Vec<f64>> = points
        .chunks()
        .zip(labels.par_chunks(CHUNK))
        .map(|(chunk, labels)| {
            let mut sums = vec![0.0; centres.len() * (points.d + 1)];
            for (point, label) in chunk.chunks_exact(points.d).zip(labels) {
                let sums = &mut sums[usize::from(*label) * (points.d + 1)..][..=points.d];
                sums[points.d] += 1.0;
                sums.iter_mut().zip(point).for_each(|(sum, value)| *sum += value);
            }
            sums
        })
        .collect();
    for (k, centre) in centres.iter_mut().enumerate() {
        let sum = |column: usize| parts.iter().map(|part| part[k * (points.d + 1) + column]).sum::<f64>();
        let n = sum(points.d);
        if n > 0.0 {
            centre.iter_mut().enumerate().for_each(|(column, value)| *value = sum(column) / n);
        }
    }
}
