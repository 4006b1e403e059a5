//! Features of neighbouring grey level dependence matrices (IBSI 3.11, REK0): i is the level, j one more than the number of
//! neighbours that depend on the voxel.

use super::emphasis::{Emphasis, row};
use crate::features::Family;
use crate::features::table::Row;

const FAMILY: Family = Family::Ngldm;

/// The rows of the family.
pub(in crate::features) static ROWS: [Row<Emphasis>; 17] = [
    row(FAMILY, "SODN", "ngl_lde", "Low dependence emphasis", |m| m.short),
    row(FAMILY, "IMOQ", "ngl_hde", "High dependence emphasis", |m| m.long),
    row(FAMILY, "TL9H", "ngl_lgce", "Low grey level count emphasis", |m| m.low),
    row(FAMILY, "OAE7", "ngl_hgce", "High grey level count emphasis", |m| m.high),
    row(FAMILY, "EQ3F", "ngl_ldlge", "Low dependence low grey level emphasis", |m| m.short_low),
    row(FAMILY, "JA6D", "ngl_ldhge", "Low dependence high grey level emphasis", |m| m.short_high),
    row(FAMILY, "NBZI", "ngl_hdlge", "High dependence low grey level emphasis", |m| m.long_low),
    row(FAMILY, "9QMG", "ngl_hdhge", "High dependence high grey level emphasis", |m| m.long_high),
    row(FAMILY, "FP8K", "ngl_glnu", "Grey level non-uniformity", |m| m.level_nonuniformity),
    row(FAMILY, "5SPA", "ngl_glnu_norm", "Normalised grey level non-uniformity", |m| m.level_nonuniformity_norm),
    row(FAMILY, "Z87G", "ngl_dcnu", "Dependence count non-uniformity", |m| m.extent_nonuniformity),
    row(FAMILY, "OKJI", "ngl_dcnu_norm", "Normalised dependence count non-uniformity", |m| m.extent_nonuniformity_norm),
    row(FAMILY, "6XV8", "ngl_dc_perc", "Dependence count percentage", |m| m.percentage),
    row(FAMILY, "1PFV", "ngl_gl_var", "Grey level variance", |m| m.level_variance),
    row(FAMILY, "DNX2", "ngl_dc_var", "Dependence count variance", |m| m.extent_variance),
    row(FAMILY, "FCBV", "ngl_dc_entr", "Dependence count entropy", |m| m.entropy),
    row(FAMILY, "CAS9", "ngl_dc_energy", "Dependence count energy", |m| m.energy),
];
