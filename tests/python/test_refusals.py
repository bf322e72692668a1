"""What is refused or broken is one line on standard error, and the application goes on."""

import os
import shutil
import subprocess
import sys

import pytest
from starting import (
    BOOTSTRAP,
    EXTENSION,
    IS_LOADED,
    copy_package,
    environment,
    foreign_interpreters,
    lines_of_ours,
    python,
)

BAD = {"PYMALLOC_EXPORTER_LISTEN": "nonsense"}
FOREIGN = foreign_interpreters()


@pytest.mark.skipif(not FOREIGN, reason="no interpreter found that it is not built for")
@pytest.mark.parametrize("version", sorted(FOREIGN))
def test_refuses_an_interpreter_it_was_not_built_for(version, users, listen):
    own = users("import sys; sys.stdout.write('users own ')")
    code = "import sys; print('pymalloc_exporter' in sys.modules)"
    done = python(code, BOOTSTRAP, own, executable=FOREIGN[version], **listen)
    assert (done.stdout, done.returncode) == ("users own False\n", 0)
    (line,) = lines_of_ours(done)
    assert "not built for" in line
    assert version in line


def garbage(extension):
    extension.write_bytes(b"garbage" * 1000)


def empty(extension):
    extension.write_bytes(b"")


def missing(extension):
    extension.unlink()


def folder(extension):
    extension.unlink()
    extension.mkdir()


def dangling_link(extension):
    extension.unlink()
    extension.symlink_to("nowhere")


def of_no_module(extension):
    """A library, but with nothing of Python's in it."""
    with open("/proc/self/maps") as file:
        maps = file.read().split()
    library = next(name for name in maps if name.rpartition("/")[2].startswith("libc."))
    shutil.copy(library, extension)


@pytest.mark.parametrize(
    "damage",
    [garbage, empty, missing, folder, dangling_link, of_no_module],
    ids=lambda f: f.__name__,
)
def test_broken_extension_is_one_line(damage, tmp_path, listen):
    bootstrap = copy_package(tmp_path)
    damage(bootstrap.parent / EXTENSION)
    done = python("import sys; print('pymalloc_exporter' in sys.modules)", bootstrap, **listen)
    assert (done.stdout, done.returncode) == ("False\n", 0)
    (line,) = lines_of_ours(done)
    assert line.startswith("pymalloc_exporter: off: ")


def test_line_is_one_line_whatever_its_text(tmp_path, listen):
    bootstrap = copy_package(tmp_path / "two\nlines")
    garbage(bootstrap.parent / EXTENSION)
    (line,) = lines_of_ours(python("", bootstrap, **listen))
    assert "two lines" in line


def test_unreadable_extension_is_one_line(tmp_path, listen):
    bootstrap = copy_package(tmp_path)
    (bootstrap.parent / EXTENSION).chmod(0)
    # Root reads everything, unless it gives up that right.
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    if drop and not shutil.which("setpriv"):
        pytest.skip("root, and no setpriv to give up root's right to read everything")
    done = subprocess.run(
        [*drop, sys.executable, "-c", "print('application')"],
        env=environment(bootstrap, **listen),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("application\n", 0)
    (line,) = lines_of_ours(done)
    assert "Permission denied" in line


@pytest.mark.parametrize("name", ["__init__.py", "config.py"])
@pytest.mark.parametrize("content", ["not Python", "1 / 0"])
def test_broken_package_is_one_line(name, content, tmp_path, listen):
    bootstrap = copy_package(tmp_path)
    (bootstrap.parent / name).write_text(content)
    done = python("print('application')", bootstrap, **listen)
    assert (done.stdout, done.returncode) == ("application\n", 0)
    (line,) = lines_of_ours(done)
    assert line.startswith("pymalloc_exporter: off: ")


def test_bad_value_is_one_line():
    done = python(IS_LOADED, BOOTSTRAP, **BAD)
    assert (done.stdout, done.returncode) == ("True\n", 0)
    (line,) = lines_of_ours(done)
    for part in ("PYMALLOC_EXPORTER_LISTEN", "'nonsense'", "HOST:PORT", "; off"):
        assert part in line


# Where the line cannot be written.


def shell(redirection, *path):
    """An application with a bad value, its standard error redirected by a shell."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-c", "print('done')"],
        env=environment(BOOTSTRAP, *path, **BAD),
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "2>/dev/null", "2</dev/null"])
def test_standard_error_that_takes_nothing_is_harmless(redirection):
    done = shell(redirection)
    assert (done.stdout, done.returncode) == ("done\n", 0)


def test_line_does_not_go_into_a_file_that_has_the_number_of_a_closed_standard_error(
    users, tmp_path
):
    file = str(tmp_path / "file")
    own = users(f"import sys; sys.kept = open({file!r}, 'w'); assert sys.kept.fileno() == 2")
    assert shell("2>&-", own).returncode == 0
    assert (tmp_path / "file").read_text() == ""


@pytest.fixture
def pipe():
    read_end, write_end = os.pipe()
    with open(read_end, "rb", 0) as reader, open(write_end, "wb", 0) as writer:
        yield reader, writer


def fill(writer):
    os.set_blocking(writer.fileno(), False)
    while writer.write(b"x" * 65536) is not None:
        pass
    os.set_blocking(writer.fileno(), True)


@pytest.mark.parametrize("reader_is", ["gone", "asleep"])
def test_pipe_that_nobody_reads_is_harmless(reader_is, pipe):
    reader, writer = pipe
    if reader_is == "gone":
        reader.close()
    else:
        fill(writer)
    done = subprocess.run(
        [sys.executable, "-c", "print('done')"],
        env=environment(BOOTSTRAP, **BAD),
        stdout=subprocess.PIPE,
        stderr=writer,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("done\n", 0)
