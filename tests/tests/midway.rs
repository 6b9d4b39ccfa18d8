//! `labctl` itself is killed in the middle of `up`: `down` or `gc` leaves no process and no file.

use lab_tests::{Place, User};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Enough nodes that `up` takes a while.
const LAB: &str = r#"
name = "midway"
node.h = { count = 40 }
bus.lan = { subnet = "10.0.0.0/24", nodes = ["h*"] }
"#;

fn killed_at_any_moment(mend: &str) {
    let place = Place::new(User::Ordinary);
    let lab = place.write("lab.toml", LAB);
    let up = format!("-t {} up", lab.display());
    let began = Instant::now();
    place.ok(&up);
    let whole = began.elapsed();
    place.ok("down");
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    for round in 0..25 {
        let mut child = place
            .labctl(up.split_whitespace())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("labctl starts");
        let moment = Instant::now() + whole.mul_f64(rng.random_range(0.0..1.1));
        while Instant::now() < moment {
            std::thread::sleep(Duration::from_micros(200));
        }
        // The test's own child may be `setpriv`, which has become labctl by exec: the same process.
        child.kill().expect("labctl is killed or has ended");
        child.wait().expect("labctl is reaped");
        let output = place.run(mend);
        assert!(matches!(output.status.code(), Some(0 | 3)), "round {round}: {mend}: {output:?}");
        // `gc` leaves a lab alone that is whole: the kill came too late.
        let left = place.processes().len();
        assert!(left == 0 || (left == 40 && mend == "gc"), "round {round}: {mend} leaves {left} nodes");
        if left == 40 {
            place.ok("down --all");
        }
        place.assert_clean();
    }
}

#[test]
fn then_down() {
    killed_at_any_moment("--lab midway down");
}

#[test]
fn then_gc() {
    killed_at_any_moment("gc");
}
