//! What is drawn is true: every interface is in every drawing, and no two things share a place.

use super::sheet::Sheet;
use super::{Format, draw};
use crate::topology::load_str;
use crate::topology::model::Lab;

fn lab(name: &str) -> Lab {
    let path = format!("{}/../topologies/{name}.lab.toml", env!("CARGO_MANIFEST_DIR"));
    crate::topology::load(std::path::Path::new(&path)).unwrap_or_else(|faults| panic!("{faults}"))
}

const ALL: &[&str] = &["hello", "two-hosts", "lan5", "chain10", "dumbbell", "ring", "clos"];

#[test]
fn the_shortest_lab_looks_so() {
    let lab = lab("hello");
    insta::assert_snapshot!("hello-ascii", draw(&lab, Format::Ascii));
    insta::assert_snapshot!("hello-svg", draw(&lab, Format::Svg));
    insta::assert_snapshot!("hello-dot", draw(&lab, Format::Dot));
    insta::assert_snapshot!("hello-mermaid", draw(&lab, Format::Mermaid));
}

#[test]
fn text_of_larger_labs() {
    insta::assert_snapshot!("ring-ascii", draw(&lab("ring"), Format::Ascii));
    insta::assert_snapshot!("clos-ascii", draw(&lab("clos"), Format::Ascii));
}

#[test]
fn both_families_are_drawn_and_what_is_learnt() {
    let text = "[node]\nr1 = { forward = true, if.eth0 = { bus = \"lan\", ra = {} } }\n\
        h1 = { if.eth0 = { bus = \"lan\", address = \"slaac\" } }\n\
        [bus]\nlan = { subnet = \"10.0.0.0/24\", subnet6 = \"fd00::/64\" }\n";
    let lab = load_str("six.lab.toml", text).unwrap_or_else(|faults| panic!("{faults}"));
    let of = |format| draw(&lab, format);
    for drawn in [of(Format::Ascii), of(Format::Svg)] {
        assert!(drawn.contains("eth0 .1 ::1") && drawn.contains("eth0 .2 slaac"), "{drawn}");
    }
    for drawn in [of(Format::Dot), of(Format::Mermaid)] {
        assert!(drawn.contains("fd00::1") && drawn.contains("slaac"), "{drawn}");
    }
}

#[test]
fn every_name_is_in_every_drawing() {
    for name in ALL {
        let lab = lab(name);
        for format in [Format::Ascii, Format::Svg, Format::Dot, Format::Mermaid] {
            let text = draw(&lab, format);
            for name in lab.nodes.keys().chain(lab.buses.keys()) {
                assert!(text.contains(name.as_str()), "{name} is not in\n{text}");
            }
        }
    }
}

#[test]
fn no_two_nodes_share_a_place_and_every_port_is_drawn_once() {
    for name in ALL.iter().copied().chain(["pairs1000", "chain253"]) {
        let lab = lab(name);
        let sheet = Sheet::new(&lab);
        for column in 0..sheet.columns {
            let mut rows: Vec<(usize, usize)> =
                sheet.boxes.iter().filter(|boxed| boxed.column == column).map(|boxed| boxed.rows).collect();
            rows.sort_unstable();
            assert!(rows.windows(2).all(|pair| pair[0].1 < pair[1].0), "{name}: column {column}: {rows:?}");
        }
        let taps: usize = sheet.rows.iter().map(|row| row.taps.len()).sum();
        assert_eq!(taps, lab.nodes.values().map(|node| node.interfaces.len()).sum::<usize>(), "{name}");
    }
}

#[test]
fn a_crowd_is_one_box_and_nothing_is_lost_without_a_bus() {
    let sheet = Sheet::new(&lab("lan1000"));
    assert_eq!((sheet.boxes.len(), sheet.boxes[0].note.as_str()), (1, "1000 hosts"));
    let lab = load_str("x.lab.toml", "node.alone = {}\nbus.bare = {}\n")
        .unwrap_or_else(|faults| panic!("{faults}"));
    assert!(draw(&lab, Format::Ascii).contains("on no bus: alone"));
    assert!(draw(&lab, Format::Svg).contains("on no bus: alone"));
}
