//! From the names in a header to the batch: cleaned manufacturer and model, and the class of reconstruction or sequence.
//!
//! Rules are a table (`config/batch.toml`), so that a site can say what its scanners are called. A batch is never a
//! modality: its key begins with one only because a block has only one.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// What a header tells of the scanner and of how the images were made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScannerFacts {
    /// Modality (0008,0060).
    pub modality: String,
    /// Manufacturer (0008,0070).
    pub manufacturer: String,
    /// Manufacturer's Model Name (0008,1090).
    pub model: String,
    /// Convolution Kernel (0018,1210).
    pub kernel: String,
    /// Reconstruction Method (0054,1103), or Reconstruction Algorithm (0018,9315).
    pub reconstruction: String,
    /// Pixel Spacing (0028,0030), of the rows.
    pub pixel_mm: Option<f64>,
    /// Magnetic Field Strength (0018,0087).
    pub field_strength: Option<f64>,
    /// Scanning Sequence (0018,0020).
    pub sequence: String,
    /// Repetition Time (0018,0080).
    pub repetition_ms: Option<f64>,
    /// Echo Time (0018,0081).
    pub echo_ms: Option<f64>,
    /// Inversion Time (0018,0082).
    pub inversion_ms: Option<f64>,
    /// Whether Contrast/Bolus Agent (0018,0010) names one.
    pub contrast: bool,
}

/// The batch of one block of one patient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchKey {
    /// What it is called in tables and models.
    pub label: String,
    /// The program that converted the images, where one did.
    pub converted_by: Option<String>,
}

/// Why there is no batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NoBatch {
    /// The object was made by a program.
    #[error("manufacturer \"{0}\" makes no scanner")]
    NotAScanner(String),
    /// The header does not say.
    #[error("the header does not name manufacturer and model")]
    Unnamed,
}

/// Between the parts of a label.
const SEPARATOR: &str = "|";
/// A class that the header does not tell, or that no rule knows.
const UNKNOWN: &str = "UNKNOWN";
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Compiled rules; the first that fits wins.
#[derive(Debug, Clone, Default)]
pub struct BatchRules {
    conversions: Vec<Regex>,
    no_scanners: Vec<(Field, Regex)>,
    manufacturers: Vec<(Regex, String)>,
    models: Vec<(Regex, String)>,
    kernels: Vec<(Option<String>, Regex, String)>,
    reconstructions: Vec<(Regex, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Field {
    Manufacturer,
    Model,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    conversion: Vec<RawConversion>,
    not_a_scanner: Vec<RawNoScanner>,
    manufacturer: Vec<RawName>,
    model: Vec<RawName>,
    kernel: Vec<RawClass>,
    reconstruction: Vec<RawClass>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConversion {
    pattern: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNoScanner {
    field: Field,
    pattern: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawName {
    pattern: String,
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClass {
    manufacturer: Option<String>,
    pattern: String,
    class: String,
}

impl BatchRules {
    /// The rules that are built in.
    #[must_use]
    pub fn built_in() -> Self {
        // A test reads them: they are part of the program.
        Self::parse(include_str!("../../config/batch.toml")).unwrap_or_default()
    }

    /// The rules of a site before those that are built in.
    ///
    /// # Errors
    /// With a sentence when the text is no table of rules.
    pub fn with_site(text: &str) -> Result<Self, String> {
        let (mut rules, rest) = (Self::parse(text)?, Self::built_in());
        rules.conversions.extend(rest.conversions);
        rules.no_scanners.extend(rest.no_scanners);
        rules.manufacturers.extend(rest.manufacturers);
        rules.models.extend(rest.models);
        rules.kernels.extend(rest.kernels);
        rules.reconstructions.extend(rest.reconstructions);
        Ok(rules)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let raw: Raw = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let named = |rule: RawName| Ok((compiled(&rule.pattern)?, rule.name));
        Ok(Self {
            conversions: raw.conversion.iter().map(|rule| compiled(&rule.pattern)).collect::<Result<_, String>>()?,
            no_scanners: raw
                .not_a_scanner
                .iter()
                .map(|rule| Ok((rule.field, compiled(&rule.pattern)?)))
                .collect::<Result<_, String>>()?,
            manufacturers: raw.manufacturer.into_iter().map(named).collect::<Result<_, String>>()?,
            models: raw.model.into_iter().map(named).collect::<Result<_, String>>()?,
            kernels: raw
                .kernel
                .into_iter()
                .map(|rule| Ok((rule.manufacturer, compiled(&rule.pattern)?, rule.class)))
                .collect::<Result<_, String>>()?,
            reconstructions: raw
                .reconstruction
                .into_iter()
                .map(|rule| Ok((compiled(&rule.pattern)?, rule.class)))
                .collect::<Result<_, String>>()?,
        })
    }

    /// The batch of a series.
    ///
    /// # Errors
    /// When the header names no scanner.
    pub fn key(&self, facts: &ScannerFacts) -> Result<BatchKey, NoBatch> {
        let (manufacturer, converted_by) = self.without_conversion(&facts.manufacturer);
        let model = plain(&facts.model);
        let is = |field: Field, pattern: &Regex| match field {
            Field::Manufacturer => pattern.is_match(&manufacturer),
            Field::Model => pattern.is_match(&model),
        };
        if self.no_scanners.iter().any(|(field, pattern)| is(*field, pattern)) {
            return Err(NoBatch::NotAScanner(manufacturer));
        }
        if manufacturer.is_empty() || model.is_empty() {
            return Err(NoBatch::Unnamed);
        }
        let manufacturer = first(&self.manufacturers, &manufacturer).unwrap_or_else(|| manufacturer.to_uppercase());
        let model = first(&self.models, &model).unwrap_or_else(|| model.to_uppercase());
        let mut parts = vec![facts.modality.to_uppercase(), manufacturer.clone(), model];
        match parts[0].as_str() {
            "CT" => parts.push(self.kernel_class(&manufacturer, &facts.kernel)),
            "PT" => {
                parts.push(self.reconstruction_class(&facts.reconstruction));
                parts.push(pixel_class(facts.pixel_mm));
            }
            "MR" => {
                parts.push(field_class(facts.field_strength));
                parts.push(sequence_class(facts));
            }
            _ => {}
        }
        let clean: Vec<String> = parts.iter().map(|part| part.replace(SEPARATOR, " ")).collect();
        Ok(BatchKey { label: clean.join(SEPARATOR), converted_by })
    }

    /// The manufacturer without the program that converted the images, and that program.
    fn without_conversion(&self, manufacturer: &str) -> (String, Option<String>) {
        let manufacturer = plain(manufacturer);
        let Some((scanner, program)) = manufacturer.rsplit_once('/') else { return (manufacturer, None) };
        let (scanner, program) = (plain(scanner), plain(program));
        if !scanner.is_empty() && self.conversions.iter().any(|pattern| pattern.is_match(&program)) {
            return (scanner, Some(program));
        }
        (manufacturer, None)
    }

    fn kernel_class(&self, manufacturer: &str, kernel: &str) -> String {
        let kernel = plain(kernel.split('\\').next().unwrap_or_default());
        let fits = |of: &Option<String>| of.as_ref().is_none_or(|name| name == manufacturer);
        let found = self.kernels.iter().find(|(of, pattern, _)| fits(of) && pattern.is_match(&kernel));
        match found {
            Some((_, _, class)) => class.clone(),
            // A kernel that no rule knows is a class of its own.
            None if !kernel.is_empty() => kernel.to_uppercase(),
            None => UNKNOWN.to_owned(),
        }
    }

    fn reconstruction_class(&self, reconstruction: &str) -> String {
        let text = plain(reconstruction);
        match first(&self.reconstructions, &text) {
            Some(class) => class,
            None if !text.is_empty() => text.to_uppercase(),
            None => UNKNOWN.to_owned(),
        }
    }
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).case_insensitive(true).size_limit(PATTERN_BYTES_MAX).build();
    built.map_err(|_| format!("\"{pattern}\" is no regular expression"))
}

fn first(rules: &[(Regex, String)], text: &str) -> Option<String> {
    rules.iter().find(|(pattern, _)| pattern.is_match(text)).map(|(_, name)| name.clone())
}

/// Without blanks at its ends and with single blanks between words.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Pixels to half a millimetre: what the field of view changes, and what partial volume depends on.
fn pixel_class(pixel_mm: Option<f64>) -> String {
    match pixel_mm {
        Some(pixel) if pixel > 0.0 => format!("{:.1} MM", (2.0 * pixel).round() / 2.0),
        _ => UNKNOWN.to_owned(),
    }
}

/// The nominal field: 1.494 T is sold as 1.5 T. Some headers tell it in gauss.
fn field_class(field: Option<f64>) -> String {
    const NOMINAL: [f64; 10] = [0.2, 0.3, 0.35, 0.5, 0.55, 1.0, 1.2, 1.5, 3.0, 7.0];
    let Some(field) = field.filter(|field| *field > 0.0) else { return UNKNOWN.to_owned() };
    let tesla = if field > 100.0 { field / 10_000.0 } else { field };
    let nearest = NOMINAL.iter().copied().min_by(|a, b| (a - tesla).abs().total_cmp(&(b - tesla).abs()));
    match nearest {
        Some(nominal) if (nominal - tesla).abs() <= 0.07 * nominal => format!("{nominal:?} T"),
        _ => format!("{tesla:.1} T"),
    }
}

/// Spin echo, gradient echo, inversion recovery, echo planar; its weighting where the times tell it; contrast agent.
fn sequence_class(facts: &ScannerFacts) -> String {
    let kinds: Vec<&str> = facts.sequence.split('\\').map(str::trim).collect();
    let has = |kind: &str| kinds.iter().any(|known| known.eq_ignore_ascii_case(kind));
    let (repetition, echo) = (facts.repetition_ms.unwrap_or(f64::NAN), facts.echo_ms.unwrap_or(f64::NAN));
    let weighting = if echo >= 70.0 {
        Some("T2")
    } else if echo > 0.0 && echo < 40.0 && repetition > 0.0 && repetition < 1200.0 {
        Some("T1")
    } else if echo > 0.0 && echo < 40.0 && repetition >= 1200.0 {
        Some("PD")
    } else {
        None
    };
    let class = if has("EP") {
        "EPI".to_owned()
    } else if has("IR") {
        match facts.inversion_ms {
            Some(inversion) if inversion >= 1500.0 => "FLAIR".to_owned(),
            Some(inversion) if inversion > 0.0 && inversion <= 300.0 => "STIR".to_owned(),
            _ => "IR".to_owned(),
        }
    } else {
        let kind = if has("SE") {
            "SE"
        } else if has("GR") {
            "GRE"
        } else {
            UNKNOWN
        };
        // The weighting of a gradient echo depends on its flip angle more than on its times.
        match weighting {
            Some(weighting) if kind == "SE" => format!("{kind} {weighting}"),
            _ => kind.to_owned(),
        }
    };
    if facts.contrast { format!("{class}+C") } else { class }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(modality: &str, manufacturer: &str, model: &str) -> ScannerFacts {
        let text = str::to_owned;
        let (modality, manufacturer, model) = (text(modality), text(manufacturer), text(model));
        ScannerFacts { modality, manufacturer, model, ..ScannerFacts::default() }
    }

    fn label(facts: &ScannerFacts) -> String {
        BatchRules::built_in().key(facts).unwrap().label
    }

    #[test]
    fn the_built_in_rules_can_be_read() {
        let rules = BatchRules::parse(include_str!("../../config/batch.toml")).unwrap();
        assert!(!rules.kernels.is_empty() && !rules.reconstructions.is_empty());
    }

    #[test]
    fn one_scanner_has_one_name_however_it_is_spelled() {
        let ct = |manufacturer, kernel: &str| {
            label(&ScannerFacts { kernel: kernel.to_owned(), ..facts("CT", manufacturer, " Discovery  ST ") })
        };
        assert_eq!(ct("GE MEDICAL SYSTEMS", "SOFT"), "CT|GE|DISCOVERY ST|SOFT");
        assert_eq!(ct("GE_Medical Systems", "Soft"), "CT|GE|DISCOVERY ST|SOFT");
        assert_eq!(ct("General Electric", ""), "CT|GE|DISCOVERY ST|UNKNOWN");
        let siemens = |kernel: &str| {
            label(&ScannerFacts { kernel: kernel.to_owned(), ..facts("CT", "Siemens Healthineers", "Force") })
        };
        assert_eq!(siemens("B31f\\3"), "CT|SIEMENS|FORCE|STANDARD");
        assert_eq!(siemens("Br69d"), "CT|SIEMENS|FORCE|EDGE");
        assert_eq!(siemens("Qr-new"), "CT|SIEMENS|FORCE|QR-NEW");
    }

    #[test]
    fn a_conversion_is_the_scanner_before_it_and_a_planning_station_is_none() {
        let converted = facts("MR", "SIEMENS / MIM Software", "Avanto");
        let key = BatchRules::built_in().key(&ScannerFacts { sequence: "SE".into(), ..converted }).unwrap();
        assert_eq!(key.label, "MR|SIEMENS|AVANTO|UNKNOWN|SE");
        assert_eq!(key.converted_by.as_deref(), Some("MIM Software"));
        let rules = BatchRules::built_in();
        assert!(matches!(rules.key(&facts("RTSTRUCT", "MIM Software Inc.", "MIM")), Err(NoBatch::NotAScanner(_))));
        assert!(matches!(rules.key(&facts("CT", "Varian Medical Systems", "ARIA")), Err(NoBatch::NotAScanner(_))));
        assert_eq!(rules.key(&facts("CT", "", "x")), Err(NoBatch::Unnamed));
    }

    #[test]
    fn pet_goes_by_reconstruction_and_pixel_and_mr_by_field_and_sequence() {
        let pet = ScannerFacts {
            reconstruction: "PSF+TOF 2i21s".into(),
            pixel_mm: Some(4.072_83),
            ..facts("PT", "SIEMENS", "Biograph 64 mCT")
        };
        assert_eq!(label(&pet), "PT|SIEMENS|BIOGRAPH MCT|TOF+PSF|4.0 MM");
        let mr = ScannerFacts {
            field_strength: Some(1.494),
            sequence: "SE".into(),
            repetition_ms: Some(550.0),
            echo_ms: Some(11.0),
            contrast: true,
            ..facts("MR", "Philips", "Intera")
        };
        assert_eq!(label(&mr), "MR|PHILIPS|INTERA|1.5 T|SE T1+C");
        assert_eq!(field_class(Some(15_000.0)), "1.5 T");
        let flair = ScannerFacts { sequence: "SE\\IR".into(), inversion_ms: Some(2200.0), ..mr };
        assert_eq!(label(&flair), "MR|PHILIPS|INTERA|1.5 T|FLAIR+C");
    }

    #[test]
    fn rules_of_the_site_come_first_and_errors_are_sentences() {
        let rules = BatchRules::with_site("[[model]]\npattern = \"^force$\"\nname = \"CT room 3\"").unwrap();
        assert_eq!(rules.key(&facts("CT", "siemens", "Force")).unwrap().label, "CT|SIEMENS|CT room 3|UNKNOWN");
        assert!(
            BatchRules::with_site("[[model]]\npattern = \"(\"\nname = \"x\"")
                .unwrap_err()
                .contains("regular expression")
        );
        assert!(BatchRules::with_site("[[modell]]").is_err());
    }
}
