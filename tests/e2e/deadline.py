"""Waiting: always for a condition, never longer than a deadline."""

import time

PATIENCE = 20  # seconds; only ever ends a hang


def eventually(condition, what="the condition"):
    """Polls until condition() is true, and returns what it gave."""
    end = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} has not come about"
        time.sleep(0.005)
