//! Whatever comes over a connection: PDUs in pieces, and the command sets in them. Nothing panics, nothing is kept that is
//! longer than was announced, and the pieces do not matter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radiomicsd::net::NodeSettings;
use radiomicsd::net::dimse::Message;
use radiomicsd::net::pdu::{Event, Part, PduReader};

const PDU_BYTES_MAX: u32 = NodeSettings::MAX_PDU_BYTES_LOWEST;

/// Every event, and whether the bytes were refused at the end of them.
fn events(bytes: &[u8], piece_bytes: usize) -> (Vec<Event>, bool) {
    let mut reader = PduReader::new(PDU_BYTES_MAX);
    let mut all = Vec::new();
    for piece in bytes.chunks(piece_bytes) {
        reader.buffer().extend_from_slice(piece);
        loop {
            match reader.next_event() {
                Ok(Some(event)) => all.push(event),
                Ok(None) => break,
                Err(_) => return (all, true),
            }
        }
    }
    (all, false)
}

/// What the fragments of commands and data sets hold together.
fn parts(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        if let Event::Fragment(fragment) = event {
            bytes.extend_from_slice(&fragment.bytes);
        }
    }
    bytes
}

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    let (whole, is_refused) = events(bytes, usize::MAX);
    let (pieces, is_refused_too) = events(bytes, usize::from(*first).max(1));
    assert_eq!(is_refused, is_refused_too);
    if !is_refused {
        assert_eq!(parts(&whole), parts(&pieces));
    }
    for event in &whole {
        if let Event::Fragment(fragment) = event
            && fragment.part == Part::Command
        {
            understand(&fragment.bytes);
        }
    }
    understand(bytes);
});

/// What is understood can be said again, and means the same then.
fn understand(bytes: &[u8]) {
    let Ok(message) = Message::decode(bytes) else { return };
    let said = message.encode();
    assert_eq!(Message::decode(&said).map(|message| message.encode()).ok(), Some(said));
}
