"""What strace saw of the exporter's threads: which descriptors they used, and whose."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What a thread does first that takes a table of its own: close_range(0, ~0, UNSHARE).
OWN_TABLE = re.compile(r"close_range\(0, 4294967295, CLOSE_RANGE_UNSHARE\) += 0")
LINE = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed>)(.*)$")
MADE = re.compile(r"= (\d+)(?:<.*)?$")

# Calls that give a number, and those that give a pair.
MAKERS = {"openat", "open", "socket", "accept", "accept4", "memfd_create", "signalfd4"}
MAKERS |= {"pidfd_open", "pidfd_getfd", "dup", "eventfd2", "epoll_create1"}
USERS = {"close", "read", "write", "pread64", "pwrite64", "bind", "listen", "connect", "fstat"}
USERS |= {"getsockopt", "setsockopt", "getsockname", "shutdown", "ftruncate", "fallocate"}
USERS |= {"recvmsg", "sendmsg", "sendto", "recvfrom", "writev", "readv", "fcntl", "getdents64"}


class Tables:
    """Follows the tables; `foreign` are the uses of what a table does not hold."""

    def __init__(self) -> None:
        self.table: dict[int, set[int]] = {}  # by thread; threads share one
        self.foreign: list[str] = []
        self.uses = 0
        self._began: dict[tuple[int, str], str] = {}

    def read(self, lines: Iterable[str]) -> Tables:
        for line in lines:
            match = LINE.match(line)
            if match:
                self._call(int(match[1]), match[2], match[3], line)
        return self

    def _call(self, thread: int, call: str, rest: str, line: str) -> None:
        if rest.endswith("<unfinished ...>"):
            self._began[thread, call] = rest[: -len("<unfinished ...>")]
            return
        rest = (self._began.pop((thread, call), "") + rest).lstrip()
        if call == "close_range" and OWN_TABLE.search(f"{call}({rest}"):
            self.table[thread] = set()
            return
        table = self.table.get(thread)
        if table is None:
            return
        result = MADE.search(rest)
        if call in ("clone", "clone3") and result:
            if "CLONE_FILES" in rest:
                self.table[int(result[1])] = table
        elif call in MAKERS and result:
            table.add(int(result[1]))
        elif call == "pipe2" and (pair := re.match(r"\[(\d+), (\d+)\]", rest)):
            table.update(map(int, pair.groups()))
        elif call in USERS:
            self._use(table, call, rest, line, result)

    def _use(
        self, table: set[int], call: str, rest: str, line: str, result: re.Match[str] | None
    ) -> None:
        number = re.match(r"(\d+)", rest)
        if number is None:
            return
        self.uses += 1
        # Looking for one's own listener tries each number; none but sockets are shut down.
        looks = call == "getsockopt" and "SO_ACCEPTCONN" in rest and result is None
        if int(number[1]) not in table and not looks:
            self.foreign.append(line)
        if call == "close":
            table.discard(int(number[1]))
        if call == "fcntl" and "F_DUPFD" in rest and result:
            table.add(int(result[1]))
        for passed in re.findall(r"cmsg_data=\[([\d, ]+)\]", rest) if call == "recvmsg" else ():
            table.update(int(one) for one in passed.split(","))
