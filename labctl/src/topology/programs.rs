//! Programs: their nodes, what they wait for, and that they do not wait for each other.

use std::path::Path;

use indexmap::IndexMap;

use super::diag::{Code, Diag, Span};
use super::draft::{Draft, unknown_node};
use super::model::{Duration, Output, Program, Ready, ReadyWhen, TextMatch};
use super::names::{NAME_MAX, check_name};
use super::raw;
use super::read::{Cx, Map, Sp};

/// Most programs of a lab.
const PROGRAMS_MAX: usize = 1000;

/// How long a program may take until it is ready, if the file does not say.
const READY_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// All programs, seen to be in order.
pub(super) fn programs(
    Map(typed): Map<raw::Program>,
    draft: &Draft,
    base: &Path,
    cx: &mut Cx,
) -> IndexMap<String, Program> {
    if let Some((name, _)) = typed.get(PROGRAMS_MAX) {
        let message = format!("more than {PROGRAMS_MAX} programs");
        cx.push(Diag::new(Code::TooMany, name.span.clone(), message));
        return IndexMap::new();
    }
    let names: Vec<String> = typed.iter().map(|(name, _)| name.value.clone()).collect();
    let mut programs = IndexMap::new();
    let mut waits: IndexMap<String, Vec<Sp<String>>> = IndexMap::new();
    for (name, typed) in typed {
        check_name(&name, "a program", NAME_MAX, cx);
        let Some(typed) = typed else { continue };
        if !draft.nodes.contains_key(&typed.node.value) {
            cx.push(unknown_node(&typed.node, draft.nodes.keys()));
        }
        let mut after = Vec::new();
        for other in typed.after.map(|after| after.value.0).unwrap_or_default() {
            if names.contains(&other.value) {
                after.push(other);
            } else {
                let message = format!("no program is called \"{}\"", other.value);
                let diag = Diag::new(Code::UnknownProgram, other.span.clone(), message);
                cx.push(diag.meant(&other, names.iter().map(String::as_str)));
            }
        }
        let dir = typed.dir.map(|dir| {
            let path = base.join(&dir.value);
            if !path.is_dir() {
                let message = format!("no such folder: {}", path.display());
                let diag = Diag::new(Code::MissingFile, dir.span.clone(), message);
                cx.push(diag.hint("host paths are relative to the topology file"));
            }
            path
        });
        let env = typed.env.map(|env| env.value.0).unwrap_or_default();
        let program = Program {
            name: name.value.clone(),
            node: typed.node.value,
            cmd: words(&typed.cmd, EXAMPLE, cx),
            ready: typed.ready.and_then(|ready| ready_when(ready, cx)),
            after: after.iter().map(|other| other.value.clone()).collect(),
            expect: typed.expect.map(|output| expected(output.value)),
            env: env.into_iter().filter_map(|(key, value)| Some((key.value, value?.value))).collect(),
            dir,
        };
        waits.insert(name.value.clone(), after);
        programs.insert(name.value, program);
    }
    circles(&waits, cx);
    programs
}

/// The hint of a command without words.
pub(super) const EXAMPLE: &str = "for example [\"curl\", \"http://10.0.0.1/\"]";

/// A command: a list of words, or one text that is split at blanks; `example` is the hint where there is none.
pub(super) fn words(
    cmd: &Sp<super::read::OneOrMany<String>>,
    example: &'static str,
    cx: &mut Cx,
) -> Vec<String> {
    let words: Vec<String> = match &cmd.value.0[..] {
        [one] if one.span == cmd.span => one.split_whitespace().map(str::to_owned).collect(),
        many => many.iter().map(|word| word.value.clone()).collect(),
    };
    if words.first().is_none_or(String::is_empty) {
        let diag = Diag::new(Code::MissingKey, cmd.span.clone(), "there is no command here");
        cx.push(diag.hint(example));
    }
    words
}

fn ready_when(ready: Sp<raw::Ready>, cx: &mut Cx) -> Option<Ready> {
    let Sp { value: raw, span } = ready;
    let within = raw.within.map_or(Duration(READY_WITHIN), |within| within.value.0);
    let signs = [
        raw.tcp.map(|tcp| (tcp.span, ReadyWhen::Tcp(tcp.value.0 as u16))),
        raw.udp.map(|udp| (udp.span, ReadyWhen::Udp(udp.value.0 as u16))),
        raw.log.map(|log| (log.span, ReadyWhen::Log(log.value.0))),
    ];
    let mut signs = signs.into_iter().flatten();
    let Some((first, when)) = signs.next() else {
        let diag =
            Diag::new(Code::MissingKey, span.clone(), "\"ready\" needs one of \"tcp\", \"udp\", \"log\"");
        cx.push_of_table(diag, &span);
        return None;
    };
    if let Some((second, _)) = signs.next() {
        let diag = Diag::new(Code::ConflictingKeys, second, "\"ready\" takes one sign");
        cx.push(diag.other(first, "the first is here"));
    }
    Some(Ready { when, within })
}

/// How a program must end, with defaults.
pub(super) fn expected(raw: raw::Output) -> Output {
    Output {
        exit: raw.exit.map_or(0, |exit| exit.0 as u8),
        stdout: text(raw.stdout),
        stderr: text(raw.stderr),
    }
}

/// What a text must be.
pub(super) fn text(raw: Option<Sp<raw::Text>>) -> TextMatch {
    raw.map_or_else(TextMatch::default, |raw| TextMatch {
        contains: raw.value.contains.map(|text| text.value),
        matches: raw.value.matches.map(|regex| regex.value.0),
        json: raw.value.json.map(|json| json.value.0),
    })
}

/// Programs that wait for each other: one fault a circle, at its first link.
fn circles(waits: &IndexMap<String, Vec<Sp<String>>>, cx: &mut Cx) {
    let mut done: Vec<&str> = Vec::new();
    for start in waits.keys() {
        let mut path: Vec<(&str, Span)> = Vec::new();
        visit(start, waits, &mut done, &mut path, cx);
    }
}

fn visit<'w>(
    name: &'w str,
    waits: &'w IndexMap<String, Vec<Sp<String>>>,
    done: &mut Vec<&'w str>,
    path: &mut Vec<(&'w str, Span)>,
    cx: &mut Cx,
) {
    if done.contains(&name) {
        return;
    }
    for after in waits.get(name).into_iter().flatten() {
        path.push((name, after.span.clone()));
        if let Some(start) = path.iter().position(|(step, _)| *step == after.value) {
            let mut names: Vec<&str> = path[start..].iter().map(|(step, _)| *step).collect();
            names.push(&after.value);
            let message = format!("programs wait for each other: {}", names.join(" after "));
            let mut diag =
                Diag::new(Code::ProgramLoop, after.span.clone(), message).label("closes the circle");
            for (step, span) in &path[start..path.len() - 1] {
                diag = diag.other(span.clone(), format!("\"{step}\" waits here"));
            }
            cx.push(diag);
        } else {
            visit(&after.value, waits, done, path, cx);
        }
        path.pop();
    }
    done.push(name);
}
