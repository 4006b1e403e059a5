//! The installation's own name: the first part of every UID that it derives.

use std::io::Write as _;
use std::path::Path;

use uuid::Uuid;

const FILE: &str = "installation";

/// The name of the installation in this directory; made and kept at the first call.
///
/// # Errors
/// When the file cannot be read or made, or holds something else.
pub fn installation(directory: &Path) -> std::io::Result<String> {
    let path = directory.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let text = text.trim();
            Uuid::parse_str(text).map(|id| id.to_string()).map_err(|_| {
                std::io::Error::new(std::io::ErrorKind::InvalidData, "the file \"installation\" holds no UUID")
            })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id = Uuid::new_v4().to_string();
            // The directory belongs to one process; `create_new` still makes two names impossible.
            let mut file = std::fs::File::create_new(&path)?;
            writeln!(file, "{id}")?;
            file.sync_all()?;
            std::fs::File::open(directory)?.sync_all()?;
            Ok(id)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_keeps_its_name_and_two_have_different_ones() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = installation(one.path()).unwrap();
        assert_eq!(installation(one.path()).unwrap(), name);
        assert_ne!(installation(two.path()).unwrap(), name);
        std::fs::write(one.path().join(FILE), "something else").unwrap();
        assert!(installation(one.path()).is_err());
    }
}
