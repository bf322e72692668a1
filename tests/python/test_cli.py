"""The command: what it sets, what it refuses, and that the program runs as without it."""

import os
import shlex
import subprocess
import sys

import pytest
from starting import BOOTSTRAP, PACKAGE, environment

# As the installed script does it; PYTHONPATH stays free for the tests.
SCRIPT = (
    f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r});"
    "from pymalloc_exporter.cli import main; sys.exit(main())"
)
COMMAND = (sys.executable, "-c", SCRIPT)
NAMES = ("LISTEN", "APP", "INTERVAL", "SLOW_INTERVAL", "SLOW_CPU", "DETAIL")


def start(*command, base=None, **variables):
    return subprocess.run(
        command,
        env={**(environment() if base is None else base), **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def call(*arguments, **variables):
    return start(*COMMAND, *arguments, **variables)


def environment_from_run(*flags, **variables):
    """What the command finds in its environment."""
    done = call("run", *flags, "--", "env", "-0", **variables)
    assert (done.stderr, done.returncode) == ("", 0)
    return dict(entry.split("=", 1) for entry in done.stdout.split("\0") if entry)


def settings_from_run(*flags, **variables):
    found = environment_from_run(*flags, **variables)
    return tuple(found.get(f"PYMALLOC_EXPORTER_{name}") for name in NAMES)


# What the command is given.

GIVEN = {
    "PYMALLOC_EXPORTER_LISTEN": "127.0.0.1:1000",
    "PYMALLOC_EXPORTER_APP": "given",
    "PYMALLOC_EXPORTER_INTERVAL": "1",
    "PYMALLOC_EXPORTER_SLOW_INTERVAL": "30",
    "PYMALLOC_EXPORTER_SLOW_CPU": "3",
    "PYMALLOC_EXPORTER_DETAIL": "full",
}


def test_run_sets_address_and_app():
    assert settings_from_run() == ("127.0.0.1:9512", "env", None, None, None, None)


def test_environment_wins_over_defaults():
    assert settings_from_run(**GIVEN) == ("127.0.0.1:1000", "given", "1", "30", "3", "full")


def test_flags_win_over_the_environment():
    flags = ("--listen", "[::1]:2000", "--app=my shop", "--interval", "2")
    more = ("--slow-interval", "90", "--slow-cpu", "4", "--detail", "default")
    expected = ("[::1]:2000", "my shop", "2", "90", "4", "default")
    assert settings_from_run(*flags, *more, **GIVEN) == expected


def test_flags_enable_remedies():
    names = ("ENABLE_ADMIN_API", "AUTO_TRIM")
    for flag, value in (("--enable-admin-api", "on"), ("--enable-admin-api-for-all", "all")):
        found = environment_from_run(flag, "--auto-trim", "256MiB")
        assert [found.get(f"PYMALLOC_EXPORTER_{name}") for name in names] == [value, "256MiB"]
    found = environment_from_run()
    assert [found.get(f"PYMALLOC_EXPORTER_{name}") for name in names] == [None, None]


def test_empty_variables_count_as_not_given():
    found = settings_from_run(**dict.fromkeys(GIVEN, ""))
    assert found == ("127.0.0.1:9512", "env", "", "", "", "")


def test_off_stays_off():
    assert settings_from_run(PYMALLOC_EXPORTER_LISTEN="off")[0] == "off"


def test_flag_stands_in_for_a_bad_variable():
    assert settings_from_run("--interval", "2", PYMALLOC_EXPORTER_INTERVAL="often")[2] == "2"


# An empty entry means the current folder, but an empty variable means nothing.
@pytest.mark.parametrize("given", [None, "", "/a:/b", "/a:", ":/a", f"/a:{BOOTSTRAP}:/b"])
def test_folder_is_first_on_the_path_once(given):
    others = (given or "").replace(f":{BOOTSTRAP}", "")
    expected = f"{BOOTSTRAP}:{others}" if given else str(BOOTSTRAP)
    variables = {} if given is None else {"PYTHONPATH": given}
    assert environment_from_run(**variables)["PYTHONPATH"] == expected


def test_nested_run_is_one_run():
    inner = (*COMMAND, "run", "--interval", "2", "--", "env", "-0")
    done = call("run", "--app", "outer", "--interval", "1", "--listen", "off", "--", *inner)
    found = dict(entry.split("=", 1) for entry in done.stdout.split("\0") if entry)
    assert found["PYTHONPATH"] == str(BOOTSTRAP)
    assert found["PYMALLOC_EXPORTER_APP"] == "outer"
    assert found["PYMALLOC_EXPORTER_INTERVAL"] == "2"


def test_run_loads_the_exporter(free_port):
    code = "import sys; print('pymalloc_exporter._native' in sys.modules)"
    done = call("run", "--listen", f"127.0.0.1:{free_port}", "--", sys.executable, "-c", code)
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


# The command runs as without us.

ARGUMENTS = ("", " a  b ", "'\"$HOME\\", "*", "--", "--app", "x", "--listen=y", "-h", "--", "ü\n")


@pytest.mark.parametrize("dashes", [["--"], []])
def test_arguments_arrive_as_they_were_given(dashes):
    show = (sys.executable, "-c", "import sys; print(ascii(sys.argv[1:]))")
    done = call("run", "--listen", "off", *dashes, *show, *ARGUMENTS)
    assert (done.stdout, done.returncode) == (ascii(list(ARGUMENTS)) + "\n", 0)


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -TERM $$", -15)])
def test_status_is_the_commands(script, status):
    assert call("run", "--", "sh", "-c", script).returncode == status


def test_process_is_the_same():
    with subprocess.Popen(
        [*COMMAND, "run", "--", "sh", "-c", "echo $$"],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.communicate(timeout=60)[0] == f"{process.pid}\n"


OURS = ("PYTHONPATH", "PYMALLOC_EXPORTER_LISTEN", "PYMALLOC_EXPORTER_APP")


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C"}, {"LC_CTYPE": "C"}, {"LANG": "C.UTF-8"}])
def test_environment_is_as_without_but_for_ours(locale):
    bare = {"PATH": os.environ["PATH"], "UNUSUAL": "a=b\nc", **locale}
    done = start(*COMMAND, "run", "--", "env", "-0", base=bare)
    found = [entry for entry in done.stdout.split("\0") if not entry.startswith(OURS)]
    assert sorted(found) == sorted(start("env", "-0", base=bare).stdout.split("\0"))


def test_signals_and_descriptors_are_as_without():
    # Named in full: by this subprocess chooses the system call that starts it.
    look = (
        "/bin/sh",
        "-c",
        "grep -E '^(Sig|Shd)(Blk|Ign|Cgt)' /proc/self/status; ls /proc/self/fd",
    )
    assert call("run", "--", *look).stdout == start(*look).stdout


# Refusals.

BAD = (
    ("LISTEN", "127.0.0.1:0", "HOST:PORT"),
    ("LISTEN", "example.org:9512", "HOST:PORT"),
    ("APP", "x" * 64, "63 bytes"),
    ("INTERVAL", "0", "0.001 to 3600"),
    ("INTERVAL", "nan", "0.001 to 3600"),
    ("DETAIL", "more", "default or full"),
)


def assert_refused(done, *parts):
    assert (done.stdout, done.returncode) == ("", 2)
    (line,) = done.stderr.splitlines()
    for part in ("pymalloc-exporter run: ", *parts):
        assert part in line


@pytest.mark.parametrize(("name", "value", "allowed"), BAD)
def test_bad_flag_is_refused(name, value, allowed):
    flag = f"--{name.lower()}"
    done = call("run", flag, value, "--", "echo", "has run")
    assert_refused(done, flag, repr(value), allowed)


@pytest.mark.parametrize(("name", "value", "allowed"), BAD)
def test_bad_variable_is_refused(name, value, allowed):
    variable = f"PYMALLOC_EXPORTER_{name}"
    done = call("run", "--", "echo", "has run", **{variable: value})
    assert_refused(done, variable, repr(value), allowed)


@pytest.mark.parametrize("flag", ["--listen", "--app", "--interval", "--detail"])
def test_empty_flag_is_refused(flag):
    assert_refused(call("run", flag, "", "--", "echo", "has run"), flag, "''")


@pytest.mark.parametrize("arguments", [["run"], ["run", "--"], ["run", "--app", "x", "--"]])
def test_run_without_a_command_is_refused(arguments):
    assert_refused(call(*arguments), "no command")


@pytest.mark.parametrize(
    "arguments", [[], ["walk"], ["run", "--app"], ["run", "--colour", "--", "echo"], ["--app", "x"]]
)
def test_unknown_and_incomplete_arguments_are_refused(arguments):
    done = call(*arguments)
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr.startswith("usage: pymalloc-exporter")


# Commands that cannot be run, as a shell has it.


def assert_not_run(command, status, reason, **variables):
    done = call("run", "--", command, **variables)
    line = f"pymalloc-exporter run: {command}: {reason}\n"
    assert (done.stdout, done.stderr, done.returncode) == ("", line, status)


@pytest.mark.parametrize(
    "command", ["not-there-at-all", "/not/there", "./not-there", "/dev/null/x"]
)
def test_command_that_is_not_there(command):
    assert_not_run(command, 127, "command not found")


def test_command_that_is_not_there_on_a_path_with_odd_entries(tmp_path):
    (tmp_path / "file").touch()
    path = f"{tmp_path}/not-there:{tmp_path}/file:{os.environ['PATH']}:{tmp_path}/file"
    assert_not_run("not-there-at-all", 127, "command not found", PATH=path)


def test_command_that_is_not_executable(tmp_path):
    (tmp_path / "program").write_text("#!/bin/sh\n")
    assert_not_run(str(tmp_path / "program"), 126, "Permission denied")
    assert_not_run("program", 126, "Permission denied", PATH=str(tmp_path))
    assert_not_run(str(tmp_path), 126, "Permission denied")


def test_command_that_is_no_program(tmp_path):
    (tmp_path / "program").write_bytes(b"\x7fELF, or so it says")
    (tmp_path / "program").chmod(0o755)
    assert_not_run(str(tmp_path / "program"), 126, "Exec format error")


# The rest.


def test_path_is_the_folder_with_sitecustomize():
    done = call("path")
    assert (done.stdout, done.stderr, done.returncode) == (f"{BOOTSTRAP}\n", "", 0)
    assert (BOOTSTRAP / "sitecustomize.py").is_file()


def test_version_is_that_of_the_native_part():
    from pymalloc_exporter import _native

    done = call("--version")
    assert (done.stdout, done.returncode) == (f"pymalloc-exporter {_native.__version__}\n", 0)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_has_examples_that_are_right(arguments):
    done = call(*arguments)
    assert (done.stderr, done.returncode) == ("", 0)
    examples = [line for line in done.stdout.splitlines() if line.startswith("  pymalloc-exp")]
    assert len(examples) == 2
    for example in examples:
        # The example, but for the program that it starts.
        before, _, _ = example.partition(" -- ")
        assert call(*shlex.split(before)[1:], "--", "true").returncode == 0


def test_module_is_the_same_command():
    module = start(
        sys.executable, "-m", "pymalloc_exporter", "--help", PYTHONPATH=str(PACKAGE.parent)
    )
    assert (module.stdout, module.returncode) == (call("--help").stdout, 0)
