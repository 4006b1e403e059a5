//! Convex polygons in the plane: Andrew's monotone chain (1979).

/// The corners of the convex hull of points in a plane, counter-clockwise, without points on its sides. O(n log n).
pub(super) fn outline(mut points: Vec<[i64; 2]>) -> Vec<[i64; 2]> {
    points.sort_unstable();
    points.dedup();
    let turns_left =
        |a: &[i64; 2], b: &[i64; 2], c: &[i64; 2]| (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0;
    chains(&points, turns_left)
}

/// The same for points that are no integers: a turn by less than rounding is none.
pub(super) fn outline_mm(mut points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    points.sort_unstable_by(before);
    let size = points.iter().flatten().fold(0.0f64, |size, at| size.max(at.abs()));
    chains(&points, turns_left(size))
}

/// The corners of a polygon whose points follow each other counter-clockwise, without those on its sides. No point is farther
/// than `size` from the origin.
pub(super) fn convex(mut points: Vec<[f64; 2]>, size: f64) -> Vec<[f64; 2]> {
    let turns_left = turns_left(size);
    // The least point is a corner.
    let least = (0..points.len()).min_by(|a, b| before(&points[*a], &points[*b])).unwrap_or(0);
    points.rotate_left(least);
    let mut corners: Vec<[f64; 2]> = Vec::with_capacity(points.len());
    for point in points.iter().chain(points.first()) {
        while let [.., a, b] = &corners[..]
            && !turns_left(a, b, point)
        {
            corners.pop();
        }
        corners.push(*point);
    }
    corners.pop();
    corners
}

fn before(a: &[f64; 2], b: &[f64; 2]) -> std::cmp::Ordering {
    a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1]))
}

/// Whether three points turn left by more than rounding, among points of that size.
fn turns_left(size: f64) -> impl Fn(&[f64; 2], &[f64; 2], &[f64; 2]) -> bool {
    move |a, b, c| (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 1e-14 * size * size
}

/// Lower and upper chain over sorted points.
fn chains<P: Copy + PartialEq>(points: &[P], turns_left: impl Fn(&P, &P, &P) -> bool) -> Vec<P> {
    let mut hull: Vec<P> = Vec::new();
    let mut chain = |points: &mut dyn Iterator<Item = &P>| {
        let start = hull.len();
        for point in points {
            while let [.., a, b] = &hull[start..]
                && !turns_left(a, b, point)
            {
                hull.pop();
            }
            hull.push(*point);
        }
        // The end of one chain is the start of the other.
        if hull.len() > start + 1 {
            hull.pop();
        }
    };
    chain(&mut points.iter());
    chain(&mut points.iter().rev());
    if let [first, second] = hull[..]
        && first == second
    {
        hull.pop();
    }
    hull
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_sides_and_inside_are_no_corners() {
        let square: Vec<[i64; 2]> = (0..5).flat_map(|y| (0..5).map(move |x| [x, y])).collect();
        assert_eq!(outline(square), [[0, 0], [4, 0], [4, 4], [0, 4]]);
        assert_eq!(outline(vec![[1, 1], [1, 1]]), [[1, 1]]);
        assert_eq!(outline(vec![[0, 0], [1, 1], [2, 2]]), [[0, 0], [2, 2]]);
        assert!(outline(Vec::new()).is_empty());
        let tenths: Vec<[f64; 2]> =
            (0..5).flat_map(|y| (0..5).map(move |x| [0.1 * f64::from(x), 0.1 * f64::from(y)])).collect();
        assert_eq!(outline_mm(tenths).len(), 4);
    }
}
