//! The protocol of a folder where no configuration names one: every drawn region on CT, PET and MR.

use std::path::Path;

use super::folder::Folder;
use crate::cli::CliError;
use crate::config::Config;

/// CT, else PET, else MR is the reference; the others are measured where they are there.
pub(super) fn of_modalities(folder: &Folder, out: &Path) -> Result<Config, CliError> {
    let there: Vec<&str> = ["CT", "PT", "MR"].into_iter().filter(|modality| folder.holds(modality)).collect();
    let Some(reference) = there.first() else {
        return Err(CliError::Failed("the folder holds no CT, PET or MR images".to_owned()));
    };
    Ok(Config::from_toml(&text(reference, &there, out), "the built-in protocol")?)
}

fn text(reference: &str, modalities: &[&str], out: &Path) -> String {
    let directory = toml::Value::String(out.to_string_lossy().into_owned());
    let mut text = format!(
        "[storage]\ndirectory = {directory}\n\n[[protocol]]\nname = \"default\"\nreference = \"{reference}\"\n"
    );
    for modality in modalities {
        text += &format!("\n[[protocol.input]]\nrole = \"{modality}\"\nmodality = \"{modality}\"\n");
        text += "exclude = { ImageType = \"LOCALIZER\" }\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_protocol_is_a_configuration_whatever_is_there() {
        for there in [&["CT", "PT", "MR"][..], &["CT"], &["PT", "MR"], &["MR"]] {
            let text = text(there[0], there, Path::new("/tmp/a \"quoted\" folder"));
            let config = Config::from_toml(&text, "test").unwrap();
            let protocol = &config.protocols[0];
            assert_eq!(protocol.reference, there[0]);
            let required: Vec<&str> =
                protocol.inputs.iter().filter(|input| input.required).map(|input| input.role.as_str()).collect();
            assert_eq!(required, [there[0]]);
        }
    }
}
