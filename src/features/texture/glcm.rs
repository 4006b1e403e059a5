//! Features of grey level co-occurrence matrices (IBSI 3.6, LFYI).
//!
//! The matrix is symmetric: a cell (i, j), i <= j, of N pairs stands for p(i, j) = p(j, i) = count / 2N, on the diagonal for
//! count / N. Logarithms are of base 2. Where all pairs are of one level, correlation is 1 and both measures of information
//! correlation are 0.

use super::matrix::{Matrix, distribution};
use crate::features::Family;
use crate::features::table::{Row, Unit};

/// What the rows are computed from.
#[derive(Debug, Clone, Copy)]
pub(in crate::features) struct Glcm {
    joint_max: f64,
    joint_avg: f64,
    joint_var: f64,
    joint_entr: f64,
    difference: Moments,
    sum: Moments,
    energy: f64,
    inverse: Inverse,
    auto_corr: f64,
    /// Entropy of the marginal distribution.
    marginal_entr: f64,
}

/// Moments and entropy of the distribution of i - j or of i + j.
#[derive(Debug, Clone, Copy)]
struct Moments {
    mean: f64,
    variance: f64,
    third: f64,
    fourth: f64,
    entropy: f64,
    /// Mean of the square.
    square: f64,
}

impl Moments {
    fn of(shares: &[(f64, f64)]) -> Self {
        let mean = shares.iter().map(|(k, p)| k * p).sum::<f64>();
        let central = |power: i32| shares.iter().map(|(k, p)| (k - mean).powi(power) * p).sum();
        Self {
            mean,
            variance: central(2),
            third: central(3),
            fourth: central(4),
            entropy: entropy(shares.iter().map(|(_, p)| *p)),
            square: shares.iter().map(|(k, p)| k * k * p).sum(),
        }
    }
}

/// Means of functions that fall with |i - j|.
#[derive(Debug, Clone, Copy)]
struct Inverse {
    diff: f64,
    diff_norm: f64,
    moment: f64,
    moment_norm: f64,
    variance: f64,
}

impl Inverse {
    fn of(shares: &[(f64, f64)], n_levels: f64) -> Self {
        let mean = |f: &dyn Fn(f64) -> f64| shares.iter().map(|(k, p)| p * f(*k)).sum();
        Self {
            diff: mean(&|k| 1.0 / (1.0 + k)),
            diff_norm: mean(&|k| 1.0 / (1.0 + k / n_levels)),
            moment: mean(&|k| 1.0 / (1.0 + k * k)),
            moment_norm: mean(&|k| 1.0 / (1.0 + (k / n_levels).powi(2))),
            variance: mean(&|k| if k > 0.0 { 1.0 / (k * k) } else { 0.0 }),
        }
    }
}

pub(super) fn entropy(shares: impl Iterator<Item = f64>) -> f64 {
    shares.filter(|p| *p > 0.0).map(|p| -p * p.log2()).sum()
}

impl Glcm {
    /// Of a matrix of regions with `n_levels` grey levels; `None` when there are no pairs.
    pub(super) fn of(matrix: &Matrix, n_levels: u32) -> Option<Self> {
        let total = matrix.total();
        if total <= 0.0 {
            return None;
        }
        let cells = || matrix.cells.iter();
        let shares = |mut counts: Vec<(f64, f64)>| {
            counts.iter_mut().for_each(|(_, count)| *count /= total);
            counts
        };
        let difference = shares(distribution(cells().map(|cell| (cell.other - cell.level, cell.count))));
        let sum = shares(distribution(cells().map(|cell| (cell.level + cell.other, cell.count))));
        // Each pair counts half for either level.
        let halves = cells().flat_map(|cell| [(cell.level, cell.count / 2.0), (cell.other, cell.count / 2.0)]);
        let marginal = shares(distribution(halves));
        let joint_avg = marginal.iter().map(|(i, p)| i * p).sum::<f64>();
        let mut joint = (0.0f64, 0.0, 0.0, 0.0);
        for cell in cells() {
            // Off the diagonal the share is halved and counts twice.
            let times = if cell.level == cell.other { 1.0 } else { 2.0 };
            let p = cell.count / total / times;
            joint.0 = joint.0.max(p);
            joint.1 -= times * p * p.log2();
            joint.2 += times * p * p;
            joint.3 += times * p * f64::from(cell.level) * f64::from(cell.other);
        }
        Some(Self {
            joint_max: joint.0,
            joint_avg,
            joint_var: marginal.iter().map(|(i, p)| (i - joint_avg).powi(2) * p).sum(),
            joint_entr: joint.1,
            difference: Moments::of(&difference),
            sum: Moments::of(&sum),
            energy: joint.2,
            inverse: Inverse::of(&difference, f64::from(n_levels)),
            auto_corr: joint.3,
            marginal_entr: entropy(marginal.iter().map(|(_, p)| *p)),
        })
    }

    fn correlation(&self) -> f64 {
        if self.joint_var > 0.0 { (self.auto_corr - self.joint_avg.powi(2)) / self.joint_var } else { 1.0 }
    }

    /// (HXY - HXY1) / HX. The matrix is symmetric, so that HXY1 = HXY2 = 2 HX.
    fn info_corr_1(&self) -> f64 {
        if self.marginal_entr > 0.0 { (self.joint_entr - 2.0 * self.marginal_entr) / self.marginal_entr } else { 0.0 }
    }

    /// sqrt(1 - exp(-2 (HXY2 - HXY))); rounding may put HXY above HXY2 where the levels are independent.
    fn info_corr_2(&self) -> f64 {
        (1.0 - (-2.0 * (2.0 * self.marginal_entr - self.joint_entr)).exp()).max(0.0).sqrt()
    }
}

const NO_PAIRS: &str = "no two voxels of the region are neighbours";

const fn row(id: &'static str, tag: &'static str, name: &'static str, eval: fn(&Glcm) -> f64) -> Row<Glcm> {
    Row::new(Family::Glcm, id, tag, name, Unit::One, eval).undefined_when(NO_PAIRS)
}

/// The rows of the family.
pub(in crate::features) static ROWS: [Row<Glcm>; 25] = [
    row("GYBY", "cm_joint_max", "Joint maximum", |m| m.joint_max),
    row("60VM", "cm_joint_avg", "Joint average", |m| m.joint_avg),
    row("UR99", "cm_joint_var", "Joint variance", |m| m.joint_var),
    row("TU9B", "cm_joint_entr", "Joint entropy", |m| m.joint_entr),
    row("TF7R", "cm_diff_avg", "Difference average", |m| m.difference.mean),
    row("D3YU", "cm_diff_var", "Difference variance", |m| m.difference.variance),
    row("NTRS", "cm_diff_entr", "Difference entropy", |m| m.difference.entropy),
    row("ZGXS", "cm_sum_avg", "Sum average", |m| m.sum.mean),
    row("OEEB", "cm_sum_var", "Sum variance", |m| m.sum.variance),
    row("P6QZ", "cm_sum_entr", "Sum entropy", |m| m.sum.entropy),
    row("8ZQL", "cm_energy", "Angular second moment", |m| m.energy),
    row("ACUI", "cm_contrast", "Contrast", |m| m.difference.square),
    row("8S9J", "cm_dissimilarity", "Dissimilarity", |m| m.difference.mean),
    row("IB1Z", "cm_inv_diff", "Inverse difference", |m| m.inverse.diff),
    row("NDRX", "cm_inv_diff_norm", "Normalised inverse difference", |m| m.inverse.diff_norm),
    row("WF0Z", "cm_inv_diff_mom", "Inverse difference moment", |m| m.inverse.moment),
    row("1QCO", "cm_inv_diff_mom_norm", "Normalised inverse difference moment", |m| m.inverse.moment_norm),
    row("E8JP", "cm_inv_var", "Inverse variance", |m| m.inverse.variance),
    row("NI2N", "cm_corr", "Correlation", Glcm::correlation),
    row("QWB0", "cm_auto_corr", "Autocorrelation", |m| m.auto_corr),
    // The mean of i + j is twice the joint average, so that these are central moments of the sum.
    row("DG8W", "cm_clust_tend", "Cluster tendency", |m| m.sum.variance),
    row("7NFM", "cm_clust_shade", "Cluster shade", |m| m.sum.third),
    row("AE86", "cm_clust_prom", "Cluster prominence", |m| m.sum.fourth),
    row("R8DG", "cm_info_corr1", "Information correlation 1", Glcm::info_corr_1),
    row("JN9H", "cm_info_corr2", "Information correlation 2", Glcm::info_corr_2),
];
