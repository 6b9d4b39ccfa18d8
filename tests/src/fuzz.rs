//! What must bear any octets: one function a kind of input, shared by campaigns (`tests/fuzz`, cargo-fuzz) and by the replay of their
//! finds (`tests/tests/corpus.rs`). A target fails by panicking, by hanging, or by breaking what it asserts.

mod bus;

pub use bus::bus;

/// A target: any octets in, no panic out.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpus folders.
pub const TARGETS: &[(&str, Target)] = &[
    ("topology", topology),
    ("control", control),
    ("config", config),
    ("sysproxy", sysproxy),
    ("filter", filter),
    ("bus", bus),
];

/// A topology file. Whatever it says, its diagnostics can be shown.
pub fn topology(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Err(diagnostics) = labctl::topology::load_str("fuzz.lab.toml", text) {
        assert!(!diagnostics.to_string().is_empty(), "a refused topology says why");
    }
}

/// A control request: what reads as one comes back from its own text.
pub fn control(octets: &[u8]) {
    use rumpkern::ctl::proto::Request;
    if let Ok(request) = serde_json::from_slice::<Request>(octets) {
        let text = serde_json::to_vec(&request).expect("a request is plain data");
        assert_eq!(serde_json::from_slice::<Request>(&text).expect("our own text"), request);
    }
}

/// A node's configuration.
pub fn config(octets: &[u8]) {
    let _ = serde_json::from_slice::<rumpkern::config::NodeConfig>(octets);
}

/// A message of a remote client: what reads as a request comes back from its own octets.
pub fn sysproxy(octets: &[u8]) {
    use rumpclient::{msg::Request, wire::Header};
    let Ok((header, fields)) = Header::decode(octets) else { return };
    let Ok(request) = Request::decode(&header, fields) else { return };
    let mut again = Vec::new();
    request.encode(header.req, header.sid, &mut again);
    let (header, fields) = Header::decode(&again).expect("our own header");
    assert_eq!(Request::decode(&header, fields).expect("our own fields"), request);
}

/// A capture filter.
pub fn filter(octets: &[u8]) {
    let (words, frame) = octets.split_at(octets.len().min(64));
    let Ok(text) = std::str::from_utf8(words) else { return };
    if let Ok(filter) = labctl::capture::filter::Filter::parse(text, &labctl::capture::filter::NoNames) {
        filter.matches(frame);
    }
}
