//! OpenSSH: a server of an ordinary user's, login by key, a terminal, copies.

use lab_tests::exec::{H2, Lab, finish, succeeded};
use lab_tests::family::{Family, in_url};
use lab_tests::{Place, User, in_each_family, program};

in_each_family!(ssh_logs_in_by_key_and_scp_copies, ssh_gives_a_shell_with_a_terminal,);

const TOPOLOGY: &str = r#"
name = "lab"
[node]
h1 = { if.eth0 = { dad = "off", bus = "left" } }
r1 = { forward = true }
h2 = { if.eth0 = { dad = "off", bus = "right" }, files = { "/etc/passwd" = "passwd", "/etc/group" = "group" } }
[bus]
left  = { subnet = "10.0.1.0/24", subnet6 = "fd00:1::/64", nodes = ["r1", "h1"] }
right = { subnet = "10.0.2.0/24", subnet6 = "fd00:2::/64", nodes = ["r1", "h2"] }
"#;

/// A lab in whose h2 a user `tester` is known, and a server for him at port 2222.
fn with_server(family: Family) -> (Lab, String) {
    let sshd = program("sshd", "openssh-server");
    let place = Place::new(User::Ordinary);
    let here = place.path().display().to_string();
    let (uid, gid) = place.ids();
    place.write("passwd", &format!("tester:x:{uid}:{gid}::{here}:/bin/sh\n"));
    place.write("group", &format!("tester:x:{gid}:\n"));
    for key in ["host_key", "key"] {
        let mut keygen = place.command(program("ssh-keygen", "openssh-client"));
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key]);
        succeeded("ssh-keygen", &finish(&mut keygen, "ssh-keygen"));
    }
    place.write(
        "sshd_config",
        &format!(
            "Port 2222\nHostKey {here}/host_key\nAuthorizedKeysFile {here}/key.pub\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n"
        ),
    );
    let mut lab = Lab::up(place, &family.topology(TOPOLOGY));
    lab.start("h2", &format!("{} -D -e -f {here}/sshd_config", sshd.display()));
    lab.receives("h2", "tcp", 2222);
    let options = format!(
        "-F none -i {here}/key -o Port=2222 -o StrictHostKeyChecking=no -o UserKnownHostsFile={here}/known \
         -o LogLevel=ERROR"
    );
    (lab, options)
}

fn ssh_logs_in_by_key_and_scp_copies(family: Family) {
    let (lab, options) = with_server(family);
    // The shell on h2 is on h2 itself: its name, and its own connections.
    let seen =
        lab.sh("h1", &format!("ssh {options} tester@h2 'uname -n; echo $SSH_CONNECTION; exit 3'; echo $?"));
    let lines: Vec<&str> = seen.lines().collect();
    let here = format!("{} 2222", family.addr(H2));
    assert!(matches!(&lines[..], ["h2", connection, "3"] if connection.ends_with(&here)), "{seen}");
    assert_eq!(lab.sh("h1", &format!("seq 100000 | ssh {options} tester@h2 wc -l")), "100000\n");
    lab.sh(
        "h1",
        &format!("head -c 3000000 /dev/urandom > one && scp {options} one tester@h2:two && cmp one two"),
    );
    for (nth, addr) in family.addrs(H2).into_iter().map(in_url).enumerate() {
        lab.sh("h1", &format!("scp {options} tester@{addr}:two {nth} && cmp one {nth}"));
    }
}

fn ssh_gives_a_shell_with_a_terminal(family: Family) {
    program("script", "bsdutils");
    let (lab, options) = with_server(family);
    lab.place.write("typed", "tty\nstty size\nexec sh -c 'kill -INT $$'\n");
    let session = format!("ssh -tt {options} tester@h2 < typed");
    let seen = lab.sh("h1", &format!("script -qc 'stty rows 33 cols 77; {session}' /dev/null; true"));
    assert!(seen.contains("/dev/pts/"), "{seen}");
    assert!(seen.contains("Connection to h2 closed") || seen.contains("kill -INT"), "{seen}");
}

/// From the router, which is on the server's link.
#[test]
fn ssh_and_scp_reach_an_address_of_the_link() {
    let (lab, options) = with_server(Family::Dual);
    let server = lab.address_of_link("h2", "eth0");
    let seen = lab.sh("r1", &format!("ssh {options} tester@{server}%eth1 'uname -n; echo $SSH_CONNECTION'"));
    let lines: Vec<&str> = seen.lines().collect();
    let router = lab.address_of_link("r1", "eth1");
    assert!(
        matches!(&lines[..], ["h2", connection] if connection.starts_with(&format!("{router}%eth0 "))
            && connection.ends_with(&format!(" {server}%eth0 2222"))),
        "{seen}"
    );
    lab.sh(
        "r1",
        &format!(
            "head -c 300000 /dev/urandom > one && scp {options} one tester@[{server}%eth1]:two && \
             scp {options} tester@[{server}%eth1]:two three && cmp one two && cmp one three"
        ),
    );
}

#[test]
fn ssh_hands_on_the_size_of_the_window() {
    program("script", "bsdutils");
    let (lab, options) = with_server(Family::Dual);
    let ready = lab.file("ready").display().to_string();
    lab.place.write(
        "sizes",
        &format!("stty size\ntrap 'stty size; exit 0' WINCH\n: > {ready}\nwhile :; do sleep 0.05; done\n"),
    );
    let sizes = lab.file("sizes").display().to_string();
    lab.place.write(
        "window",
        &format!(
            "stty rows 33 cols 77\n\
             (until [ -e {ready} ]; do sleep 0.05; done; stty rows 20 cols 50) < /dev/tty &\n\
             ssh -tt {options} tester@h2 sh {sizes}\n"
        ),
    );
    let seen = lab.sh("h1", "script -qc 'sh window' /dev/null");
    let (first, then) = seen.split_once("33 77").expect(&seen);
    assert!(!first.contains("20 50") && then.contains("20 50"), "{seen}");
}
