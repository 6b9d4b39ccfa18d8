"""What became of each test of a suite: a file of lines that can be gone on with.

Each test appends `start TEST`, and when it is done `ok TEST`, `fail TEST WHY` or `skip TEST WHY`; `end` closes them. Whoever
finds no `end` runs the suite again: tests that the file names are left out then, and those that only started are told as `hang`.
"""


class Results:
    """Results of one suite."""

    def __init__(self, path):
        self.seen = {}
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
                self.say("hang", name, "it took too long, or its program died")

    def say(self, word, name="", why=""):
        line = " ".join([word, name, *why.split()]).rstrip()
        self.file.write(line.encode("utf-8", "backslashreplace").decode() + "\n")
