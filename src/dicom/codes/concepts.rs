//! The concepts that our documents use, by where they are used.

use super::Coded;

// Document and observation context (TID 1500, 1001, 1204)

/// (126000, DCM, "Imaging Measurement Report").
pub const IMAGING_MEASUREMENT_REPORT: Coded = Coded::of("DCM", "126000", "Imaging Measurement Report");
/// (121049, DCM, "Language of Content Item and Descendants").
pub const LANGUAGE: Coded = Coded::of("DCM", "121049", "Language of Content Item and Descendants");
/// (en-US, RFC5646, "English (United States)").
pub const ENGLISH_UNITED_STATES: Coded = Coded::of("RFC5646", "en-US", "English (United States)");
/// (121005, DCM, "Observer Type").
pub const OBSERVER_TYPE: Coded = Coded::of("DCM", "121005", "Observer Type");
/// (121007, DCM, "Device").
pub const DEVICE: Coded = Coded::of("DCM", "121007", "Device");
/// (121012, DCM, "Device Observer UID").
pub const DEVICE_OBSERVER_UID: Coded = Coded::of("DCM", "121012", "Device Observer UID");
/// (121013, DCM, "Device Observer Name").
pub const DEVICE_OBSERVER_NAME: Coded = Coded::of("DCM", "121013", "Device Observer Name");
/// (121014, DCM, "Device Observer Manufacturer").
pub const DEVICE_OBSERVER_MANUFACTURER: Coded = Coded::of("DCM", "121014", "Device Observer Manufacturer");
/// (121015, DCM, "Device Observer Model Name").
pub const DEVICE_OBSERVER_MODEL: Coded = Coded::of("DCM", "121015", "Device Observer Model Name");
/// (121016, DCM, "Device Observer Serial Number").
pub const DEVICE_OBSERVER_SERIAL_NUMBER: Coded = Coded::of("DCM", "121016", "Device Observer Serial Number");
/// (121017, DCM, "Device Observer Physical Location During Observation").
pub const DEVICE_OBSERVER_LOCATION: Coded =
    Coded::of("DCM", "121017", "Device Observer Physical Location During Observation");
/// (121058, DCM, "Procedure reported").
pub const PROCEDURE_REPORTED: Coded = Coded::of("DCM", "121058", "Procedure reported");
/// (363679005, SCT, "Imaging procedure").
pub const IMAGING_PROCEDURE: Coded = Coded::of("SCT", "363679005", "Imaging procedure");
/// (126010, DCM, "Imaging Measurements").
pub const IMAGING_MEASUREMENTS: Coded = Coded::of("DCM", "126010", "Imaging Measurements");
/// (126011, DCM, "Derived Imaging Measurements").
pub const DERIVED_IMAGING_MEASUREMENTS: Coded = Coded::of("DCM", "126011", "Derived Imaging Measurements");
/// (C0034375, UMLS, "Qualitative Evaluations").
pub const QUALITATIVE_EVALUATIONS: Coded = Coded::of("UMLS", "C0034375", "Qualitative Evaluations");
/// (121106, DCM, "Comment").
pub const COMMENT: Coded = Coded::of("DCM", "121106", "Comment");

// Image library (TID 1600 to 1607)

/// (111028, DCM, "Image Library").
pub const IMAGE_LIBRARY: Coded = Coded::of("DCM", "111028", "Image Library");
/// (126200, DCM, "Image Library Group").
pub const IMAGE_LIBRARY_GROUP: Coded = Coded::of("DCM", "126200", "Image Library Group");
/// (121139, DCM, "Modality").
pub const MODALITY: Coded = Coded::of("DCM", "121139", "Modality");
/// (123014, DCM, "Target Region").
pub const TARGET_REGION: Coded = Coded::of("DCM", "123014", "Target Region");
/// (111060, DCM, "Study Date").
pub const STUDY_DATE: Coded = Coded::of("DCM", "111060", "Study Date");
/// (111061, DCM, "Study Time").
pub const STUDY_TIME: Coded = Coded::of("DCM", "111061", "Study Time");
/// (112227, DCM, "Frame of Reference UID").
pub const FRAME_OF_REFERENCE_UID: Coded = Coded::of("DCM", "112227", "Frame of Reference UID");
/// (110910, DCM, "Pixel Data Rows").
pub const PIXEL_DATA_ROWS: Coded = Coded::of("DCM", "110910", "Pixel Data Rows");
/// (110911, DCM, "Pixel Data Columns").
pub const PIXEL_DATA_COLUMNS: Coded = Coded::of("DCM", "110911", "Pixel Data Columns");
/// (111026, DCM, "Horizontal Pixel Spacing").
pub const HORIZONTAL_PIXEL_SPACING: Coded = Coded::of("DCM", "111026", "Horizontal Pixel Spacing");
/// (111066, DCM, "Vertical Pixel Spacing").
pub const VERTICAL_PIXEL_SPACING: Coded = Coded::of("DCM", "111066", "Vertical Pixel Spacing");
/// (112226, DCM, "Spacing between slices").
pub const SPACING_BETWEEN_SLICES: Coded = Coded::of("DCM", "112226", "Spacing between slices");
/// (123006, DCM, "Radionuclide Total Dose").
pub const RADIONUCLIDE_TOTAL_DOSE: Coded = Coded::of("DCM", "123006", "Radionuclide Total Dose");
/// (260753009, SCT, "Source").
pub const SOURCE: Coded = Coded::of("SCT", "260753009", "Source");
/// (CT, DCM, "Computed Tomography").
pub const CT: Coded = Coded::of("DCM", "CT", "Computed Tomography");
/// (PT, DCM, "Positron emission tomography").
pub const PT: Coded = Coded::of("DCM", "PT", "Positron emission tomography");
/// (MR, DCM, "Magnetic Resonance").
pub const MR: Coded = Coded::of("DCM", "MR", "Magnetic Resonance");

// Measurement groups (TID 1411, 1419, 1501, 4019, 4108)

/// (125007, DCM, "Measurement Group").
pub const MEASUREMENT_GROUP: Coded = Coded::of("DCM", "125007", "Measurement Group");
/// (112039, DCM, "Tracking Identifier").
pub const TRACKING_IDENTIFIER: Coded = Coded::of("DCM", "112039", "Tracking Identifier");
/// (112040, DCM, "Tracking Unique Identifier").
pub const TRACKING_UID: Coded = Coded::of("DCM", "112040", "Tracking Unique Identifier");
/// (121071, DCM, "Finding").
pub const FINDING: Coded = Coded::of("DCM", "121071", "Finding");
/// (363698007, SCT, "Finding Site").
pub const FINDING_SITE: Coded = Coded::of("SCT", "363698007", "Finding Site");
/// (272741003, SCT, "Laterality").
pub const LATERALITY: Coded = Coded::of("SCT", "272741003", "Laterality");
/// (370129005, SCT, "Measurement Method").
pub const MEASUREMENT_METHOD: Coded = Coded::of("SCT", "370129005", "Measurement Method");
/// (111001, DCM, "Algorithm Name").
pub const ALGORITHM_NAME: Coded = Coded::of("DCM", "111001", "Algorithm Name");
/// (111003, DCM, "Algorithm Version").
pub const ALGORITHM_VERSION: Coded = Coded::of("DCM", "111003", "Algorithm Version");
/// (111002, DCM, "Algorithm Parameters").
pub const ALGORITHM_PARAMETERS: Coded = Coded::of("DCM", "111002", "Algorithm Parameters");
/// (121050, DCM, "Equivalent Meaning of Concept Name").
pub const EQUIVALENT_MEANING: Coded = Coded::of("DCM", "121050", "Equivalent Meaning of Concept Name");
/// (121401, DCM, "Derivation").
pub const DERIVATION: Coded = Coded::of("DCM", "121401", "Derivation");
/// (111050, DCM, "Quality Assessment").
pub const QUALITY_ASSESSMENT: Coded = Coded::of("DCM", "111050", "Quality Assessment");
/// (121191, DCM, "Referenced Segment").
pub const REFERENCED_SEGMENT: Coded = Coded::of("DCM", "121191", "Referenced Segment");
/// (121112, DCM, "Source of Measurement").
pub const SOURCE_OF_MEASUREMENT: Coded = Coded::of("DCM", "121112", "Source of Measurement");
/// (121232, DCM, "Source Series for Segmentation").
pub const SOURCE_SERIES_FOR_SEGMENTATION: Coded = Coded::of("DCM", "121232", "Source Series for Segmentation");
/// (126030, DCM, "Sum of segmented voxel method for volume").
pub const SUM_OF_SEGMENTED_VOXELS: Coded = Coded::of("DCM", "126030", "Sum of segmented voxel method for volume");

// Intensities (CID 7180 and others) and derivations (CID 7464)

/// (112031, DCM, "Attenuation Coefficient").
pub const ATTENUATION_COEFFICIENT: Coded = Coded::of("DCM", "112031", "Attenuation Coefficient");
/// (126401, DCM, "SUVbw").
pub const SUV_BW: Coded = Coded::of("DCM", "126401", "SUVbw");
/// (126402, DCM, "SUVlbm").
pub const SUV_LBM: Coded = Coded::of("DCM", "126402", "SUVlbm");
/// (126406, DCM, "SUVlbm(James128)").
pub const SUV_LBM_JAMES128: Coded = Coded::of("DCM", "126406", "SUVlbm(James128)");
/// (126405, DCM, "SUVlbm(Janma)").
pub const SUV_LBM_JANMA: Coded = Coded::of("DCM", "126405", "SUVlbm(Janma)");
/// (126403, DCM, "SUVbsa").
pub const SUV_BSA: Coded = Coded::of("DCM", "126403", "SUVbsa");
/// (126404, DCM, "SUVibw").
pub const SUV_IBW: Coded = Coded::of("DCM", "126404", "SUVibw");
/// (110852, DCM, "MR signal intensity").
pub const MR_SIGNAL_INTENSITY: Coded = Coded::of("DCM", "110852", "MR signal intensity");
/// (373098007, SCT, "Mean").
pub const MEAN: Coded = Coded::of("SCT", "373098007", "Mean");
/// (373099004, SCT, "Median").
pub const MEDIAN: Coded = Coded::of("SCT", "373099004", "Median");
/// (255605001, SCT, "Minimum").
pub const MINIMUM: Coded = Coded::of("SCT", "255605001", "Minimum");
/// (56851009, SCT, "Maximum").
pub const MAXIMUM: Coded = Coded::of("SCT", "56851009", "Maximum");

// IBSI processing (IBSI reference manual, chapters 2 and 3)

/// (K15C, IBSI, "Fixed bin number").
pub const FIXED_BIN_NUMBER: Coded = Coded::of("IBSI", "K15C", "Fixed bin number");
/// (Q3RU, IBSI, "Fixed bin size").
pub const FIXED_BIN_SIZE: Coded = Coded::of("IBSI", "Q3RU", "Fixed bin size");
/// (IAZD, IBSI, "Merged 3D directions").
pub const MERGED_3D: Coded = Coded::of("IBSI", "IAZD", "Merged 3D directions");
/// (ITBB, IBSI, "Averaged over 3D directions").
pub const AVERAGED_3D: Coded = Coded::of("IBSI", "ITBB", "Averaged over 3D directions");
/// (ZW7Z, IBSI, "2.5D, merged over all slices").
pub const MERGED_2_5D: Coded = Coded::of("IBSI", "ZW7Z", "2.5D, merged over all slices");
/// (JJUI, IBSI, "2.5D, merged by direction").
pub const DIRECTION_MERGED_2_5D: Coded = Coded::of("IBSI", "JJUI", "2.5D, merged by direction");
/// (SUJT, IBSI, "2D, merged by slice").
pub const SLICE_MERGED_2D: Coded = Coded::of("IBSI", "SUJT", "2D, merged by slice");
/// (BTW3, IBSI, "2D, averaged over slices and directions").
pub const AVERAGED_2D: Coded = Coded::of("IBSI", "BTW3", "2D, averaged over slices and directions");
/// (KOBO, IBSI, "Single 3D matrix").
pub const SINGLE_3D: Coded = Coded::of("IBSI", "KOBO", "Single 3D matrix");
/// (62GR, IBSI, "2.5D, one matrix merged over all slices").
pub const MERGED_SLICES_2_5D: Coded = Coded::of("IBSI", "62GR", "2.5D, one matrix merged over all slices");
/// (8QNN, IBSI, "2D, averaged over the slices' matrices").
pub const AVERAGED_SLICES_2D: Coded = Coded::of("IBSI", "8QNN", "2D, averaged over the slices' matrices");

// Equipment and derivation (CID 7005, 7202, 7203)

/// Title of a key object selection (CID 7010).
pub const FOR_RESEARCH: Coded = Coded::of("DCM", "113009", "For Research");
/// TID 2010.
pub const KEY_OBJECT_DESCRIPTION: Coded = Coded::of("DCM", "113012", "Key Object Description");
/// (109101, DCM, "Acquisition Equipment").
pub const ACQUISITION_EQUIPMENT: Coded = Coded::of("DCM", "109101", "Acquisition Equipment");
/// (113076, DCM, "Segmentation").
pub const SEGMENTATION: Coded = Coded::of("DCM", "113076", "Segmentation");
/// (121322, DCM, "Source image for image processing operation").
pub const SOURCE_IMAGE_FOR_PROCESSING: Coded =
    Coded::of("DCM", "121322", "Source image for image processing operation");

// Registration (CID 7100)

/// (125021, DCM, "Frame of Reference Identity").
pub const FRAME_OF_REFERENCE_IDENTITY: Coded = Coded::of("DCM", "125021", "Frame of Reference Identity");
/// (125024, DCM, "Image Content-based Alignment").
pub const CONTENT_BASED_ALIGNMENT: Coded = Coded::of("DCM", "125024", "Image Content-based Alignment");

// Segmented properties (CID 7150, 7151)

/// (49755003, SCT, "Morphologically Abnormal Structure").
pub const MORPHOLOGICALLY_ABNORMAL_STRUCTURE: Coded =
    Coded::of("SCT", "49755003", "Morphologically Abnormal Structure");
/// (309825002, SCT, "Spatial and Relational Concept").
pub const SPATIAL_AND_RELATIONAL_CONCEPT: Coded = Coded::of("SCT", "309825002", "Spatial and Relational Concept");
/// (111099, DCM, "Selected region").
pub const SELECTED_REGION: Coded = Coded::of("DCM", "111099", "Selected region");

// Our own

/// Texture aggregation method: our own.
pub const TEXTURE_AGGREGATION: Coded = Coded::of(super::OWN, "TEXAGG", "Texture aggregation method");
/// Intensity discretisation method: our own.
pub const DISCRETISATION: Coded = Coded::of(super::OWN, "DISCR", "Intensity discretisation method");
/// Image filter: our own.
pub const FILTER: Coded = Coded::of(super::OWN, "FILTER", "Image filter");
/// Feature value state: our own.
pub const VALUE_STATE: Coded = Coded::of(super::OWN, "VALSTATE", "Feature value state");
/// Raw, not harmonised: our own.
pub const RAW: Coded = Coded::of(super::OWN, "RAW", "Raw, not harmonised");
/// ComBat-harmonised: our own.
pub const COMBAT_VALUE: Coded = Coded::of(super::OWN, "COMBAT", "ComBat-harmonised");
/// ComBat harmonisation: our own.
pub const COMBAT_METHOD: Coded = Coded::of(super::OWN, "COMBAT", "ComBat harmonisation");
/// Measured on the common grid after alignment: our own.
pub const ALIGNED_METHOD: Coded = Coded::of(super::OWN, "ALIGNED", "Measured on the common grid after alignment");
/// Hazard relative to the median of the training patients: our own.
pub const RELATIVE_HAZARD: Coded =
    Coded::of(super::OWN, "RELHAZARD", "Hazard relative to the median of the training patients");
/// Group of risk: our own.
pub const RISK_GROUP: Coded = Coded::of(super::OWN, "RISKGROUP", "Group of risk");
/// High risk, above the median of the training patients: our own.
pub const RISK_HIGH: Coded = Coded::of(super::OWN, "RISKHIGH", "High risk");
/// Low risk, not above it: our own.
pub const RISK_LOW: Coded = Coded::of(super::OWN, "RISKLOW", "Low risk");
/// Measured on an image fused of several: our own.
pub const IMAGE_FUSION_METHOD: Coded =
    Coded::of(super::OWN, "IMGFUSION", "Measured on an image fused of two modalities after alignment");
/// Multi-modal radiomics fusion: our own.
pub const FUSION_METHOD: Coded = Coded::of(super::OWN, "FUSION", "Multi-modal radiomics fusion");
/// Measurements of several modalities together: our own.
pub const CROSS_METHOD: Coded = Coded::of(super::OWN, "CROSSMOD", "Measured across modalities on the common grid");
/// Change since an earlier study, as the state of a value and as the method of a group: our own.
pub const CHANGE: Coded = Coded::of(super::OWN, "CHANGE", "Change since an earlier study");
/// Change exceeds its error from misregistration: our own.
pub const CHANGE_EXCEEDS_ERROR: Coded =
    Coded::of(super::OWN, "CHGEXCEEDS", "Change exceeds its error from misregistration");
/// (373066001, SCT, "Yes").
pub const YES: Coded = Coded::of("SCT", "373066001", "Yes");
/// (373067005, SCT, "No").
pub const NO: Coded = Coded::of("SCT", "373067005", "No");
/// Model output: our own.
pub const MODEL_OUTPUT: Coded = Coded::of(super::OWN, "MODEL", "Model output");
/// Cross-modality covariance synergy: our own.
pub const SYNERGY: Coded =
    Coded::of(super::OWN, "SYNERGY", "Cross-modality covariance synergy (Frobenius norm of block)");
/// Error of a feature from misregistration: our own.
pub const MISREGISTRATION_ERROR: Coded = Coded::of(super::OWN, "MISREGERR", "Error of a feature from misregistration");
/// Within-lesion standard deviation of a feature, over perturbations of image and region: our own.
pub const WITHIN_LESION_SD: Coded =
    Coded::of(super::OWN, "WITHINLESIONSD", "Within-lesion standard deviation of a feature");
/// Feature: our own.
pub const FEATURE: Coded = Coded::of(super::OWN, "FEATURE", "Feature");
/// Passed: our own.
pub const QUALITY_PASSED: Coded = Coded::of(super::OWN, "QAOK", "Passed");
/// Passed with warnings: our own.
pub const QUALITY_WARNINGS: Coded = Coded::of(super::OWN, "QAPASS", "Passed with warnings");
/// Nothing predicted: our own.
pub const QUALITY_REFUSED: Coded = Coded::of(super::OWN, "QAREFUSED", "Nothing predicted");
/// Reason why nothing is predicted: our own.
pub const REFUSAL_REASON: Coded = Coded::of(super::OWN, "REFUSAL", "Reason why nothing is predicted");
/// Finding on the data or the processing: our own.
pub const DATA_FINDING: Coded = Coded::of(super::OWN, "DATAFIND", "Finding on the data or the processing");
/// Intended use: our own.
pub const INTENDED_USE: Coded = Coded::of(super::OWN, "INTUSE", "Intended use");
/// Research use only, not for diagnosis: our own.
pub const RESEARCH_USE: Coded = Coded::of(super::OWN, "RESEARCH", "Research use only, not for diagnosis");
