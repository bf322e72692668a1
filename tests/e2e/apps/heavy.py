"""hello, with 200 MB that workers share with a master that preloads."""

from hello import application

BLOCK_BYTES = 450

kept = [bytes(BLOCK_BYTES) for _ in range(200_000_000 // (BLOCK_BYTES + 48))]

__all__ = ["application", "kept"]
