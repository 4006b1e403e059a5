//! Volume and area of the surface mesh around a mask: marching cubes at one half (Lorensen and Cline, 1987).
//!
//! Between two voxel centres of which one is inside lies one vertex, half way. Each cube of eight centres is one of 256
//! cases whose triangles are always the same, so the mesh itself is never built: the cases are counted, and each case has
//! its area and the volume that it cuts off inside the cube. Sums of counts are exact, whatever the order.
//!
//! The table is derived, not typed: on each face of a cube the crossings are joined so that, where inside corners lie
//! diagonally, the inside stays connected. The rule sees only the face, so neighbouring cubes agree and the mesh is
//! closed. A loop of crossings that is not plane has several triangulations with different volumes and areas; the tables in
//! use, and with them the reference values of the IBSI, follow the one of greatest area in a cube. Where several are equal
//! there, their mean is taken, so that no axis and no direction is preferred.

use std::sync::LazyLock;

use rayon::prelude::*;

use super::packed::{PackedMask, ones};
use crate::math::linalg::{Vec3, add, cross, dot, norm, scale, sub};

/// What a mesh encloses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeshMeasures {
    /// Enclosed volume, mm3.
    pub volume_mm3: f64,
    /// Surface area, mm2.
    pub area_mm2: f64,
}

/// The measures of the mesh around a mask on a grid of this spacing. Costs one pass over the bits.
#[must_use]
pub fn mesh_measures(mask: &PackedMask, spacing_mm: Vec3) -> MeshMeasures {
    let counts = count_cases(mask);
    let (mut volume, mut area) = (0.0, 0.0);
    for (count, case) in counts.iter().zip(&TABLE.cases) {
        let count = *count as f64;
        volume += count * case.inside;
        area += count * case.triangles.iter().map(|(share, t)| share * triangle_area(*t, spacing_mm)).sum::<f64>();
    }
    MeshMeasures { volume_mm3: volume * spacing_mm.iter().product::<f64>(), area_mm2: area }
}

/// How many cubes show each case; bit dx + 2 dy + 4 dz of a case is the corner (dx, dy, dz).
fn count_cases(mask: &PackedMask) -> [u64; 256] {
    let [_, ny, nz] = mask.size();
    let slices: Vec<[u64; 256]> = (0..=nz)
        .into_par_iter()
        .map(|z| {
            let mut counts = [0u64; 256];
            for y in 0..=ny {
                count_row(
                    [mask.row(y, z), mask.row(y + 1, z), mask.row(y, z + 1), mask.row(y + 1, z + 1)],
                    &mut counts,
                );
            }
            counts
        })
        .collect();
    let mut total = [0u64; 256];
    for slice in slices {
        total.iter_mut().zip(slice).for_each(|(sum, count)| *sum += count);
    }
    total
}

/// The cubes between four neighbouring rows; those wholly inside or outside are passed over a word at a time.
fn count_row(rows: [&[u64]; 4], counts: &mut [u64; 256]) {
    for word in 0..rows[0].len() {
        let here = rows.map(|row| row[word]);
        let next = rows.map(|row| row[word] >> 1 | row.get(word + 1).map_or(0, |following| following << 63));
        let any = here.iter().chain(&next).fold(0, |any, bits| any | bits);
        let all = here.iter().chain(&next).fold(u64::MAX, |all, bits| all & bits);
        counts[255] += u64::from(all.count_ones());
        for bit in ones(any & !all, 0) {
            let set = |words: [u64; 4], row: usize| usize::from(words[row] >> bit & 1 == 1);
            let case = (0..4).fold(0, |case, row| case | set(here, row) << (2 * row) | set(next, row) << (2 * row + 1));
            counts[case & 255] += 1;
        }
    }
}

/// Three corners, in cubes of unit size centred on the origin.
type Triangle = [Vec3; 3];

fn triangle_area(triangle: Triangle, spacing: Vec3) -> f64 {
    let [a, b, c] = triangle.map(|p| [p[0] * spacing[0], p[1] * spacing[1], p[2] * spacing[2]]);
    0.5 * norm(cross(sub(b, a), sub(c, a)))
}

/// One case of the table.
struct Case {
    /// Volume inside, of a unit cube.
    inside: f64,
    /// Triangles, each with the share of triangulations that it is part of.
    triangles: Vec<(f64, Triangle)>,
}

struct Table {
    cases: Vec<Case>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table { cases: (0..256).map(case).collect() });

/// The corners of each face, counter-clockwise as seen from outside the cube.
const FACES: [[usize; 4]; 6] = [[0, 4, 6, 2], [1, 3, 7, 5], [0, 1, 5, 4], [2, 6, 7, 3], [0, 2, 3, 1], [4, 5, 7, 6]];

fn corner(index: usize) -> Vec3 {
    [0, 1, 2].map(|axis| if index >> axis & 1 == 1 { 0.5 } else { -0.5 })
}

fn case(corners: usize) -> Case {
    let inside = |corner: usize| corners >> corner & 1 == 1;
    // Directed steps from crossing to crossing; a crossing is named by its two corners.
    let mut steps: Vec<([usize; 2], [usize; 2])> = Vec::new();
    let mut volume = 0.0;
    for face in FACES {
        let (mut entries, mut exits) = (Vec::new(), Vec::new());
        for k in 0..4 {
            let (from, to) = (face[k], face[(k + 1) % 4]);
            let name = [from.min(to), from.max(to)];
            match (inside(from), inside(to)) {
                (false, true) => entries.push(name),
                (true, false) => exits.push(name),
                _ => {}
            }
        }
        // With two entries (diagonal corners), each is joined over the one outside corner that lies before it.
        let outer = |crossing: [usize; 2]| if inside(crossing[0]) { crossing[1] } else { crossing[0] };
        for entry in &entries {
            let exit = exits.iter().find(|exit| exits.len() == 1 || outer(**exit) == outer(*entry));
            steps.extend(exit.map(|exit| (*entry, *exit)));
        }
        // A pyramid over the inside part of the face, from the centre of the cube.
        volume += inside_share(face.map(inside)) / 6.0;
    }
    let triangles: Vec<(f64, Triangle)> = loops(steps).iter().flat_map(|polygon| widest(polygon)).collect();
    volume += triangles.iter().map(|(share, [a, b, c])| share * dot(*a, cross(*b, *c)) / 6.0).sum::<f64>();
    Case { inside: volume, triangles }
}

/// The share of a face that is inside, its corners in order.
fn inside_share(corners: [bool; 4]) -> f64 {
    match corners.iter().filter(|inside| **inside).count() {
        0 => 0.0,
        1 => 0.125,
        2 if corners[0] == corners[2] => 0.75,
        2 => 0.5,
        3 => 0.875,
        _ => 1.0,
    }
}

/// Follows the steps to closed polygons.
fn loops(mut steps: Vec<([usize; 2], [usize; 2])>) -> Vec<Vec<Vec3>> {
    let mut polygons = Vec::new();
    while let Some((start, mut at)) = steps.pop() {
        let mut polygon = vec![middle(start)];
        while at != start {
            polygon.push(middle(at));
            let Some(next) = steps.iter().position(|(from, _)| *from == at) else { break };
            at = steps.swap_remove(next).1;
        }
        polygons.push(polygon);
    }
    polygons
}

fn middle(crossing: [usize; 2]) -> Vec3 {
    scale(0.5, add(corner(crossing[0]), corner(crossing[1])))
}

/// The triangles of the triangulation of greatest area in a unit cube, or of all that share it.
fn widest(polygon: &[Vec3]) -> Vec<(f64, Triangle)> {
    let all = triangulations(polygon);
    let area = |triangles: &[Triangle]| triangles.iter().map(|t| triangle_area(*t, [1.0; 3])).sum::<f64>();
    let greatest = all.iter().map(|triangles| area(triangles)).fold(0.0, f64::max);
    let best: Vec<&Vec<Triangle>> = all.iter().filter(|triangles| area(triangles) > greatest - 1e-9).collect();
    let share = 1.0 / best.len() as f64;
    best.into_iter().flatten().map(|triangle| (share, *triangle)).collect()
}

/// Every triangulation of a polygon without new corners.
fn triangulations(polygon: &[Vec3]) -> Vec<Vec<Triangle>> {
    let ([first, .., last], 3..) = (polygon, polygon.len()) else { return vec![Vec::new()] };
    // The side from the last to the first corner belongs to one triangle: try each third corner.
    let mut found = Vec::new();
    for k in 1..polygon.len() - 1 {
        for before in triangulations(&polygon[..=k]) {
            for after in triangulations(&polygon[k..]) {
                let mut triangles = before.clone();
                triangles.extend(after);
                triangles.push([*first, polygon[k], *last]);
                found.push(triangles);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use ndarray::Array3;

    fn measures(mask: &Array3<bool>, spacing: Vec3) -> MeshMeasures {
        mesh_measures(&PackedMask::new(mask), spacing)
    }

    #[test]
    fn one_voxel_is_an_octahedron() {
        let found = measures(&Array3::from_elem((1, 1, 1), true), [2.0, 2.0, 2.0]);
        assert_relative_eq!(found.volume_mm3, 8.0 / 6.0, epsilon = 1e-12);
        assert_relative_eq!(found.area_mm2, 4.0 * 3f64.sqrt(), epsilon = 1e-12);
    }

    #[test]
    fn a_box_loses_its_edges_and_corners() {
        let found = measures(&Array3::from_elem((6, 5, 70), true), [1.0, 1.0, 1.0]);
        // Faces between the outermost centres, bevelled edges, cut corners.
        let [a, b, c] = [69.0, 4.0, 5.0];
        let area = 2.0 * (a * b + b * c + a * c) + 4.0 * (a + b + c) * 0.5f64.sqrt() + 8.0 * 3f64.sqrt() / 8.0;
        assert_relative_eq!(found.area_mm2, area, epsilon = 1e-9);
        let volume = a * b * c + (a * b + b * c + a * c) + 4.0 * (a + b + c) / 8.0 + 8.0 / 48.0;
        assert_relative_eq!(found.volume_mm3, volume, epsilon = 1e-9);
    }

    #[test]
    fn the_surface_of_every_case_is_closed_by_its_faces() {
        for (index, case) in TABLE.cases.iter().enumerate() {
            // The vector areas of a closed surface cancel: triangles against the inside parts of the faces.
            let surface = case.triangles.iter().fold([0.0; 3], |sum, (share, [a, b, c])| {
                add(sum, scale(0.5 * share, cross(sub(*b, *a), sub(*c, *a))))
            });
            let faces = FACES.iter().fold([0.0; 3], |sum, face| {
                let outward = face.iter().fold([0.0; 3], |sum, k| add(sum, scale(0.5, corner(*k))));
                add(sum, scale(inside_share(face.map(|k| index >> k & 1 == 1)), outward))
            });
            assert!(norm(add(surface, faces)) < 1e-12, "case {index}");
            assert!((0.0..=1.0).contains(&case.inside), "case {index}");
        }
    }

    #[test]
    fn a_mirrored_mask_has_the_same_volume_and_area() {
        let at = |z: usize, y: usize, x: usize| (x * x + 3 * y * y + 5 * z * z + x * y) % 7 < 3;
        let found = measures(&Array3::from_shape_fn((9, 11, 67), |(z, y, x)| at(z, y, x)), [0.7, 0.9, 2.5]);
        let mirrored = Array3::from_shape_fn((9, 11, 67), |(z, y, x)| at(8 - z, y, 66 - x));
        let mirrored = measures(&mirrored, [0.7, 0.9, 2.5]);
        assert_relative_eq!(found.volume_mm3, mirrored.volume_mm3, max_relative = 1e-12);
        assert_relative_eq!(found.area_mm2, mirrored.area_mm2, max_relative = 1e-12);
    }
}
