"""What a process remembers, up to a number of bytes: the most recently used stays."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Values by key, the least recently used forgotten first.

    Parameters
    ----------
    limit_bytes
        What they may fill together; the latest one always stays.
    size
        Bytes of a value.
    """

    def __init__(self, limit_bytes: int, size: Callable[[Value], int]) -> None:
        self.limit_bytes, self.size = limit_bytes, size
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = RLock()  # of two threads that want the same value one makes it

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made if it is not remembered."""
        with self._lock:
            value = self._values.pop(key, None)
            if value is None:
                value = make()
            self._values[key] = value
            while len(self._values) > 1 and sum(map(self.size, self._values.values())) > self.limit_bytes:
                self._values.popitem(last=False)
            return value

    def __len__(self) -> int:
        return len(self._values)

    def clear(self) -> None:
        """Forget all."""
        self._values.clear()
