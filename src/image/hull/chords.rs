//! Bounds from below for the sides of rectangles around a hull, from chords between its far corners.
//!
//! The hull is as wide along a direction as any chord of it is long in that direction. The chord between the two corners that are
//! farthest apart along a direction near by is shorter by a share of half the square of the angle in between where the hull is
//! round: a few chords in all directions tell the width of a round hull to a few parts in a thousand.

use std::f64::consts::FRAC_PI_2;

use rayon::prelude::*;

use super::cube::Cube;
use super::silhouette::Solid;
use crate::math::linalg::{Vec3, dot, scale, sub};

/// Some three degrees from one chord to the next.
const CUBE: Cube = Cube { cells: 20 };
/// Turns of the rectangle that are looked at within a right angle.
const TURNS: usize = 24;

/// Chords of a hull in all directions.
pub(super) struct Chords {
    /// By cell of [`CUBE`], those against an axis apart: from the corner farthest against the cell's direction to the one farthest
    /// along it.
    chords: Vec<Vec3>,
    /// Cosine and sine of each turn.
    turns: Vec<[f64; 2]>,
    /// Of half the angle from one turn to the next.
    half: [f64; 2],
}

impl Chords {
    /// Of a hull.
    pub(super) fn new(solid: &Solid) -> Self {
        let row = |row: usize| {
            let first = CUBE.direction_of(cell(row, 0));
            // From cell to cell the farthest corner is the same, or a neighbour.
            let mut ends = [1.0, -1.0].map(|sign| solid.farthest(scale(sign, first)).0);
            let chord = move |at: usize| {
                let along = CUBE.direction_of(cell(row, at));
                for (end, sign) in ends.iter_mut().zip([1.0, -1.0]) {
                    *end = solid.farthest_from(*end, scale(sign, along)).0;
                }
                sub(solid.corner(ends[0]), solid.corner(ends[1]))
            };
            (0..CUBE.cells).map(chord).collect::<Vec<_>>()
        };
        let chords: Vec<Vec<Vec3>> = (0..3 * CUBE.cells).into_par_iter().map(row).collect();
        let step = FRAC_PI_2 / TURNS as f64;
        let turn = |angle: f64| [angle.cos(), angle.sin()];
        Self {
            chords: chords.concat(),
            turns: (0..TURNS).map(|k| turn(step * k as f64)).collect(),
            half: turn(0.5 * step),
        }
    }

    /// What no rectangle around the hull, as seen against the direction across the unit vectors `u` and `v`, is smaller than.
    pub(super) fn rectangle(&self, [u, v]: [Vec3; 2]) -> f64 {
        let area = |[cos, sin]: &[f64; 2]| {
            let turned = |a: f64, b: f64| [0, 1, 2].map(|axis| a * u[axis] + b * v[axis]);
            let (along, across) = (turned(*cos, *sin), turned(-sin, *cos));
            self.width(along, across) * self.width(across, along)
        };
        self.turns.iter().map(area).fold(f64::INFINITY, f64::min)
    }

    /// What the hull's width is not below along `along`, nor along any direction that is turned from it by half a step at most
    /// towards or away from `across`.
    fn width(&self, along: Vec3, across: Vec3) -> f64 {
        let chord = self.near(along);
        (dot(chord, along) * self.half[0] - dot(chord, across).abs() * self.half[1]).max(0.0)
    }

    /// The chord of a direction near by, pointing along it.
    fn near(&self, along: Vec3) -> Vec3 {
        let cell = CUBE.cell_of(along);
        let face_cells = CUBE.cells * CUBE.cells;
        let (face, within) = (cell / face_cells, cell % face_cells);
        if face % 2 == 0 {
            return self.chords[face / 2 * face_cells + within];
        }
        // The face across has no chords of its own: the same chord, seen from its other end.
        let (first, second) = (within / CUBE.cells, within % CUBE.cells);
        let last = CUBE.cells - 1;
        scale(-1.0, self.chords[(face / 2 * CUBE.cells + last - first) * CUBE.cells + last - second])
    }
}

/// The cell of a row of one of the three faces along an axis.
const fn cell(row: usize, at: usize) -> usize {
    let (axis, first) = (row / CUBE.cells, row % CUBE.cells);
    (2 * axis * CUBE.cells + first) * CUBE.cells + at
}
