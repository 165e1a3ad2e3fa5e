"""Work on a thread, one item ahead of who uses it."""

import concurrent.futures
import contextlib
from collections.abc import Generator
from typing import Any

_END = object()


def ahead(items: Generator[Any, None, None]) -> Generator[Any, None, None]:
    """The same items, the next one made on a thread while the last one is in use.

    What goes wrong there is raised here; the thread ends with the iterator, after the
    item it is at.
    """
    with (
        contextlib.closing(items),
        concurrent.futures.ThreadPoolExecutor(1, "read ahead") as thread,
    ):
        coming = thread.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, items, _END)
            yield item
