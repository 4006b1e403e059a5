//! From contours to voxels.
//!
//! A voxel belongs to a region when its centre lies inside the contours of its slice by the even-odd rule, over all
//! contours of that slice together: a contour inside another is a hole. Each contour lies on the slice that is nearest by
//! position; where contours of several planes lie around one slice, those of the nearest plane alone are the slice's. A
//! contour that is drawn twice counts once. A centre exactly on an outline counts by the half-open rule: edges own their end
//! of smaller y, and a centre on a left edge is inside, on a right edge outside. Two regions that share an outline never
//! share a voxel.
//!
//! A region may be drawn on planes of its own, oblique to the slices (on a reformatted image). Its contours then are the
//! slices of a stack of their own, and each voxel centre is tested on the nearest of them.

use std::collections::{BTreeMap, BTreeSet};

use super::oblique;
use super::rtstruct::{Contour, GeometricType, Roi};
use crate::finding::{Finding, FindingKind, Policies};
use crate::image::{Geometry, Mask, Transform};

/// A contour may lie this far from its slice, in slices.
const OFF_SLICE_MAX: f64 = 0.5;
/// Contours this close to each other, in slices, lie on one plane: positions are rounded, and outlines are not always flat.
const ONE_PLANE: f64 = 0.1;
/// Positions are written with limited digits: half a slice is half a slice with this much to spare.
const OFF_SLICE_TOLERANCE: f64 = 1e-4;

/// A straight piece of an outline in voxel coordinates, `y0 < y1`.
#[derive(Debug, Clone, Copy)]
struct Edge {
    y0: f64,
    y1: f64,
    x0: f64,
    /// dx / dy
    slope: f64,
}

impl Edge {
    fn between(a: [f64; 3], b: [f64; 3]) -> Option<Self> {
        let (low, high) = if a[1] <= b[1] { (a, b) } else { (b, a) };
        // A horizontal edge owns no scan line.
        (low[1] < high[1]).then(|| Self {
            y0: low[1],
            y1: high[1],
            x0: low[0],
            slope: (high[0] - low[0]) / (high[1] - low[1]),
        })
    }

    /// Where the edge crosses the line at `y`, if it owns that line.
    fn crossing(&self, y: f64) -> Option<f64> {
        (self.y0 <= y && y < self.y1).then_some(self.x0 + (y - self.y0) * self.slope)
    }
}

/// The outlines of a region, slice by slice, in the voxel coordinates of the images it was drawn on.
#[derive(Debug, Default)]
struct Outlines(BTreeMap<usize, Vec<Edge>>);

impl Outlines {
    /// Sorts contours onto slices; says which have no inside or no slice.
    fn of(roi: &Roi, geometry: &Geometry) -> (Self, Unusable) {
        let mut outlines = Self::default();
        let mut unusable = Unusable::default();
        let mut drawn: BTreeMap<usize, Vec<Drawn<'_>>> = BTreeMap::new();
        for contour in &roi.contours {
            if !contour.has_inside() {
                unusable.not_closed += 1;
                continue;
            }
            let points: Vec<[f64; 3]> = contour.points_mm.iter().map(|p| geometry.world_to_voxel(*p)).collect();
            let Some(slice) = slice_of(&points, geometry.size[2], &mut unusable) else { continue };
            drawn.entry(slice).or_default().push(Drawn { contour, points });
        }
        for (slice, contours) in drawn {
            let edges = outlines.0.entry(slice).or_default();
            for contour in of_one_slice(contours, slice, &mut unusable) {
                for (a, b) in contour.points.iter().zip(contour.points.iter().cycle().skip(1)) {
                    edges.extend(Edge::between(*a, *b));
                }
            }
        }
        (outlines, unusable)
    }
}

/// A contour in voxel coordinates.
#[derive(Debug)]
struct Drawn<'a> {
    contour: &'a Contour,
    points: Vec<[f64; 3]>,
}

impl Drawn<'_> {
    #[allow(clippy::cast_precision_loss)] // points
    fn position(&self) -> f64 {
        self.points.iter().map(|p| p[2]).sum::<f64>() / self.points.len() as f64
    }
}

/// A contour's points as something that can be looked up.
fn bits(contour: &Contour) -> Vec<u64> {
    contour.points_mm.iter().flatten().map(|value| value.to_bits()).collect()
}

/// Of the contours around one slice those on the plane nearest to it, each once.
#[allow(clippy::cast_precision_loss)] // slices
fn of_one_slice<'a>(contours: Vec<Drawn<'a>>, slice: usize, unusable: &mut Unusable) -> Vec<Drawn<'a>> {
    let off = |drawn: &Drawn<'_>| drawn.position() - slice as f64;
    // Of two planes equally near, the lower one.
    let nearest = contours.iter().map(off).min_by(|a, b| a.abs().total_cmp(&b.abs()).then(a.total_cmp(b)));
    let (mut kept, mut seen) = (Vec::new(), BTreeSet::new());
    for drawn in contours {
        if nearest.is_some_and(|nearest| (off(&drawn) - nearest).abs() > ONE_PLANE) {
            unusable.between_slices += 1;
        } else if drawn.contour.geometric_type != GeometricType::ClosedPlanarXor && !seen.insert(bits(drawn.contour)) {
            unusable.duplicates += 1;
        } else {
            kept.push(drawn);
        }
    }
    kept
}

/// Contours that could not be used.
#[derive(Debug, Default)]
struct Unusable {
    not_closed: usize,
    between_slices: usize,
    duplicates: usize,
    off_slice: usize,
    farthest: f64,
}

/// The slice that a contour lies on: all of its points within half a slice.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked to be in range
fn slice_of(points: &[[f64; 3]], n_slices: usize, unusable: &mut Unusable) -> Option<usize> {
    let mean = points.iter().map(|p| p[2]).sum::<f64>() / points.len() as f64;
    let nearest = mean.round().clamp(0.0, n_slices as f64 - 1.0);
    let farthest = points.iter().map(|p| (p[2] - nearest).abs()).fold(0.0, f64::max);
    if farthest <= OFF_SLICE_MAX + OFF_SLICE_TOLERANCE {
        return Some(nearest as usize);
    }
    unusable.off_slice += 1;
    unusable.farthest = unusable.farthest.max(farthest);
    None
}

/// The voxels of the images that a region was drawn on.
///
/// A contour that lies more than half a slice from every slice is the finding `contour_off_slice`, one without an inside
/// (a point, an open line) `contour_not_closed`; neither adds voxels. A region on planes of its own is `contour_oblique`.
#[must_use]
pub fn rasterise(roi: &Roi, geometry: &Geometry, policies: &Policies) -> (Mask, Vec<Finding>) {
    if let Some(planes) = oblique::planes(roi, geometry) {
        let mask = onto(roi, &planes, geometry, &Transform::Identity);
        let (_, unusable) = Outlines::of(roi, &planes);
        let mut findings = findings(roi, &unusable, policies);
        let detail = format!("drawn on {} planes of its own, oblique to the slices", planes.size[2]);
        findings.push(policies.finding(FindingKind::ContourOblique, roi.name.clone(), detail));
        return (mask, findings);
    }
    let (outlines, unusable) = Outlines::of(roi, geometry);
    let mut mask = Mask::filled(*geometry, false);
    for (slice, edges) in &outlines.0 {
        let mut plane = mask.voxels.index_axis_mut(ndarray::Axis(0), *slice);
        fill(edges, geometry.size, |y, x0, x1| (x0..x1).for_each(|x| plane[[y, x]] = true));
    }
    (mask, findings(roi, &unusable, policies))
}

fn findings(roi: &Roi, unusable: &Unusable, policies: &Policies) -> Vec<Finding> {
    let mut findings = Vec::new();
    if unusable.off_slice > 0 {
        let detail = format!(
            "{} of {} contours lie up to {:.3} slices from the nearest slice, at most {OFF_SLICE_MAX} expected",
            unusable.off_slice,
            roi.contours.len(),
            unusable.farthest
        );
        findings.push(policies.finding(FindingKind::ContourOffSlice, roi.name.clone(), detail));
    }
    if unusable.between_slices > 0 {
        let detail = format!(
            "{} of {} contours lie between the planes that are nearest to the slices: those planes alone are used",
            unusable.between_slices,
            roi.contours.len()
        );
        findings.push(policies.finding(FindingKind::ContourBetweenSlices, roi.name.clone(), detail));
    }
    if unusable.duplicates > 0 {
        let detail = format!("{} of {} contours are drawn twice", unusable.duplicates, roi.contours.len());
        findings.push(policies.finding(FindingKind::ContourDuplicate, roi.name.clone(), detail));
    }
    if unusable.not_closed > 0 {
        let detail = format!("{} of {} contours are points or open lines", unusable.not_closed, roi.contours.len());
        findings.push(policies.finding(FindingKind::ContourNotClosed, roi.name.clone(), detail));
    }
    findings
}

/// Calls `run(y, x0, x1)` for each run of voxel centres inside the outlines of one slice.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the grid
fn fill(edges: &[Edge], size: [usize; 3], mut run: impl FnMut(usize, usize, usize)) {
    let low = edges.iter().map(|edge| edge.y0).fold(f64::INFINITY, f64::min).ceil().max(0.0);
    let high = edges.iter().map(|edge| edge.y1).fold(f64::NEG_INFINITY, f64::max).min(size[1] as f64);
    if low >= high {
        return;
    }
    let first = |x: f64| x.ceil().clamp(0.0, size[0] as f64) as usize;
    let mut crossings = Vec::new();
    for y in low as usize..(high.ceil() as usize).min(size[1]) {
        crossings.clear();
        crossings.extend(edges.iter().filter_map(|edge| edge.crossing(y as f64)));
        crossings.sort_unstable_by(f64::total_cmp);
        for pair in crossings.chunks_exact(2) {
            let (from, to) = (first(pair[0]), first(pair[1]));
            if from < to {
                run(y, from, to);
            }
        }
    }
}

/// The voxels of other images that a region covers: each voxel centre is taken through `to_drawn` into the space that the
/// region was drawn in, to the slice it is nearest to (within half a slice), and tested there as in [`rasterise`].
#[must_use]
pub fn rasterise_onto(roi: &Roi, drawn_on: &Geometry, target: &Geometry, to_drawn: &Transform) -> Mask {
    match oblique::planes(roi, drawn_on) {
        Some(planes) => onto(roi, &planes, target, to_drawn),
        None => onto(roi, drawn_on, target, to_drawn),
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the grid
fn onto(roi: &Roi, drawn_on: &Geometry, target: &Geometry, to_drawn: &Transform) -> Mask {
    let (outlines, _) = Outlines::of(roi, drawn_on);
    let mut mask = Mask::filled(*target, false);
    let rows: BTreeMap<usize, Rows> = outlines.0.into_iter().map(|(slice, edges)| (slice, Rows::of(edges))).collect();
    let Some(window) = window(roi, target, to_drawn) else { return mask };
    let [xs, ys, zs] = window;
    for z in zs {
        for y in ys.clone() {
            for x in xs.clone() {
                let world = to_drawn.apply(target.voxel_to_world([x as f64, y as f64, z as f64]));
                let [u, v, w] = drawn_on.world_to_voxel(world);
                let slice = (w + 0.5).floor();
                if slice < 0.0 || !slice.is_finite() {
                    continue;
                }
                if rows.get(&(slice as usize)).is_some_and(|rows| rows.contains(u, v)) {
                    mask.voxels[[z, y, x]] = true;
                }
            }
        }
    }
    mask
}

/// The edges of one slice by the rows of voxels that they cross, so that a point is compared with few of them.
#[derive(Debug)]
struct Rows {
    first: f64,
    rows: Vec<Vec<Edge>>,
}

/// More rows than an image has: edges of an outline far outside share the last.
const ROWS_MAX: usize = 1 << 16;

impl Rows {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    fn of(edges: Vec<Edge>) -> Self {
        let first = edges.iter().map(|edge| edge.y0).fold(f64::INFINITY, f64::min).floor();
        let mut rows: Vec<Vec<Edge>> = Vec::new();
        for edge in edges {
            let from = row(edge.y0, first);
            let to = row(edge.y1, first);
            if rows.len() <= to {
                rows.resize_with(to + 1, Vec::new);
            }
            for row in &mut rows[from..=to] {
                row.push(edge);
            }
        }
        Self { first, rows }
    }

    fn contains(&self, x: f64, y: f64) -> bool {
        if y < self.first {
            return false;
        }
        let Some(edges) = self.rows.get(row(y, self.first)) else { return false };
        // Even-odd: outlines to the left of the point, one exactly on it included.
        edges.iter().filter(|edge| edge.crossing(y).is_some_and(|crossing| crossing <= x)).count() % 2 == 1
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
fn row(y: f64, first: f64) -> usize {
    ((y - first).max(0.0) as usize).min(ROWS_MAX - 1)
}

/// The part of the target grid that the region can cover: its box, taken back through the map.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the grid
fn window(roi: &Roi, target: &Geometry, to_drawn: &Transform) -> Option<[std::ops::Range<usize>; 3]> {
    let whole = target.size.map(|n| 0..n);
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for point in roi.contours.iter().flat_map(|contour| &contour.points_mm) {
        for axis in 0..3 {
            low[axis] = low[axis].min(point[axis]);
            high[axis] = high[axis].max(point[axis]);
        }
    }
    if low.iter().chain(&high).any(|bound| !bound.is_finite()) {
        return None;
    }
    // Slices have a thickness that contours do not: a margin well above it, in world units.
    let margin = SLICE_MARGIN_MM;
    let Some(back) = to_drawn.inverse() else { return Some(whole) };
    let (mut first, mut last) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for corner in 0..8u8 {
        let point =
            [0, 1, 2].map(|axis| if corner >> axis & 1 == 0 { low[axis] - margin } else { high[axis] + margin });
        let index = target.world_to_voxel(back.apply(point));
        for axis in 0..3 {
            first[axis] = first[axis].min(index[axis]);
            last[axis] = last[axis].max(index[axis]);
        }
    }
    Some([0, 1, 2].map(|axis| {
        let n = target.size[axis] as f64;
        let from = first[axis].floor().clamp(0.0, n) as usize;
        let to = (last[axis].ceil() + 1.0).clamp(0.0, n) as usize;
        from..to.max(from)
    }))
}

/// Half of the thickest slice that exists, with room to spare.
const SLICE_MARGIN_MM: f64 = 25.0;

/// Whether a region lies on an image: most of its closed contours are on a slice and within the matrix.
#[must_use]
#[allow(clippy::cast_precision_loss)] // matrix sizes
pub fn fits(roi: &Roi, geometry: &Geometry) -> bool {
    let usable: Vec<&Contour> = roi.contours.iter().filter(|contour| contour.has_inside()).collect();
    let on_image = usable.iter().filter(|contour| {
        contour.points_mm.iter().all(|point| {
            let [x, y, z] = geometry.world_to_voxel(*point);
            let slice = z.round();
            let inside = |v: f64, n: usize| (-0.5..=n as f64 - 0.5).contains(&v);
            (z - slice).abs() <= SAME_PLANE
                && inside(slice, geometry.size[2])
                && inside(x, geometry.size[0])
                && inside(y, geometry.size[1])
        })
    });
    !usable.is_empty() && on_image.count() == usable.len()
}

/// A contour that was drawn on an image lies in the plane of one of its slices, up to the digits it was written with.
const SAME_PLANE: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::linalg::IDENTITY;

    fn grid() -> Geometry {
        Geometry::new([20, 20, 5], [1.0, 1.0, 3.0], [0.0; 3], IDENTITY).unwrap()
    }

    fn square(from: f64, to: f64, z: f64) -> Contour {
        let points_mm = vec![[from, from, z], [to, from, z], [to, to, z], [from, to, z]];
        Contour { points_mm, geometric_type: GeometricType::ClosedPlanar }
    }

    fn roi(contours: Vec<Contour>) -> Roi {
        Roi { name: "GTV".to_owned(), contours, ..Roi::default() }
    }

    #[test]
    fn a_square_covers_the_centres_inside_it_and_half_of_its_outline() {
        let (mask, findings) = rasterise(&roi(vec![square(2.0, 5.0, 3.0)]), &grid(), &Policies::default());
        assert_eq!(findings, vec![]);
        assert_eq!(mask.count(), 9, "centres 2, 3, 4 of x and y; 5 lies on the far edges");
        assert!(mask.voxels[[1, 2, 2]] && !mask.voxels[[1, 5, 5]] && !mask.voxels[[0, 3, 3]]);
    }

    #[test]
    fn a_contour_inside_another_is_a_hole() {
        let contours = vec![square(1.5, 10.5, 0.0), square(3.5, 5.5, 0.0)];
        let (mask, _) = rasterise(&roi(contours), &grid(), &Policies::default());
        assert_eq!(mask.count(), 81 - 4);
    }

    #[test]
    fn contours_between_slices_go_to_the_nearest_and_those_outside_are_found() {
        let contours = vec![square(1.5, 3.5, 4.4), square(1.5, 3.5, -2.0), square(1.5, 3.5, 40.0)];
        let (mask, findings) = rasterise(&roi(contours), &grid(), &Policies::default());
        assert_eq!(mask.count(), 4);
        assert!(mask.voxels[[1, 2, 2]]);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].kind, FindingKind::ContourOffSlice);
        assert!(findings[0].detail.starts_with("2 of 3"));
    }

    #[test]
    fn contours_finer_than_the_slices_do_not_cancel_each_other() {
        let on_slices = [0.0, 3.0, 6.0].map(|z| square(1.5, 10.5, z));
        let (expected, _) = rasterise(&roi(on_slices.to_vec()), &grid(), &Policies::default());
        let between = [0.9, 2.1, 3.9].map(|z| square(2.5, 9.5, z));
        for contours in [[on_slices.to_vec(), between.to_vec()], [between.to_vec(), on_slices.to_vec()]] {
            let (mask, findings) = rasterise(&roi(contours.concat()), &grid(), &Policies::default());
            assert_eq!(mask, expected);
            assert_eq!(findings.len(), 1);
            assert_eq!(findings[0].kind, FindingKind::ContourBetweenSlices);
            assert!(findings[0].detail.starts_with("3 of 6"), "{}", findings[0].detail);
        }
    }

    #[test]
    fn a_contour_that_is_drawn_twice_counts_once_and_a_hole_stays_one() {
        let contours = vec![square(1.5, 10.5, 0.0), square(3.5, 5.5, 0.0), square(1.5, 10.5, 0.0)];
        let (mask, findings) = rasterise(&roi(contours), &grid(), &Policies::default());
        assert_eq!((mask.count(), findings[0].kind), (81 - 4, FindingKind::ContourDuplicate));
    }

    #[test]
    fn points_and_open_lines_have_no_inside() {
        let mut open = square(1.5, 3.5, 0.0);
        open.geometric_type = GeometricType::OpenPlanar;
        let (mask, findings) = rasterise(&roi(vec![open]), &grid(), &Policies::default());
        assert_eq!((mask.count(), findings[0].kind), (0, FindingKind::ContourNotClosed));
    }

    #[test]
    fn carried_onto_the_same_grid_a_region_is_what_it_was() {
        let (s, c) = 0.4f64.sin_cos();
        let oblique =
            Geometry::new([20, 20, 5], [1.0, 1.0, 3.0], [-7.0, 3.0, 9.0], [[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
                .unwrap();
        let mut contour = square(2.3, 9.6, 1.0);
        for point in &mut contour.points_mm {
            *point = oblique.voxel_to_world([point[0], point[1], 2.0]);
        }
        let roi = roi(vec![contour]);
        let (drawn, _) = rasterise(&roi, &oblique, &Policies::default());
        assert_eq!(drawn.count(), 49);
        assert_eq!(rasterise_onto(&roi, &oblique, &oblique, &Transform::Identity), drawn);
        assert!(fits(&roi, &oblique) && !fits(&roi, &grid()));
    }

    #[test]
    fn carried_through_a_shift_a_region_moves_with_the_anatomy() {
        let roi = roi(vec![square(2.5, 6.5, 3.0), square(2.5, 6.5, 6.0)]);
        let fine = Geometry::new([40, 40, 15], [0.5, 0.5, 1.0], [0.0; 3], IDENTITY).unwrap();
        let moved = rasterise_onto(&roi, &grid(), &fine, &Transform::translation([1.0, 0.0, 0.0]));
        let voxels: Vec<_> = moved.voxels.indexed_iter().filter(|(_, inside)| **inside).map(|(at, _)| at).collect();
        assert_eq!(voxels.len(), 8 * 8 * 6);
        // x + 1 in [2.5, 6.5) is x in [1.5, 5.5): indices 3 to 10; z in [1.5, 7.5): indices 2 to 7.
        assert_eq!(voxels.first(), Some(&(2, 5, 3)));
        assert_eq!(voxels.last(), Some(&(7, 12, 10)));
    }

    #[test]
    fn contours_on_coronal_planes_of_an_axial_image_make_the_same_box() {
        let image = Geometry::new([30, 30, 20], [1.0, 1.0, 1.5], [0.0; 3], IDENTITY).unwrap();
        let plane = |y: f64| {
            let corners = [[5.3, 4.2], [15.3, 4.2], [15.3, 19.2], [5.3, 19.2]];
            let points_mm = corners.iter().map(|[x, z]| [*x, y, *z]).collect();
            Contour { points_mm, geometric_type: GeometricType::ClosedPlanar }
        };
        let roi = roi((0..4u8).map(|k| plane(10.0 + 2.0 * f64::from(k))).collect());
        let (mask, findings) = rasterise(&roi, &image, &Policies::default());
        assert_eq!(findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(), [FindingKind::ContourOblique]);
        // Four planes, 2 mm apart, reach from y = 9 to y = 17.
        assert_eq!(mask.count(), 10 * 8 * 10);
        assert_eq!(rasterise_onto(&roi, &image, &image, &Transform::Identity), mask);
    }

    #[test]
    fn one_oblique_contour_has_no_thickness_and_is_off_the_slices() {
        let contour = Contour {
            points_mm: vec![[2.0, 5.0, 0.0], [9.0, 5.0, 0.0], [9.0, 5.0, 12.0], [2.0, 5.0, 12.0]],
            geometric_type: GeometricType::ClosedPlanar,
        };
        let (mask, findings) = rasterise(&roi(vec![contour]), &grid(), &Policies::default());
        assert_eq!((mask.count(), findings[0].kind), (0, FindingKind::ContourOffSlice));
    }

    #[test]
    fn xor_contours_that_overlap_leave_what_only_one_of_them_covers() {
        let xor = |from, to| Contour { geometric_type: GeometricType::ClosedPlanarXor, ..square(from, to, 0.0) };
        let (mask, _) = rasterise(&roi(vec![xor(1.5, 6.5), xor(4.5, 9.5)]), &grid(), &Policies::default());
        assert_eq!(mask.count(), 25 + 25 - 2 * 4);
    }
}
