"""The shape of the source: includes point downward only, and no file grows too large."""

import pathlib
import re

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src"
LAYERS = ["base", "net", "relay", "config", "session", "app", "cli"]  # bottom up
SYSTEMS = {"linux", "windows"}
MOST_LINES = 500

FILES = sorted([*SOURCE.rglob("*.c"), *SOURCE.rglob("*.h")])


def layer_of(path):
    return path.relative_to(SOURCE).parts[0]


def system_of(path):
    """linux or windows for what stands in such a folder, else None."""
    return next((part for part in path.relative_to(SOURCE).parts if part in SYSTEMS), None)


def includes_of(path):
    """(line, text) of each include of our own."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if match:
            yield number, match[1]


def resolve(path, text):
    """The files that an include may mean: one, or one per system for a portable file."""
    if "/" in text:
        candidates = [SOURCE / text]
    else:
        systems = {system_of(path)} if system_of(path) else SYSTEMS
        candidates = [path.parent / text, *(SOURCE / "net" / system / text for system in systems)]
    return [candidate for candidate in candidates if candidate.is_file()]


def each_include():
    for path in FILES:
        for number, text in includes_of(path):
            yield path, f"{path.relative_to(SOURCE)}:{number} includes {text}", resolve(path, text)


def test_there_is_something_to_look_at():
    assert {layer_of(path) for path in FILES} == set(LAYERS)
    assert sum(1 for _ in each_include()) > len(FILES)


def test_every_include_is_found():
    missing = [where for path, where, found in each_include() if not found]
    assert missing == []


def test_includes_point_downward_only():
    upward = [
        where
        for path, where, found in each_include()
        for target in found
        if LAYERS.index(layer_of(target)) > LAYERS.index(layer_of(path))
    ]
    assert upward == []


def test_portable_files_include_no_systems_by_name():
    """What a system has is reached through a common header, or by a bare name."""
    crossing = []
    for path in FILES:
        for number, text in includes_of(path):
            named = SYSTEMS.intersection(text.split("/"))
            if named and named != {system_of(path)}:
                crossing.append(f"{path.relative_to(SOURCE)}:{number} includes {text}")
    assert crossing == []


def test_one_file_asks_which_system_it_is():
    asking = [
        str(path.relative_to(SOURCE))
        for path in FILES
        if re.search(r"^\s*#\s*(if|ifdef|ifndef|elif)\b.*\b_WIN32\b", path.read_text(), re.M)
    ]
    assert len(asking) <= 1, asking


def test_no_file_is_too_long():
    long = [
        (str(path.relative_to(SOURCE)), lines)
        for path in FILES
        if (lines := len(path.read_text().splitlines())) > MOST_LINES
    ]
    assert long == []
