"""Loading through a .pth file, for interpreters that read no PYTHONPATH."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from starting import BOOTSTRAP, IS_LOADED, PACKAGE, environment

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.fixture(scope="module")
def line():
    """The one that the README gives."""
    return re.search(r"echo '(.+)' > .*\.pth", README.read_text())[1]


@pytest.fixture(scope="module")
def python(line, tmp_path_factory):
    """An interpreter with an environment of its own, where that line is in a .pth file."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "pymalloc_exporter.pth").write_text(f"{PACKAGE.parent}\n{line}\n")
    return folder / "bin" / "python"


def run(python, *options, path=(), **variables):
    return subprocess.run(
        [str(python), *options, "-c", IS_LOADED],
        env=environment(*path, **variables),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("options", [(), ("-I",), ("-E",)])
def test_is_loaded_where_the_environment_asks(python, options, free_port):
    done = run(python, *options, PYMALLOC_EXPORTER_LISTEN=f"127.0.0.1:{free_port}")
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


@pytest.mark.parametrize("variables", [{}, {"PYMALLOC_EXPORTER_LISTEN": "off"}])
def test_is_inert_otherwise(python, variables):
    done = run(python, "-I", **variables)
    assert (done.stdout, done.stderr, done.returncode) == ("False\n", "", 0)


def test_is_loaded_once_beside_sitecustomize(python, free_port):
    listen = {"PYMALLOC_EXPORTER_LISTEN": f"127.0.0.1:{free_port}"}
    done = run(python, path=[BOOTSTRAP], **listen)
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


def test_a_failure_is_one_line(python):
    done = run(python, "-I", PYMALLOC_EXPORTER_LISTEN="nonsense")
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("pymalloc_exporter: PYMALLOC_EXPORTER_LISTEN")
