"""Runs tests of CPython's own suite, and writes what became of each.

    python3 -I cpython.py RESULTS SECONDS NAME

NAME is a module of the suite, or a class in one. Each test appends lines to RESULTS: `start TEST`, and when it is done
`ok TEST`, `fail TEST WHY` or `skip TEST WHY`; `end` closes them. A test that takes longer than SECONDS ends the interpreter.
Whoever finds no `end` starts it again: tests that RESULTS names are left out then, and one that only started is told as `hang`.
"""

import faulthandler
import importlib
import sys
import unittest


class Results(unittest.TestResult):
    """Writes as the tests run."""

    def __init__(self, path, seconds):
        super().__init__()
        self.seconds = seconds
        self.seen = {}
        self.why = None
        try:
            with open(path, encoding="utf-8") as lines:
                for line in lines:
                    word, _, rest = line.rstrip("\n").partition(" ")
                    self.seen[rest.partition(" ")[0]] = word
        except FileNotFoundError:
            pass
        self.file = open(path, "a", buffering=1, encoding="utf-8")
        for name, word in self.seen.items():
            if word == "start":
                self.say("hang", name, f"not done after {seconds:g} s, or the interpreter died")

    def say(self, word, name="", why=""):
        self.file.write(" ".join([word, name, *why.split()]).rstrip() + "\n")

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
    return test.id().replace(" ", "_")


def without(suite, names):
    kept = unittest.TestSuite()
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            kept.addTest(without(test, names))
        elif name_of(test) not in names:
            kept.addTest(test)
    return kept


def main():
    path, seconds, name = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    from test import support

    support.use_resources = ["network"] if name in NETWORKED else []
    support.verbose = False
    results = Results(path, seconds)
    module = name if name.startswith("test.test_asyncio") else ".".join(name.split(".")[:2])
    try:
        importlib.import_module(module)
    except unittest.SkipTest as reason:
        results.say("skip", module, str(reason))
    else:
        suite = unittest.TestLoader().loadTestsFromName(name)
        without(suite, results.seen).run(results)
    results.say("end")


if __name__ == "__main__":
    main()
