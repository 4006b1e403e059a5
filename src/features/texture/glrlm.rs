//! Features of grey level run length matrices (IBSI 3.7, TP0I): i is the level, j the length of a run.

use super::emphasis::{Emphasis, row};
use crate::features::Family;
use crate::features::table::Row;

const FAMILY: Family = Family::Glrlm;

/// The rows of the family.
pub(in crate::features) static ROWS: [Row<Emphasis>; 16] = [
    row(FAMILY, "22OV", "rlm_sre", "Short runs emphasis", |m| m.short),
    row(FAMILY, "W4KF", "rlm_lre", "Long runs emphasis", |m| m.long),
    row(FAMILY, "V3SW", "rlm_lgre", "Low grey level run emphasis", |m| m.low),
    row(FAMILY, "G3QZ", "rlm_hgre", "High grey level run emphasis", |m| m.high),
    row(FAMILY, "HTZT", "rlm_srlge", "Short run low grey level emphasis", |m| m.short_low),
    row(FAMILY, "GD3A", "rlm_srhge", "Short run high grey level emphasis", |m| m.short_high),
    row(FAMILY, "IVPO", "rlm_lrlge", "Long run low grey level emphasis", |m| m.long_low),
    row(FAMILY, "3KUM", "rlm_lrhge", "Long run high grey level emphasis", |m| m.long_high),
    row(FAMILY, "R5YN", "rlm_glnu", "Grey level non-uniformity", |m| m.level_nonuniformity),
    row(FAMILY, "OVBL", "rlm_glnu_norm", "Normalised grey level non-uniformity", |m| m.level_nonuniformity_norm),
    row(FAMILY, "W92Y", "rlm_rlnu", "Run length non-uniformity", |m| m.extent_nonuniformity),
    row(FAMILY, "IC23", "rlm_rlnu_norm", "Normalised run length non-uniformity", |m| m.extent_nonuniformity_norm),
    row(FAMILY, "9ZK5", "rlm_r_perc", "Run percentage", |m| m.percentage),
    row(FAMILY, "8CE5", "rlm_gl_var", "Grey level variance", |m| m.level_variance),
    row(FAMILY, "SXLW", "rlm_rl_var", "Run length variance", |m| m.extent_variance),
    row(FAMILY, "HJ9O", "rlm_rl_entr", "Run entropy", |m| m.entropy),
];
