"""Live streams: events, and which head to follow. See live.md."""

import base64
import binascii
import json
import re

MAX_EVENT = 128 << 10
MAX_DELTA = 32 << 10
MAX_SPREAD = 60_000
#: How long a version that was left is remembered, and how far apart two doubtful answers are, in milliseconds.
REMEMBERED = 60_000
APART = 10_000


class TooLong(Exception):
    """An event is longer than a receiver takes."""


class EventStream:
    """Parses a stream of Server-Sent Events, as the HTML standard says."""

    def __init__(self):
        self.id, self.retry = "", None
        self._line, self._is_first, self._after_cr = "", True, False
        self._clear()

    def _clear(self):
        self._event, self._data, self._size = "message", [], 0

    def feed(self, text):
        """Gives the events that text ends."""
        for character in text:
            if self._is_first:
                self._is_first = False
                if character == "\ufeff":
                    continue
            after_cr, self._after_cr = self._after_cr, character == "\r"
            if character == "\n" and after_cr:
                continue
            if character in "\r\n":
                line, self._line = self._line, ""
                if line:
                    self._field(line)
                elif self._data:
                    yield {"event": self._event, "id": self.id, "data": "\n".join(self._data)}
                    self._clear()
                else:
                    self._clear()
                continue
            self._line += character
            self._size += len(character.encode())
            if MAX_EVENT < self._size:
                raise TooLong

    def _field(self, line):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self.id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            self.retry = int(value)


def parse_head(data):
    """The members of a head event that receivers use; None if it must be refused."""
    try:
        given = json.loads(data)
    except ValueError:
        return None
    if not isinstance(given, dict):
        return None
    head = {}
    for name, pattern in ("version", "[0-9a-f]{64}"), ("epoch", "[0-9a-f]{16}"):
        if not _is_text(given.get(name), pattern):
            return None
        head[name] = given[name]
    for name in "length", "counter":
        if not _is_number(given.get(name)):
            return None
        head[name] = given[name]
    if ("from" in given) != ("delta" in given):
        return None
    if "from" in given:
        if not _is_text(given["from"], "[0-9a-f]{64}") or not _is_delta(given["delta"]):
            return None
        head |= {"from": given["from"], "delta": given["delta"]}
    if "spread" in given:
        if not _is_number(given["spread"]):
            return None
        head["spread"] = min(given["spread"], MAX_SPREAD)
    return head


def _is_text(value, pattern):
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_number(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


def _is_delta(value):
    try:
        return isinstance(value, str) and len(base64.b64decode(value, validate=True)) <= MAX_DELTA
    except binascii.Error:
        return False


class Followed:
    """The head that a receiver follows."""

    def __init__(self):
        self.head, self.left, self.doubt = None, {}, None

    def answer(self, at, epoch, counter, version):
        """What a receiver does with an answer: "follow", "same" or "doubt"."""
        does = self._judge(at, epoch, counter, version)
        if does != "doubt":
            if does == "follow" and self.head:
                self.left[self.head[2]] = at
            self.head, self.doubt = (epoch, counter, version), None
        return does

    def _judge(self, at, epoch, counter, version):
        if not self.head:
            return "follow"
        known_epoch, known_counter, known = self.head
        if version == known:
            return "same"
        if epoch == known_epoch:
            is_clear = known_counter < counter
        else:
            is_clear = version not in self.left or REMEMBERED <= at - self.left[version]
        if is_clear:
            return "follow"
        if self.doubt and self.doubt[0] == version:
            return "follow" if APART <= at - self.doubt[1] else "doubt"
        self.doubt = (version, at)
        return "doubt"
