"""Runs Python's unit tests, and writes what became of each (results.py).

    python3 -I unittests.py RESULTS SECONDS NAME [FOLDER]

NAME is a module of CPython's own suite, or a class in one; with FOLDER it is a package that lies there, of which all modules are run
whose names begin with `test_` or end in `_test`. A test that takes longer than SECONDS ends the interpreter.
"""

import faulthandler
import importlib
import logging
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from results import Results  # noqa: E402


class Reporter(unittest.TestResult):
    """Writes as the tests run."""

    def __init__(self, results, seconds):
        super().__init__()
        self.seconds = seconds
        self.say = results.say
        self.why = None

    def startTest(self, test):
        super().startTest(test)
        self.why = None
        self.say("start", name_of(test))
        faulthandler.dump_traceback_later(self.seconds, exit=True)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)
        word, why = self.why or ("ok", "")
        self.say(word, name_of(test), why)

    def note(self, test, word, why):
        # What a class or a module sets up is no test.
        if isinstance(test, unittest.suite._ErrorHolder):
            self.say(word, name_of(test), why)
        elif self.why is None or word == "fail":
            self.why = (word, why)

    def failed(self, test, err):
        sys.stderr.write(f"\n== {test.id()}\n{self._exc_info_to_string(err, test)}")
        self.note(test, "fail", f"{err[0].__name__}: {err[1]}")

    def addError(self, test, err):
        super().addError(test, err)
        self.failed(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.failed(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.failed(test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, "skip", reason)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note(test, "fail", "unexpected success")


# These ask for the network, and use nothing but the loopback.
NETWORKED = ("test.test_socketserver", "test.test_timeout.CreationTestCase", "test.test_timeout.UDPTimeoutTestCase")


def name_of(test):
    return "_".join(test.id().split())


def without(suite, names):
    kept = unittest.TestSuite()
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            kept.addTest(without(test, names))
        elif name_of(test) not in names:
            kept.addTest(test)
    return kept


def load(name):
    """The tests of a module or class of CPython's."""
    from test import support

    support.use_resources = ["network"] if name in NETWORKED else []
    support.verbose = False
    module = name if name.startswith("test.test_asyncio") else ".".join(name.split(".")[:2])
    importlib.import_module(module)
    return unittest.TestLoader().loadTestsFromName(name)


def discover(name, folder):
    """The tests of a package."""
    sys.path.insert(0, folder)
    # For the programs that tests start.
    os.environ["PYTHONPATH"] = folder
    # Tornado's tests take what is logged for a failure; its own runner does this.
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
    package = os.path.join(folder, *name.split("."))
    find = unittest.TestLoader().discover
    return unittest.TestSuite(find(package, pattern, folder) for pattern in ("test_*.py", "*_test.py"))


def main():
    path, seconds, name, *folder = sys.argv[1:]
    results = Results(path)
    try:
        suite = discover(name, *folder) if folder else load(name)
    except unittest.SkipTest as reason:
        results.say("skip", name, str(reason))
    else:
        without(suite, results.seen).run(Reporter(results, float(seconds)))
    results.say("end")


if __name__ == "__main__":
    main()
