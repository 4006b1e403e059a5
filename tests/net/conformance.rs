//! Every SOP class and transfer syntax of the published conformance statement, asked for by another implementation.

use dicom_ul::association::client::ClientAssociationOptions;

use super::peer::{CT, EXPLICIT};
use super::support::{Server, open_settings};

const STATEMENT: &str = include_str!("../../docs/conformance.md");
/// A requestor may propose so many.
const CONTEXTS_MAX: usize = 128;

/// The UIDs of a table's second column.
fn listed(header: &str) -> Vec<&'static str> {
    let table = STATEMENT.split_once(header).unwrap().1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').nth(2).unwrap().trim().trim_matches('`')).collect()
}

/// Of these pairs of abstract and transfer syntax, those that are accepted.
fn accepted(address: String, pairs: Vec<(&'static str, &'static str)>) -> Vec<(&'static str, &'static str)> {
    let mut accepted = Vec::new();
    for pairs in pairs.chunks(CONTEXTS_MAX) {
        let mut options = ClientAssociationOptions::new().calling_ae_title("PROBE").called_ae_title("TEST");
        for (abstract_syntax, transfer_syntax) in pairs {
            options = options.with_presentation_context(*abstract_syntax, vec![*transfer_syntax]);
        }
        match options.establish(&address) {
            Ok(association) => {
                for context in association.presentation_contexts() {
                    let pair = pairs[usize::from(context.id / 2)];
                    assert_eq!(context.transfer_syntax, pair.1);
                    accepted.push(pair);
                }
                association.release().unwrap();
            }
            // The library opens no association on which nothing is accepted.
            Err(error) => assert!(error.to_string().contains("presentation contexts"), "{error}"),
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_statement_lists_is_accepted_and_other_services_are_not() {
    let server = Server::start(open_settings()).await;
    let classes = listed("| storage SOP class | UID |\n");
    let syntaxes = listed("| transfer syntax | UID | measured |\n");
    assert!(classes.len() > 150 && syntaxes.len() > 40, "{} {}", classes.len(), syntaxes.len());
    let pair = |class: &&'static str| (*class, EXPLICIT);
    let mut pairs: Vec<_> = classes.iter().map(pair).collect();
    pairs.extend(syntaxes.iter().map(|syntax| (CT, *syntax)));
    // Every class in one more encoding, so that no class has its own list.
    pairs.extend(classes.iter().zip(syntaxes.iter().cycle()).map(|(class, syntax)| (*class, *syntax)));
    let address = server.address.to_string();
    let (to, asked) = (address.clone(), pairs.clone());
    assert_eq!(tokio::task::spawn_blocking(move || accepted(to, asked)).await.unwrap(), pairs);

    let others = [
        "1.2.840.10008.5.1.4.31",
        "1.2.840.10008.5.1.4.1.2.2.1",
        "1.2.840.10008.3.1.2.3.3",
        "1.2.840.10008.5.1.4.1.1.200.4",
        "1.2.840.10008.1.20.1",
    ];
    let mut refused: Vec<_> = others.iter().map(pair).collect();
    refused.extend([
        (CT, "1.2.840.10008.1.2.4.94"),
        (CT, "1.2.826.0.1.3680043.2.682.1.40"),
        ("1.2.840.10008.1.1", "1.2.840.10008.1.2.5"),
    ]);
    let taken = tokio::task::spawn_blocking(move || accepted(address, refused)).await.unwrap();
    assert_eq!(taken, []);
}
