"""Runs a program that has tests in it, and writes what became of each (results.py).

    python3 -I program.py RESULTS SECONDS NAME FOLDER

NAME is a row of SUITES; FOLDER holds what `obtain` made. A program that says nothing for longer than SECONDS is killed. One that
dies is started again, without the tests that it has run, where it can be told which to run.
"""

import os
import re
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from results import Results  # noqa: E402


class Go:
    """What `go test -c` makes of a package; it runs in the package's folder."""

    # They ask servers on the Internet for minutes, or run the compiler.
    LEFT_OUT = {
        "TestLookupCNAME",
        "TestLookupGmailMX",
        "TestLookupGmailNS",
        "TestLookupGmailTXT",
        "TestLookupGoogleSRV",
        "TestOmitHTTP2",
        "TestOmitHTTP2Vet",
    }
    CAN_LEAVE_OUT = True
    WORD = {"PASS": "ok", "FAIL": "fail", "SKIP": "skip"}

    def __init__(self, name, folder):
        self.program = os.path.join(folder, name.replace("/", "-") + ".test")
        os.chdir(os.path.join(folder, "src", name))
        listed = subprocess.run([self.program, "-test.list", "^Test"], capture_output=True, text=True, check=True)
        self.left = [test for test in listed.stdout.split() if test not in self.LEFT_OUT]

    def command(self, done):
        """Runs what is left; None: nothing is."""
        self.left = [test for test in self.left if test not in done]
        pattern = "^(" + "|".join(self.left) + ")$"
        return [self.program, "-test.v", "-test.timeout=0", "-test.run", pattern] if self.left else None

    def read(self, line):
        """A word of results.py, or `pause`, with the test and why."""
        if match := re.match(r"=== (RUN|CONT|PAUSE) +(\S+)", line):
            return ("pause" if match[1] == "PAUSE" else "start", match[2], "")
        if match := re.search(r"--- (PASS|FAIL|SKIP): (\S+) \(", line):
            return (self.WORD[match[1]], match[2], "")
        return None


class Tap:
    """libuv's: all of it at once, in the form of TAP; each test is a process of its own."""

    CAN_LEAVE_OUT = False

    def __init__(self, name, folder):
        self.program = os.path.join(folder, "uv_run_tests_a")
        if not os.path.islink("test"):
            os.symlink(os.path.join(folder, "test"), "test")
        # As Debian's rules have them.
        os.environ.update(RES_OPTIONS="attempts:0", UV_TEST_TIMEOUT_MULTIPLIER="2")

    def command(self, done):
        return None if done else [self.program]

    def read(self, line):
        if match := re.match(r"(ok|not ok) \d+ - (\S+)(?: # SKIP (.*))?", line):
            word = "fail" if match[1] == "not ok" else "ok" if match[3] is None else "skip"
            return (word, match[2], match[3] or "")
        return None


SUITES = {"net": Go, "net/http": Go, "libuv": Tap}


def run(suite, command, seconds, say):
    """Runs a program to its end; gives the tests that it has run."""
    done, running = set(), set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as program:
        for line in watched(program, seconds):
            sys.stderr.write(line)
            word, test, why = suite.read(line) or ("", "", "")
            if word == "start":
                running.add(test)
            elif word:
                running.discard(test)
            if word in ("ok", "fail", "skip"):
                say(word, test, why)
                done.add(test)
    for test in running:
        say("hang", test, f"it said nothing for {seconds:g} s, or its program died")
    return done | running


def watched(program, seconds):
    """The lines of a program, which is killed when none comes for a time."""
    while True:
        timer = threading.Timer(seconds, program.kill)
        timer.start()
        line = program.stdout.readline()
        timer.cancel()
        if not line:
            return
        yield line


def main():
    path, seconds, name, folder = sys.argv[1:]
    results = Results(path)
    suite = SUITES[name](name, folder)
    done = {test.removeprefix(f"{name}.") for test in results.seen} if suite.CAN_LEAVE_OUT else set()
    while command := suite.command(done):
        ran = run(suite, command, float(seconds), lambda word, test, why: results.say(word, f"{name}.{test}", why))
        if not ran:
            sys.exit(f"{command[0]} ran nothing")
        done |= ran
    results.say("end")


if __name__ == "__main__":
    main()
