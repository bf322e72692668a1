"""The exporter is loaded at interpreter start, or it is as if it were not there."""

import venv

import pytest
from starting import BOOTSTRAP, EXTENSION, IS_LOADED, PACKAGE, copy_package, lines_of_ours, python

# What an application could see of a guest.
LOOK = """
import os, sys
print(sorted(sys.modules))
print(sys.path)
print(len(os.listdir("/proc/self/fd")), os.environ.get("LC_CTYPE"), sys.exc_info())
import gc, signal, threading
print(len(threading.enumerate()), gc.get_count()[2], signal.getsignal(signal.SIGINT))
"""

OFF = ({}, {"PYMALLOC_EXPORTER_LISTEN": ""}, {"PYMALLOC_EXPORTER_LISTEN": "off"})
BAD = {"PYMALLOC_EXPORTER_LISTEN": "nonsense"}


def seen(done):
    return done.stdout, done.stderr, done.returncode


# Inert.


@pytest.mark.parametrize("variables", OFF, ids=str)
def test_is_not_there_when_it_is_not_asked_for(variables):
    assert seen(python(LOOK, BOOTSTRAP, **variables)) == seen(python(LOOK))


@pytest.mark.parametrize("option", ["-I", "-E", "-S"])
def test_is_not_there_when_the_interpreter_is_told_to_ignore_it(option):
    done = python(IS_LOADED, BOOTSTRAP, options=(option,), **BAD)
    assert seen(done) == ("False\n", "", 0)


def test_stays_short():
    assert len((BOOTSTRAP / "sitecustomize.py").read_text().splitlines()) <= 30


# Loaded.


def test_adds_its_own_modules_and_nothing_else(listen):
    # A debug build looks the codec up for the name of every extension.
    code = "import sys; 'name'.encode('ascii'); print(*sorted(sys.modules))"
    loaded = python(code, BOOTSTRAP, **listen)
    added = set(loaded.stdout.split()) - set(python(code).stdout.split())
    names = ("pymalloc_exporter", "pymalloc_exporter._native", "pymalloc_exporter.config")
    assert (sorted(added), loaded.stderr) == (sorted(names), "")


def test_what_a_start_does_not_need_is_made_when_it_is_asked_for(listen):
    code = """
import sys
native = sys.modules["pymalloc_exporter._native"]
start = set(vars(native))
print(hasattr(native, "trim"), hasattr(native, "no_such_thing"), hasattr(native, "__path__"))
print(set(vars(native)) - start, native.census()["blocks"] > 0)
"""
    done = python(code, BOOTSTRAP, **listen)
    assert seen(done) == ("True False False\n{'_on_demand'} True\n", "", 0)


def test_application_sees_the_rest_as_without(listen):
    code = LOOK.replace("print(sorted(sys.modules))", "")
    assert seen(python(code, BOOTSTRAP, **listen)) == seen(python(code))


def test_has_nothing_to_warn_of(listen):
    done = python(IS_LOADED, BOOTSTRAP, options=("-W", "error", "-X", "dev", "-bb"), **listen)
    assert seen(done) == ("True\n", "", 0)


@pytest.mark.parametrize("spelling", ["{}/", "{}/../bootstrap", "/.{}"])
def test_path_is_as_without_however_the_folder_is_spelled(spelling, listen):
    code = "import sys; print(sys.path)"
    done = python(code, spelling.format(BOOTSTRAP), **listen)
    assert seen(done) == seen(python(code))


def test_loads_from_its_own_place_in_another_environment(tmp_path, listen):
    bootstrap = copy_package(tmp_path / "here")
    venv.create(tmp_path / "venv", symlinks=True)
    code = "import pymalloc_exporter; print(pymalloc_exporter.__file__)"
    done = python(code, bootstrap, executable=tmp_path / "venv/bin/python", **listen)
    assert seen(done) == (f"{bootstrap.parent / '__init__.py'}\n", "", 0)


def test_two_copies_on_the_path_are_loaded_once(tmp_path, listen):
    first, second = copy_package(tmp_path / "first"), copy_package(tmp_path / "second")
    code = "import sys; print([name for name in sys.modules if name.endswith('._native')])"
    done = python(code, first, second, **listen)
    assert seen(done) == ("['pymalloc_exporter._native']\n", "", 0)


def test_copy_for_another_interpreter_does_not_hide_the_right_one(tmp_path, listen):
    other = copy_package(tmp_path / "other")
    (other.parent / EXTENSION).unlink()
    done = python(IS_LOADED, BOOTSTRAP, other, **listen)
    assert done.stdout == "True\n"
    assert len(lines_of_ours(done)) == 1


SUB_INTERPRETER = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
for _ in range(2):
    new = interpreters.create()
    failure = interpreters.run_string(new, "import os; os.write(1, b'sub ')")
    assert failure is None, failure
    interpreters.destroy(new)
print("main")
"""


@pytest.mark.parametrize("good", [True, False])
def test_sub_interpreters_are_left_alone(good, listen):
    done = python(SUB_INTERPRETER, BOOTSTRAP, **(listen if good else BAD))
    assert (done.stdout, done.returncode) == ("sub sub main\n", 0)
    # The one line is the main interpreter's.
    assert len(lines_of_ours(done)) == (0 if good else 1)


def test_looks_for_a_name_find_nothing_in_a_sub_interpreter(listen):
    """Pickle looks for the module of what has none, in all of sys.modules."""
    look = """
import os, pickle, sys
def lost(): pass
lost.__module__ = None
native = sys.modules["pymalloc_exporter._native"]
found = [hasattr(native, name) for name in ("lost", "census", "__path__")]
found.append(len(pickle.dumps(lost)) > 0)
try:
    native.census()
except RuntimeError as error:
    found.append(str(error))
os.write(1, repr(found).encode() + bytes([10]))
"""
    code = SUB_INTERPRETER.replace("\"import os; os.write(1, b'sub ')\"", repr(look))
    done = python(code, BOOTSTRAP, **listen)
    why = "arenas cannot be looked at: this is a sub-interpreter"
    lines = [[False, True, False, True, why]] * 2
    assert done.stdout.splitlines() == [*map(repr, lines), "main"], done.stderr


# The user's own sitecustomize.


@pytest.mark.parametrize("on", [True, False])
def test_users_own_runs_first_and_remains(on, users, listen):
    own = users("import sys; print('users own', 'pymalloc_exporter' in sys.modules)")
    code = "import sitecustomize; print(sitecustomize.__file__)"
    done = python(code, BOOTSTRAP, own, **(listen if on else {}))
    assert seen(done) == (f"users own False\n{own / 'sitecustomize.py'}\n", "", 0)


def test_application_imports_the_sitecustomize_that_it_would_have_imported(listen):
    code = """
try:
    import sitecustomize
    print(sitecustomize.__file__)
except ImportError as error:
    print(repr(error), error.name)
"""
    assert seen(python(code, BOOTSTRAP, **listen)) == seen(python(code))


FAILURES = (
    "1 / 0",
    "import not_there_at_all",
    "raise ImportError('by hand')",
    "not Python",
    "raise SystemExit(3)",
    "raise KeyboardInterrupt",
)


@pytest.mark.parametrize("failure", FAILURES)
def test_users_own_fails_as_without(failure, users, listen):
    own = users(failure)
    without = python(IS_LOADED, own)
    done = python(IS_LOADED, BOOTSTRAP, own, **listen)
    if without.returncode == 0:
        assert seen(done) == (without.stdout.replace("False", "True"), without.stderr, 0)
    else:
        last = [run.stderr.splitlines()[-1:] for run in (done, without)]
        assert (done.returncode, last[0]) == (without.returncode, last[1])


def test_users_own_may_install_by_itself(users, listen):
    address = listen["PYMALLOC_EXPORTER_LISTEN"]
    own = users(f"import pymalloc_exporter; pymalloc_exporter.install({address!r})")
    assert seen(python(IS_LOADED, BOOTSTRAP, own, PACKAGE.parent, **listen)) == ("True\n", "", 0)
