//! Drawings of a lab: as text, as SVG, and for Graphviz and Mermaid.
//!
//! Text and SVG share one `sheet`: buses are horizontal bars, one a row; nodes are boxes above their first bus, with a line down to
//! each bus they are on. Nodes share columns as intervals share rooms, so that the picture needs no layout
//! of general graphs and stays the same from run to run.

mod ascii;
mod dot;
mod mermaid;
mod sheet;
mod svg;
#[cfg(test)]
mod tests;

use clap::ValueEnum;

use crate::topology::model::Lab;

/// How a lab is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For Graphviz: labctl graph --format dot | dot -Tsvg
    Dot,
    /// For Markdown
    Mermaid,
    /// A picture
    Svg,
    /// For the terminal
    Ascii,
}

/// Draws the lab.
pub fn draw(lab: &Lab, format: Format) -> String {
    match format {
        Format::Dot => dot::draw(lab),
        Format::Mermaid => mermaid::draw(lab),
        Format::Svg => svg::draw(lab),
        Format::Ascii => ascii::draw(lab),
    }
}
