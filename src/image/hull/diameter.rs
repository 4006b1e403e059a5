//! The greatest distance between two of many points.

use crate::math::linalg::{Vec3, norm, scale, sub};

/// The greatest distance between two points; 0 for fewer than two.
///
/// Points are taken from the farthest from their middle inwards: two points are at most as far apart as their distances
/// from the middle add up to, so most pairs are never looked at.
pub(super) fn diameter(points: &[Vec3]) -> f64 {
    let Some(middle) = middle(points) else { return 0.0 };
    let mut sorted: Vec<(f64, Vec3)> = points.iter().map(|p| (norm(sub(*p, middle)), *p)).collect();
    sorted.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let mut best = 0.0;
    for (k, (radius, point)) in sorted.iter().enumerate() {
        if 2.0 * radius < best {
            break;
        }
        for (other_radius, other) in &sorted[k + 1..] {
            if radius + other_radius < best {
                break;
            }
            best = norm(sub(*point, *other)).max(best);
        }
    }
    best
}

/// The middle of the points' box.
fn middle(points: &[Vec3]) -> Option<Vec3> {
    let mut bounds = points.iter().map(|p| (*p, *p));
    let start = bounds.next()?;
    let (low, high) = bounds.fold(start, |(low, high), (p, _)| {
        ([0, 1, 2].map(|axis| p[axis].min(low[axis])), [0, 1, 2].map(|axis| p[axis].max(high[axis])))
    });
    Some(scale(0.5, [0, 1, 2].map(|axis| low[axis] + high[axis])))
}
