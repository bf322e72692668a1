"""Fixtures of the tests that run under every interpreter."""

import socket

import pytest


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def listen(free_port):
    """The variable that asks for the exporter, with a free port."""
    return {"PYMALLOC_EXPORTER_LISTEN": f"127.0.0.1:{free_port}"}


@pytest.fixture
def users(tmp_path):
    """Writes a sitecustomize of the user's; returns its folder."""

    def write(code):
        folder = tmp_path / "users"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(code)
        return folder

    return write
