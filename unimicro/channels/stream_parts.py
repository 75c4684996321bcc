"""In which order frames go, and how large ones go in parts. Both sides of ``stream`` use it."""

from __future__ import annotations

from collections import deque

from unimicro.channels.stream_frames import (
    MESSAGE_BYTES,
    MOST_IN_PARTS,
    NO_FRAME,
    PART_BYTES,
    FrameError,
    Part,
    message_of,
    part_frame,
)

__all__ = ["Assembly", "Outbox", "TooLarge"]

_ROOM = MESSAGE_BYTES // 2
"""Octets of small frames in one message; a part and the urgent ones have room beside them."""

ENVELOPE_BYTES = PART_BYTES
"""What a large frame may have beside the octets that are limited: id, method, headers."""


class _Large:
    """A frame that goes in parts."""

    __slots__ = ("number", "octets", "sent")

    def __init__(self, number: int, frame: bytes) -> None:
        self.number = number
        self.octets = memoryview(frame)
        self.sent = 0

    def next_part(self) -> bytes:
        start, size = self.sent, len(self.octets)
        self.sent = end = min(start + PART_BYTES, size)
        return part_frame(self.number, size - end, self.octets[start:end])

    @property
    def left(self) -> int:
        return len(self.octets) - self.sent


class Outbox:
    """Frames that wait to be sent: small ones first come, first served, large ones by turns between them."""

    def __init__(self) -> None:
        self._urgent: list[bytes] = []
        self._small: dict[int, bytes] = {}
        self._small_bytes = 0
        self._turns: deque[_Large] = deque()
        self._later: deque[_Large] = deque()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._small) + len(self._turns) + len(self._later)

    def has_large(self) -> bool:
        """Whether some go in parts."""
        return bool(self._turns or self._later)

    def put(self, number: int, frame: bytes) -> None:
        """A frame of the call ``number``, which has one here at a time."""
        size = len(frame)
        if size > PART_BYTES:
            self._later.append(_Large(number, frame))
        else:
            self._small[number] = frame
            self._small_bytes += size

    def put_first(self, frame: bytes) -> None:
        """A frame of a few octets that goes before all others."""
        self._urgent.append(frame)

    def take(self) -> bytes:
        """The next message; empty where nothing waits."""
        frames, self._urgent = self._urgent, []
        small = self._small
        if self._small_bytes <= _ROOM:
            frames += small.values()
            small.clear()
            self._small_bytes = 0
        else:
            frames += self._take_small()
        if self.has_large():
            frames.append(self._take_part())
        return message_of(frames) if frames else b""

    def _take_small(self) -> list[bytes]:
        taken: list[bytes] = []
        room = _ROOM
        for frame in self._small.values():
            room -= len(frame)
            if room < 0:
                break
            taken.append(frame)
        for number in list(self._small)[: len(taken)]:
            self._small_bytes -= len(self._small.pop(number))
        return taken

    def _take_part(self) -> bytes:
        while self._later and len(self._turns) < MOST_IN_PARTS:
            self._turns.append(self._later.popleft())
        large = self._turns.popleft()
        part = large.next_part()
        if large.left:
            self._turns.append(large)
        return part

    def drop(self, number: int) -> bool:
        """Do not send the frame of a call; whether nothing of it has been sent."""
        frame = self._small.pop(number, None)
        if frame is not None:
            self._small_bytes -= len(frame)
            return True
        for queue in (self._later, self._turns):
            for large in queue:
                if large.number == number:
                    queue.remove(large)
                    return large.sent == 0
        return False

    def unsent(self) -> set[int]:
        """The calls whose frame has not been sent to its end."""
        return {*self._small, *(large.number for queue in (self._turns, self._later) for large in queue)}


class TooLarge(Exception):
    """A frame in parts is larger than allowed; the rest of it is thrown away as it comes."""


class _Arriving:
    __slots__ = ("left", "pieces")

    def __init__(self, left: int, pieces: list[bytes] | None) -> None:
        self.left = left
        self.pieces = pieces


class Assembly:
    """Large frames that arrive in parts.

    Args:
        most: Most octets of a frame.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._arriving: dict[int, _Arriving] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._arriving

    def take(self, part: Part) -> bytes | None:
        """Put a part to those before it; the whole frame, once it is there.

        Raises:
            FrameError: The part breaks the rules.
            TooLarge: It is the first one of a frame that is too large.
        """
        size = len(part.octets)
        arriving = self._arriving.get(part.id)
        if size > PART_BYTES or (size == 0 and part.left):
            raise FrameError(NO_FRAME, f"a part of {size} bytes")
        if arriving is None:
            arriving = self._begin(part)
        elif arriving.left != part.left + size:
            raise FrameError(NO_FRAME, "a part that does not follow the one before")
        arriving.left = part.left
        if arriving.pieces is not None:
            arriving.pieces.append(part.octets)
        if part.left:
            return None
        del self._arriving[part.id]
        return None if arriving.pieces is None else b"".join(arriving.pieces)

    def _begin(self, part: Part) -> _Arriving:
        if len(self._arriving) >= MOST_IN_PARTS:
            raise FrameError(NO_FRAME, f"more than {MOST_IN_PARTS} frames in parts at a time")
        if part.left + len(part.octets) > self._most:
            if part.left:
                self._arriving[part.id] = _Arriving(part.left, None)
            raise TooLarge
        self._arriving[part.id] = arriving = _Arriving(part.left, [])
        return arriving

    def drop(self, number: int) -> None:
        """Forget a frame; no more of it will come."""
        self._arriving.pop(number, None)
