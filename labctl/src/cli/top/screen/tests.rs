//! Keys, and what they make of the screen.

use super::*;
use crate::cli::top::example;

fn screen() -> Screen {
    let mut screen = Screen::default();
    assert!(screen.take(example::report()));
    screen
}

fn press(screen: &mut Screen, keys: &str) {
    for key in keys.chars() {
        let key =
            KeyEvent::new(if key == '\t' { KeyCode::Tab } else { KeyCode::Char(key) }, KeyModifiers::NONE);
        assert_eq!(screen.key(key), Next::Stay);
    }
}

fn selected(screen: &Screen) -> &str {
    &screen.nodes.selected(&screen.report.nodes).unwrap().name
}

fn names(screen: &Screen) -> Vec<&str> {
    let rows = &screen.report.nodes;
    screen.nodes.order(rows).into_iter().map(|at| rows[at].name.as_str()).collect()
}

#[test]
fn keys_that_leave() {
    for (code, modifiers) in [
        (KeyCode::Char('q'), KeyModifiers::NONE),
        (KeyCode::Esc, KeyModifiers::NONE),
        (KeyCode::Char('c'), KeyModifiers::CONTROL),
    ] {
        assert_eq!(screen().key(KeyEvent::new(code, modifiers)), Next::Leave);
    }
    assert_eq!(screen().key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::NONE)), Next::Stay);
}

#[test]
fn the_selection_moves_and_stops_at_the_ends() {
    let mut screen = screen();
    assert_eq!(selected(&screen), "h1");
    press(&mut screen, "jj");
    assert_eq!(selected(&screen), "h2");
    press(&mut screen, "kkkk");
    assert_eq!(selected(&screen), "h1");
    press(&mut screen, "Gj");
    assert_eq!(selected(&screen), *names(&screen).last().unwrap());
    press(&mut screen, "g");
    assert_eq!(selected(&screen), "h1");
    // The other table has its own.
    press(&mut screen, "\tj");
    assert_eq!(selected(&screen), "h1");
    assert_eq!(screen.buses.selected(&screen.report.buses).unwrap().name, "right");
}

#[test]
fn the_order_is_the_topology_s_then_by_column_and_back() {
    let mut screen = screen();
    let as_written = names(&screen).join(" ");
    for column in NodeColumn::ALL {
        press(&mut screen, "s");
        assert_eq!(screen.nodes.sort, Some(*column));
        if *column == NodeColumn::Cpu {
            // Greatest first; of those that nothing is known of, last.
            assert_eq!(names(&screen)[..2], ["r1", "h1"]);
            press(&mut screen, "r");
            assert_eq!(names(&screen).iter().rev().take(2).copied().collect::<Vec<_>>(), ["r1", "h1"]);
        }
        if *column == NodeColumn::Name {
            assert!(names(&screen).is_sorted());
        }
    }
    press(&mut screen, "s");
    assert_eq!((screen.nodes.sort, names(&screen).join(" ")), (None, as_written));
    press(&mut screen, "\ts");
    assert_eq!((screen.nodes.sort, screen.buses.sort), (None, Some(BusColumn::Name)));
}

#[test]
fn the_selected_line_stays_the_same_where_lines_change_places() {
    let mut screen = screen();
    press(&mut screen, "jj");
    press(&mut screen, "ssss");
    assert_eq!(selected(&screen), "h2");
    let mut other = example::report();
    other.nodes.retain(|node| node.name != "h2");
    screen.take(other);
    assert_eq!(selected(&screen), names(&screen)[0], "it is gone");
}

#[test]
fn a_pause_keeps_what_is_shown() {
    let mut screen = screen();
    press(&mut screen, "p");
    let later = || Report { age: std::time::Duration::from_secs(999), ..example::report() };
    assert!(!screen.take(later()));
    assert_ne!(screen.report.age.as_secs(), 999);
    press(&mut screen, "sj ");
    assert_eq!((screen.report.age.as_secs(), screen.paused), (999, false));
    press(&mut screen, "pp");
    assert_eq!(screen.report.age.as_secs(), 999);
}

#[test]
fn what_is_to_be_seen_follows_the_selection() {
    let mut list = List::<NodeColumn>::default();
    let rows = example::many(100).nodes;
    let order = list.order(&rows);
    assert_eq!(list.window(&rows, &order, 10), (0..10, 0));
    list.go(&rows, Move::Down(9));
    assert_eq!(list.window(&rows, &order, 10), (0..10, 9));
    list.go(&rows, Move::Down(1));
    assert_eq!(list.window(&rows, &order, 10), (1..11, 10));
    list.go(&rows, Move::Last);
    assert_eq!(list.window(&rows, &order, 10), (90..100, 99));
    // A larger screen shows more, a smaller one keeps the selected line.
    assert_eq!(list.window(&rows, &order, 30), (70..100, 99));
    assert_eq!(list.window(&rows, &order, 3), (97..100, 99));
    list.go(&rows, Move::Up(50));
    assert_eq!(list.window(&rows, &order, 3), (49..52, 49));
    assert_eq!(list.window(&rows, &order, 200), (0..100, 49));
    assert_eq!(list.window(&rows, &order, 0).0.len(), 0);
    assert_eq!(List::<NodeColumn>::default().window(&[], &[], 5), (0..0, 0));
}
