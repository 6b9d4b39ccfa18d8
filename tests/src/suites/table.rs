//! The suites: where each comes from, what runs it, and when.
//!
//! A further one is a row here, and a function of `tests/suites/obtain` if its source is not installed.

/// A suite that others wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite<'a> {
    /// Its tests' names begin with it.
    pub name: &'a str,
    /// What `tests/suites/obtain` makes; None: a package of Debian's has installed it.
    pub source: Option<&'static str>,
    /// The program that runs it and writes the results: a file of `tests/suites`.
    pub runner: &'static str,
    /// Whether it runs in CI, or only by `tests/run suites-all`.
    pub in_ci: bool,
}

impl Suite<'_> {
    /// The suite `name`; one that begins with `test.` is CPython's own, and may be a part of one.
    pub fn named(name: &str) -> Option<Suite<'_>> {
        let known = SUITES.iter().copied().find(|suite| suite.name == name);
        known.or_else(|| name.starts_with("test.").then(|| cpython(name)))
    }
}

/// All of them.
pub const SUITES: &[Suite<'static>] = &[
    cpython("test.test_socket"),
    cpython("test.test_select"),
    cpython("test.test_poll"),
    cpython("test.test_epoll"),
    cpython("test.test_selectors"),
    cpython("test.test_timeout.CreationTestCase"),
    cpython("test.test_timeout.UDPTimeoutTestCase"),
    cpython("test.test_socketserver"),
    cpython("test.test_ssl"),
    cpython("test.test_httplib"),
    cpython("test.test_httpservers"),
    cpython("test.test_urllib"),
    cpython("test.test_urllib2_localnet"),
    cpython("test.test_ftplib"),
    cpython("test.test_smtplib"),
    cpython("test.test_poplib"),
    cpython("test.test_imaplib"),
    cpython("test.test_telnetlib"),
    cpython("test.test_asyncore"),
    cpython("test.test_asynchat"),
    cpython("test.test_xmlrpc"),
    cpython("test.test_wsgiref"),
    cpython("test.test_docxmlrpc"),
    cpython("test.test_os.TestSendfile"),
    cpython("test.test_asyncio.test_base_events"),
    cpython("test.test_asyncio.test_buffered_proto"),
    cpython("test.test_asyncio.test_events"),
    cpython("test.test_asyncio.test_selector_events"),
    cpython("test.test_asyncio.test_sendfile"),
    cpython("test.test_asyncio.test_server"),
    cpython("test.test_asyncio.test_sock_lowlevel"),
    cpython("test.test_asyncio.test_ssl"),
    cpython("test.test_asyncio.test_sslproto"),
    cpython("test.test_asyncio.test_streams"),
    cpython("test.test_asyncio.test_transports"),
    cpython("test.test_asyncio.test_unix_events"),
    // Others of which little or nothing is about sockets, and which take long; all of test_asyncio is one of them.
    by_hand(cpython("test.test_asyncio")),
    by_hand(cpython("test.test_logging")),
    by_hand(cpython("test.test_multiprocessing_fork")),
    by_hand(cpython("test.test_multiprocessing_forkserver")),
    by_hand(cpython("test.test_multiprocessing_spawn")),
    // The others.
    program("net", "go"),
    program("net/http", "go"),
    program("libuv", "libuv"),
    package("tornado.test", "tornado"),
    package("twisted", "twisted"),
    package("uvloop_tests", "uvloop"),
];

/// A module of CPython's own suite, or a class in one.
const fn cpython(name: &str) -> Suite<'_> {
    Suite { name, source: None, runner: "unittests.py", in_ci: true }
}

/// A Python package with the tests in it.
const fn package(name: &'static str, source: &'static str) -> Suite<'static> {
    Suite { name, source: Some(source), runner: "unittests.py", in_ci: true }
}

/// A program that has tests in it: a row of `program.py`.
const fn program(name: &'static str, source: &'static str) -> Suite<'static> {
    Suite { name, source: Some(source), runner: "program.py", in_ci: true }
}

const fn by_hand(suite: Suite<'_>) -> Suite<'_> {
    Suite { in_ci: false, ..suite }
}
