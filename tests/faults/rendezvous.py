"""The rendezvous from a stranger's side: its name, and what a false leader hands over."""

from __future__ import annotations

import array
import fcntl
import os
import re
import socket
import struct
from pathlib import Path

HEADERS = Path(__file__).resolve().parents[2] / "exporter"
REGION_BYTES = 512 * 16 * 1024
SEALS = 1 | 2 | 4  # F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW
F_ADD_SEALS = 1033
MESSAGE_MAGIC = 0x6567617373656D70
WELCOME = 1


def layout_version() -> int:
    text = (HEADERS / "sample" / "sample.h").read_text()
    return int(re.search(r"kLayoutVersion = (\d+)", text)[1])


def name(port: int, user: int) -> bytes:
    return f"\0pymalloc_exporter/{layout_version()}/{user}/127.0.0.1:{port}".encode()


def seqpacket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def false_region() -> int:
    """A memfd with size and seals as ours, and noise inside."""
    region = os.memfd_create("false", os.MFD_ALLOW_SEALING)
    os.write(region, os.urandom(REGION_BYTES))
    fcntl.fcntl(region, F_ADD_SEALS, SEALS)
    return region


def welcome(link: socket.socket, region: int) -> None:
    # As struct Message in exporter/region/rendezvous.h; 4 bytes of padding at its end.
    head = (MESSAGE_MAGIC, layout_version(), WELCOME, 1, 1, 0, 0, 0, -1)
    message = struct.pack("=QIIQQQQQqQqI4x", *head, 0, 0, 0)
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [region]))
    link.sendmsg([message], [rights])
