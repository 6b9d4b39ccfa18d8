//! HTTP: nginx, curl, wget, Python, busybox and Go, each against another.

use lab_tests::exec::{H1, H2, Lab, NOBODY, R1, finish, succeeded};
use lab_tests::family::{Family, in_url};
use lab_tests::{in_each_family, program};
use rand::{RngCore, SeedableRng};
use std::fs::File;
use std::io::Write;

in_each_family!(
    curl_fetches_a_large_file_from_nginx_intact,
    wget_and_curl_say_what_went_wrong,
    python_serves_and_fetches,
    static_busybox_serves_and_fetches,
    static_go_serves_and_fetches,
);

/// Octets of the large file: one that no buffer holds for each way that data take, a larger one for the first.
fn large(family: Family) -> usize {
    match family {
        Family::V4 => 1 << 30,
        Family::V6 | Family::Dual => 1 << 28,
    }
}

/// Writes a file in which no two pages are alike.
fn large_file(lab: &Lab, name: &str, len: usize) {
    const MIB: usize = 1 << 20;
    let mut block = vec![0; MIB];
    rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(7).fill_bytes(&mut block);
    let mut file = File::create(lab.file(name)).expect("a file");
    for nth in 0..len / MIB {
        for (page, octets) in block.chunks_mut(4096).enumerate() {
            octets[..8].copy_from_slice(&((nth * 256 + page) as u64).to_le_bytes());
        }
        file.write_all(&block).expect("room for the file");
    }
}

/// The checksum of a file in the working folder.
fn sum(lab: &Lab, name: &str) -> String {
    let output = finish(lab.place.command("sha256sum").arg(name), "sha256sum");
    let text = succeeded("sha256sum", &output);
    text.split_whitespace().next().expect("a checksum").to_owned()
}

/// nginx with two workers, serving the working folder.
fn start_nginx(lab: &mut Lab, family: Family) {
    let nginx = program("nginx", "nginx-light");
    let here = lab.place.path().display().to_string();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|of| format!("{of}_temp_path {here}/{of};"))
        .concat();
    let v4 = if family.has_v4() { "listen 80;" } else { "" };
    let listens = if family.has_v6() { format!("{v4} listen [::]:80;") } else { v4.to_owned() };
    lab.place.write(
        "nginx.conf",
        &format!(
            "daemon off; worker_processes 2; pid {here}/nginx.pid; error_log stderr; events {{ }}\n\
             http {{ access_log off; sendfile on; {temporary} server {{ {listens} root {here}; }} }}\n"
        ),
    );
    lab.start("h2", &format!("{} -e stderr -c {here}/nginx.conf", nginx.display()));
    lab.receives("h2", "tcp", 80);
}

fn curl_fetches_a_large_file_from_nginx_intact(family: Family) {
    program("curl", "curl");
    let mut lab = Lab::across_a_router(family);
    large_file(&lab, "large", large(family));
    let expected = sum(&lab, "large");
    start_nginx(&mut lab, family);
    // Two at once, so that both workers are at it: the first accepts until it is busy.
    let got = lab.sh(
        "h1",
        "curl -sS http://h2/large | sha256sum & curl -sS -r 0-1048575 http://h2/large | wc -c; wait",
    );
    assert!(got.contains(&expected) && got.contains("1048576\n"), "expected {expected}, got {got}");
}

fn wget_and_curl_say_what_went_wrong(family: Family) {
    program("wget", "wget");
    let mut lab = Lab::across_a_router(family);
    lab.place.write("page", "hello\n");
    start_nginx(&mut lab, family);
    assert_eq!(lab.ok("h1", "wget -q -O - http://h2/page"), "hello\n");
    assert_eq!(lab.ok("h1", "curl -sS http://h2/page"), "hello\n");
    for addr in family.addrs(H2).into_iter().map(in_url) {
        let head = lab.ok("h1", &format!("curl -sS -I http://{addr}/page"));
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    }
    for (option, has) in [("-4", family.has_v4()), ("-6", family.has_v6())] {
        let curl = lab.run("h1", &format!("curl {option} -sS http://h2/page"));
        let wget = lab.run("h1", &format!("wget {option} -q -O - http://h2/page"));
        // No address of that family; wget calls it a failure of the network.
        let (curl, wget) = (curl.status.code(), wget.status.code());
        // A resolver may give IPv4 as mapped addresses where there is nothing else: nobody is reached by these.
        let fits = if has {
            curl == Some(0) && wget == Some(0)
        } else {
            matches!(curl, Some(6 | 7)) && wget == Some(4)
        };
        assert!(fits, "{option}: curl {curl:?}, wget {wget:?}");
    }
    assert_eq!(lab.run("h1", "wget -q -O - http://h2/other").status.code(), Some(8), "404");
    let refused = lab.run("h1", "curl -sS http://h2:99/");
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");
    let nowhere =
        lab.run("h1", &format!("curl -sS --connect-timeout 0.3 http://{}/", in_url(family.addr(NOBODY))));
    assert!(matches!(nowhere.status.code(), Some(7 | 28)), "{nowhere:?}");
    let unknown = lab.run("h1", "curl -sS http://no-such-host/");
    assert_eq!(unknown.status.code(), Some(6), "{unknown:?}");
}

const ASYNCIO: &str = r#"
import asyncio, sys

async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()

async def one(n):
    reader, writer = await asyncio.open_connection("h2", 7000)
    for i in range(20):
        writer.write(b"%d-%d a\n" % (n, i))
        assert await reader.readline() == b"%d-%d A\n" % (n, i)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()

async def main():
    if sys.argv[1] == "serve":
        server = await asyncio.start_server(serve, None, 7000)
        await server.serve_forever()
    await asyncio.gather(*(one(n) for n in range(30)))
    try:
        await asyncio.open_connection("h2", 7001)
    except OSError as e:
        # Of several addresses asyncio says what became of each, by words alone.
        assert isinstance(e, ConnectionRefusedError) or str(e).count("[Errno 111]") == 2, e
        print("all is well")

asyncio.run(main())
"#;

fn python_serves_and_fetches(family: Family) {
    program("python3", "python3");
    let mut lab = Lab::across_a_router(family);
    large_file(&lab, "file", 8 << 20);
    let expected = sum(&lab, "file");
    // By itself it asks the host's resolver for a family.
    let any = if family.has_v6() { "::" } else { "0.0.0.0" };
    lab.start("h2", &format!("python3 -m http.server -b {any} 8000"));
    lab.place.write("asyncio_test.py", ASYNCIO);
    lab.start("h2", "python3 asyncio_test.py serve");
    lab.receives("h2", "tcp", 8000);
    let fetch = "import urllib.request as u, hashlib, socket\n\
                 print(hashlib.sha256(u.urlopen('http://h2:8000/file').read()).hexdigest(), socket.gethostname())\n";
    lab.place.write("fetch.py", fetch);
    assert_eq!(lab.ok("h1", "python3 fetch.py").trim(), format!("{expected} h1"));
    lab.receives("h2", "tcp", 7000);
    assert_eq!(lab.ok("h1", "python3 asyncio_test.py connect"), "all is well\n");
}

fn static_busybox_serves_and_fetches(family: Family) {
    let busybox = program("busybox", "busybox-static").display().to_string();
    let mut lab = Lab::across_a_router(family);
    large_file(&lab, "file", 4 << 20);
    let expected = sum(&lab, "file");
    let here = lab.place.path().display().to_string();
    lab.start("h2", &format!("{busybox} httpd -f -p 80 -h {here}"));
    lab.receives("h2", "tcp", 80);
    let got = lab.sh("h1", &format!("{busybox} wget -q -O - http://h2/file | {busybox} sha256sum"));
    assert!(got.starts_with(&expected), "expected {expected}, got {got}");
    let server =
        lab.start_words("h2", &["sh", "-c", &format!("{busybox} nc -l -p 99 | {busybox} tr a-z A-Z")]);
    lab.receives("h2", "tcp", 99);
    lab.fed("h1", &format!("{busybox} nc h2 99"), "hello\n");
    assert_eq!(lab.wait(&server), Some(0));
    assert_eq!(server.output(), "HELLO\n");
    let configured = lab.ok("h1", &format!("{busybox} ifconfig eth0"));
    for addr in family.addrs(H1) {
        assert!(configured.contains(&addr.to_string()), "{configured}");
    }
    for router in family.addrs(R1) {
        let table = if router.is_ipv6() { "inet6" } else { "inet" };
        let routes = lab.ok("h1", &format!("{busybox} route -n -A {table}"));
        assert!(routes.contains(&router.to_string()), "{routes}");
    }
    let listening = lab.ok("h2", &format!("{busybox} netstat -ltn"));
    assert!(listening.contains(":::80 "), "{listening}");
    assert!(lab.ok("h1", &format!("{busybox} ping -c 1 h2")).contains("1 packets received"));
}

const GO: &str = r#"
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
)

func main() {
	if os.Args[1] == "serve" {
		http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			peer, _, _ := net.SplitHostPort(r.RemoteAddr)
			fmt.Fprint(w, r.URL.Path, " for ", peer)
		})
		panic(http.ListenAndServe(":8080", nil))
	}
	// In turn: by default the other family is tried as well once the first has been silent for 300 ms.
	http.DefaultTransport.(*http.Transport).DialContext = (&net.Dialer{FallbackDelay: -1}).DialContext
	var all sync.WaitGroup
	for n := 0; n < 20; n++ {
		all.Add(1)
		go func(n int) {
			defer all.Done()
			answer, err := http.Get(fmt.Sprintf("http://h2:8080/%d", n))
			if err != nil {
				panic(err)
			}
			body, _ := io.ReadAll(answer.Body)
			if string(body) != fmt.Sprintf("/%d for %s", n, os.Args[2]) {
				panic(string(body))
			}
		}(n)
	}
	all.Wait()
	names := ""
	interfaces, err := net.Interfaces()
	if err != nil {
		panic(err)
	}
	for _, i := range interfaces {
		names += i.Name + " "
	}
	fmt.Println("all is well", names)
}
"#;

fn static_go_serves_and_fetches(family: Family) {
    let go = program("go", "golang-go");
    let mut lab = Lab::across_a_router(family);
    lab.place.write("web.go", GO);
    let mut build = lab.place.command(go);
    build.args(["build", "-o", "web", "web.go"]).env("CGO_ENABLED", "0").env("GO111MODULE", "off");
    succeeded("go build", &finish(&mut build, "go build"));
    lab.start("h2", "./web serve");
    lab.receives("h2", "tcp", 8080);
    // IPv4 goes before unique local addresses by the precedence of RFC 6724 §2.1, which glibc does not follow there.
    let own = family.addrs(H1);
    let fetch = format!("./web fetch {}", own[own.len() - 1]);
    assert_eq!(lab.ok("h1", &fetch).trim(), "all is well lo eth0");
}
