"""Programs under failing.c: which call fails, how many there were, and what is left on the heap."""
import contextlib
import ctypes
import mmap
import os
import random

from harness import path, shim

KINDS = ("malloc", "mmap", "open", "read", "thread")  # as enum kind there


def sample(total, most):
    """Numbers of calls: each if there are few, or about `most` of them, the first and the last."""
    step = 1 if total <= 2 * most else -(-total // most)
    return sorted({*range(1, total + 1, step), total}) if total else []


@contextlib.contextmanager
def named(name):
    """What fails here says so with this name before it."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{name}: {error}") from None


class Page(ctypes.Structure):
    """struct page of failing.c."""
    _fields_ = [("calls", ctypes.c_long * len(KINDS)), ("failing", ctypes.c_long * len(KINDS)),
                ("failed", ctypes.c_long * len(KINDS)), ("own_blocks", ctypes.c_long),
                ("own_bytes", ctypes.c_long), ("blocks", ctypes.c_long), ("bytes", ctypes.c_long),
                ("of_workers", ctypes.c_long), ("leaks", ctypes.c_long), ("ended", ctypes.c_long)]


class Interposer:
    """What one program under the shim shares with the test. `kind`'s call `number` fails (0: none)."""

    def __init__(self, kind="malloc", number=0):
        self.file = path(f"page-{random.getrandbits(48):012x}")
        with open(self.file, "wb+") as file:
            file.truncate(mmap.PAGESIZE)
            self.map = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.page = Page.from_buffer(self.map)
        self.environment = {"LD_PRELOAD": shim(), "OPENBLAS_NUM_THREADS": "1", "FAIL_PAGE": self.file,
                            "FAIL_KIND": str(KINDS.index(kind)), "FAIL_NUMBER": str(number)}

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        del self.page
        self.map.close()
        os.unlink(self.file)

    def calls(self, kind):
        return self.page.calls[KINDS.index(kind)]

    def failed(self, kind):
        return self.page.failed[KINDS.index(kind)]

    def fail(self, kind, ahead):
        """The call that comes `ahead` calls from now fails; 0: none does."""
        index = KINDS.index(kind)
        self.page.failing[index] = self.page.calls[index] + ahead if ahead else 0

    def check_end(self, blocks=None):
        """Main has returned, and whatever our own program asked for was given back; so was what
        libraries asked for, but for the `blocks` that they keep."""
        page = self.page
        assert page.ended, "main did not return"
        assert page.own_blocks == 0, f"{page.own_blocks} blocks, {page.own_bytes} bytes leaked"
        assert blocks is None or page.blocks <= blocks, f"{page.blocks - blocks} blocks leaked"
