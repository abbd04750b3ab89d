import pytest

from harness import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)
