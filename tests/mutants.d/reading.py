"""The list of mutants, and the reasons of those that nobody notices: what stands in this folder."""

import hashlib
import pathlib

LIST = pathlib.Path(__file__).resolve().parent


class Mistake(Exception):
    """Something is wrong with the list, or with the tree."""


def digest_of(texts):
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text)
    return digest.hexdigest()[:16]


class Mutant:
    """A mutant's place in the list, and what it changes."""

    def __init__(self, name, where):
        self.name, self.where = name, where
        self.file = self.sees = ""
        self.old, self.new = [], []
        self.text = self.digest = ""

    def apply(self, root):
        """Makes the file's text with the mistake. The old one must stand there exactly once."""
        path = root / self.file
        text = path.read_text() if path.is_file() else ""
        old, new = "".join(self.old), "".join(self.new)
        found = text.count(old) if old.strip() else 0
        if found != 1 or not self.sees or old == new:
            raise Mistake(f"{self.where}: {self.name}: the old text stands {found} times in "
                          f"'{self.file}'" if found != 1 else f"{self.where}: {self.name}: "
                          "it changes nothing, or does not say what a user sees")
        self.text = text.replace(old, new)
        self.digest = digest_of([self.text.encode()])


def read_file(path):
    """MUTANT lines, then FILE and SEES, then what stands between <<<<, ==== and >>>>."""
    part = None
    for number, line in enumerate(path.read_text().splitlines(keepends=True), 1):
        word, _, rest = line.strip().partition(" ")
        if part is None and word == "mutant":
            mutant = Mutant(rest, f"{path.name}:{number}")
            yield mutant
        elif part is None and word in ("file", "sees"):
            setattr(mutant, word, rest)
        elif line.strip() == "<<<<":
            part = mutant.old
        elif line.strip() == "====":
            part = mutant.new
        elif line.strip() == ">>>>":
            part = None
        elif part is not None:
            part.append(line)
        elif word and not word.startswith("#"):
            raise Mistake(f"{path.name}:{number}: what is this?")


def read_list():
    mutants = [m for path in sorted(LIST.glob("*.mutants")) for m in read_file(path)]
    names = [m.name for m in mutants]
    for name in names:
        if names.count(name) > 1:
            raise Mistake(f"there are two mutants '{name}'")
    return mutants


def read_survivors():
    """NAME: REASON, a line each; a line that is indented goes on with the reason."""
    reasons = {}
    path = LIST / "survivors"
    for line in path.read_text().splitlines() if path.is_file() else []:
        if line[:1].isspace() and reasons:
            reasons[list(reasons)[-1]] += " " + line.strip()
        elif line and not line.startswith("#"):
            name, _, reason = line.partition(":")
            reasons[name] = reason.strip()
    return reasons
