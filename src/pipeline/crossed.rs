//! Features of two roles together, and habitats of all of them, on the common grid.
//!
//! Each pair of roles is compared once; its values stand in the block of the earlier role (the reference first, then the
//! protocol's order), with the other role's name in their tag. Habitats are made from all roles, and stand in the block of the
//! first.

use super::carry::Scene;
use super::lesions::Lesion;
use super::measure;
use super::remarks::Remarks;
use crate::align;
use crate::features::cross::{CrossSettings, Crossed, HabitatSettings, Habitats, cross, habitats, habitats_near};
use crate::features::{Discretise, FeatureError};
use crate::finding::FindingKind;
use crate::image::{Mask, Volume};
use crate::report::{Measured, MeasurementGroup};

/// Adds the values to the blocks of a lesion. Pairs without values are remarked on; they are no end of anything.
pub(super) fn add(
    groups: &mut [MeasurementGroup],
    scene: &Scene<'_>,
    lesion: &Lesion,
    mask: &Mask,
    aligned: &[(usize, align::Aligned)],
    remarks: &mut Remarks<'_>,
) {
    let name = |role: usize| scene.roles[role].name();
    let images = aligned.iter().map(|(role, image)| (name(*role), &image.volume)).collect();
    let images = in_order(images, &scene.protocol.reference);
    each(&images, mask, None, |role, suffix, roles, found| match found {
        Ok(found) => extend(groups, role, &found, suffix, roles),
        Err(error) => refuse(&error, lesion, roles, remarks),
    });
    if let [(first, _), _, ..] = images.as_slice() {
        let all = images.iter().map(|(role, _)| *role).collect::<Vec<_>>().join(" and ");
        let HabitatSettings { count, seed, .. } = HabitatSettings::default();
        let parameters = [
            format!("cross_levels={}", Discretise::Bins(CrossSettings::default().bins).label()),
            format!("habitats={count} by k-means of the standardised intensities of {all}, seed {seed}"),
        ];
        if let Some(group) = groups.iter_mut().find(|group| group.role == *first) {
            group.parameters.extend(parameters);
        }
    }
}

/// The habitats of images where they lie, from which those of images that lie elsewhere begin.
pub(super) fn habitats_of(images: Vec<(&str, &Volume<f32>)>, reference: &str, mask: &Mask) -> Option<Habitats> {
    let volumes: Vec<&Volume<f32>> = in_order(images, reference).into_iter().map(|(_, volume)| volume).collect();
    (volumes.len() > 1).then(|| habitats(&volumes, mask, HabitatSettings::default()).ok()).flatten()
}

/// The values alone, of images that may lie elsewhere: role, tag, value.
pub(super) fn values(
    images: Vec<(&str, &Volume<f32>)>,
    reference: &str,
    mask: &Mask,
    near: Option<&Habitats>,
) -> Vec<(String, String, f64)> {
    let mut values = Vec::new();
    each(&in_order(images, reference), mask, near, |role, suffix, _, found| {
        let found = found.map(|found| found.values).unwrap_or_default();
        values.extend(found.iter().map(|value| (role.to_owned(), format!("{}{suffix}", value.tag), value.value)));
    });
    values
}

/// The reference first, then the protocol's order.
fn in_order<'a>(mut images: Vec<(&'a str, &'a Volume<f32>)>, reference: &str) -> Vec<(&'a str, &'a Volume<f32>)> {
    images.sort_by_key(|(role, _)| *role != reference);
    images
}

/// Every pair, then all together: whose block it stands in, the suffix of the tags, the roles' names, what was found.
fn each(
    images: &[(&str, &Volume<f32>)],
    mask: &Mask,
    near: Option<&Habitats>,
    mut take: impl FnMut(&str, &str, &str, Result<Crossed, FeatureError>),
) {
    let settings = CrossSettings::default();
    for (at, (first, image)) in images.iter().enumerate() {
        for (second, other) in &images[at + 1..] {
            let found = cross(image, other, mask, settings);
            take(first, &format!("_{second}"), &format!("{first} and {second}"), found);
        }
    }
    if let [(first, _), _, ..] = images {
        let volumes: Vec<&Volume<f32>> = images.iter().map(|(_, volume)| *volume).collect();
        let all = images.iter().map(|(role, _)| *role).collect::<Vec<_>>().join(" and ");
        let settings = HabitatSettings::default();
        let found = match near {
            Some(near) => habitats_near(&volumes, mask, settings, near),
            None => habitats(&volumes, mask, settings),
        };
        take(first, "", &all, found.map(|found| found.features));
    }
}

fn refuse(error: &FeatureError, lesion: &Lesion, roles: &str, remarks: &mut Remarks<'_>) {
    remarks.find(FindingKind::NotMeasured, &lesion.subject(), format!("{roles} together: {error}"));
}

/// Adds values to the block of a role, with a suffix to their tags and the roles' names to theirs.
fn extend(groups: &mut [MeasurementGroup], role: &str, found: &Crossed, suffix: &str, roles: &str) {
    let Some(group) = groups.iter_mut().find(|group| group.role == role) else { return };
    group.values.extend(found.values.iter().map(|value| {
        let measured = measure::measured(value, "1");
        let name = format!("{}, {roles}", measured.name);
        Measured { tag: format!("{}{suffix}", measured.tag), name, ..measured }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::FeatureValue;
    use crate::features::table::find;

    #[test]
    fn values_of_two_roles_stand_in_the_block_of_the_first_and_name_the_second() {
        let value = FeatureValue {
            feature: find("cross_mi").unwrap(),
            filter: "none".to_owned(),
            tag: "cross_mi".to_owned(),
            aggregation: String::new(),
            discretisation: "FBN 32".to_owned(),
            value: 0.5,
            in_image_unit: true,
        };
        let found = Crossed { values: vec![value], omitted: Vec::new() };
        let block = |role: &str| MeasurementGroup { role: role.to_owned(), ..empty_group() };
        let mut groups = [block("CT"), block("PT")];
        extend(&mut groups, "CT", &found, "_PT", "CT and PT");
        extend(&mut groups, "MR", &found, "_PT", "MR and PT");
        let [measured] = groups[0].values.as_slice() else { panic!("{:?}", groups[0].values) };
        assert_eq!((measured.tag.as_str(), measured.family.as_str()), ("cross_mi_PT", "cross"));
        assert_eq!(measured.name, "Mutual information, CT and PT");
        assert!(groups[1].values.is_empty());
    }

    fn empty_group() -> MeasurementGroup {
        let geometry = crate::image::Geometry::new([1; 3], [1.0; 3], [0.0; 3], crate::math::linalg::IDENTITY).unwrap();
        MeasurementGroup {
            lesion: 1,
            role: String::new(),
            made_of: Vec::new(),
            space: crate::report::Space::Aligned,
            mask: std::sync::Arc::new(Mask::filled(geometry, true)),
            drawn_on: crate::report::RoiOrigin {
                role: "CT".to_owned(),
                name: "GTV".to_owned(),
                object: None,
                object_series: None,
                automatic: false,
            },
            values: Vec::new(),
            diagnostics: serde_json::Value::Null,
            parameters: Vec::new(),
        }
    }
}
