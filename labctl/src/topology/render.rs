//! Faults as text in the manner of rustc, or as JSON lines.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::json;

use super::diag::{Diag, Diagnostics, Severity, Span};

/// How faults are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For files, pipes and `NO_COLOR`.
    Plain,
    /// With colours.
    Colour,
}

/// Faults printed at most; what is beyond is counted.
const SHOWN: usize = 50;

/// All faults, each with its source line, and a last line that counts them.
pub fn text(diags: &Diagnostics, style: Style) -> String {
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Colour => Renderer::styled(),
    };
    let mut out = String::new();
    for diag in diags.items.iter().take(SHOWN) {
        out.push_str(&one(diags, diag, &renderer));
        out.push_str("\n\n");
    }
    let (errors, warnings) = diags.counts();
    let mut counts = Vec::new();
    if errors > 0 {
        counts.push(plural(errors, "error"));
    }
    if warnings > 0 {
        counts.push(plural(warnings, "warning"));
    }
    if let Some(hidden) = diags.items.len().checked_sub(SHOWN).filter(|n| *n > 0) {
        counts.push(format!("{hidden} of them not shown"));
    }
    out.push_str(&format!("{}: {}\n", diags.file.display(), counts.join(", ")));
    out
}

fn one(diags: &Diagnostics, diag: &Diag, renderer: &Renderer) -> String {
    let level = match diag.code.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let path = diags.file.display().to_string();
    let mut elements = snippet(diags, diag, &path);
    if let Some(hint) = &diag.hint {
        elements.push(Level::HELP.message(hint.as_str()).into());
    }
    let report = [level.primary_title(diag.message.as_str()).id(diag.code.as_str()).elements(elements)];
    renderer.render(&report)
}

fn snippet<'a>(diags: &'a Diagnostics, diag: &'a Diag, path: &str) -> Vec<annotate_snippets::Element<'a>> {
    if diags.text.is_empty() {
        return vec![annotate_snippets::Origin::path(path.to_owned()).into()];
    }
    let mut primary = AnnotationKind::Primary.span(within(&diags.text, &diag.span));
    if !diag.label.is_empty() {
        primary = primary.label(diag.label.as_str());
    }
    let mut snippet = Snippet::source(&*diags.text).path(path.to_owned()).annotation(primary);
    for other in &diag.others {
        let span = within(&diags.text, &other.span);
        snippet = snippet.annotation(AnnotationKind::Context.span(span).label(other.text.as_str()));
    }
    vec![snippet.into()]
}

/// The span, cut to the text and to whole characters.
fn within(text: &str, span: &Span) -> Span {
    let fit = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = fit(span.start);
    start..fit(span.end).max(start)
}

/// One JSON object a fault, one a line: `{"file","line","column","code","severity","message","hint"}`.
pub fn json_lines(diags: &Diagnostics) -> String {
    let mut out = String::new();
    for diag in &diags.items {
        let (line, column) = diags.line_column(diag.span.start);
        let severity = match diag.code.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let object = json!({
            "file": diags.file.display().to_string(),
            "line": line,
            "column": column,
            "code": diag.code.as_str(),
            "severity": severity,
            "message": diag.message,
            "hint": diag.hint,
        });
        out.push_str(&object.to_string());
        out.push('\n');
    }
    out
}

/// `1 error`, `2 errors`.
pub fn plural(n: usize, noun: &str) -> String {
    match (n, noun.strip_suffix('s')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(_)) => format!("{n} {noun}es"),
        _ => format!("{n} {noun}s"),
    }
}
