//! `radiomicsd standard`: histogram landmarks of one class of MR sequences, trained on a site's images.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CliError, files, progress, say};
use crate::finding::Policies;
use crate::image::Volume;
use crate::normalise::HistogramStandard;
use crate::normalise::bias::{self, BiasSettings};
use crate::table::write_standard;
use crate::volume::{MrScaling, SeriesVolume, VolumeSettings};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folders with the DICOM files of one MR series each, all of one class (one sequence and contrast)
    #[arg(value_name = "DIR", required = true)]
    directories: Vec<PathBuf>,
    /// The file of the standard; protocols find STORAGE/standards/NAME.json by `standard = "NAME"`
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Which of the scales that the images offer is read, as `mr_scaling` of the protocol has it
    #[arg(long, value_enum, default_value = "display")]
    mr_scaling: Scaling,
    /// Take the bias field out first, as `bias_correction` of the protocol has it
    #[arg(long)]
    bias_correction: bool,
}

/// [`MrScaling`] as an argument.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scaling {
    /// What a viewer shows
    Display,
    /// Philips' signal before it was scaled for display
    Philips,
    /// The first Real World Value Mapping
    RealWorld,
}

impl From<Scaling> for MrScaling {
    fn from(scaling: Scaling) -> Self {
        match scaling {
            Scaling::Display => Self::Display,
            Scaling::Philips => Self::Philips,
            Scaling::RealWorld => Self::RealWorld,
        }
    }
}

/// Trains on every folder; one that cannot be read ends it, so that nobody takes a standard of fewer images for one of all.
pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let bar = progress::bar(arguments.directories.len(), "reading series");
    let mut images = Vec::with_capacity(arguments.directories.len());
    for directory in &arguments.directories {
        images.push(image(directory, arguments)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let standard = HistogramStandard::train(images.iter().map(|image| (image, None)))
        .map_err(|error| CliError::failed("no standard", error))?;
    write_standard(&arguments.out, &standard).map_err(|error| CliError::failed("--out", error))?;
    say(&format!("histogram standard of {} images\n", standard.n_images()))
}

fn image(directory: &std::path::Path, arguments: &Arguments) -> Result<Volume<f32>, CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(format!("{}: {error}", directory.display()));
    let settings = VolumeSettings { mr_scaling: arguments.mr_scaling.into(), ..VolumeSettings::default() };
    let series = SeriesVolume::read_with(&files::below(directory)?, "MR", &Policies::default(), &settings)
        .map_err(|error| failed(&error))?;
    if series.modality != "MR" {
        return Err(failed(&format!("the series is of modality {}, expected MR", series.modality)));
    }
    if !arguments.bias_correction {
        return Ok(series.volume);
    }
    let corrected = bias::correct(&series.volume, None, &BiasSettings::default()).map_err(|error| failed(&error))?;
    Ok(corrected.volume)
}
