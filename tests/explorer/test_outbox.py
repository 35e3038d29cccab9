"""What waits for a page, how it is sent, and how a slow page differs from one that is gone."""

import asyncio
import json
import struct

import pytest

from explorer import outbox


class Slow:
    """A client that takes as many messages as the test says, and then none."""

    def __init__(self, pieces=1):
        self.pieces, self.sent, self.gates = pieces, [], []

    def write(self, message):
        self.sent.append(message)
        for _ in range(self.pieces):
            self.gates.append(asyncio.get_running_loop().create_future())
            yield self.gates[-1]


def test_a_slow_client_gets_the_newest_and_nothing_piles_up():
    async def talk():
        client = Slow()
        box = outbox.Outbox(client.write, lambda: client.sent.append("lost"))
        for number in range(1000):
            box.put("picture", number)
            await asyncio.sleep(0)
        box.put("run", "r")
        assert len(box._waiting) == 2
        for _ in range(3):
            client.gates[-1].set_result(None)
            await asyncio.sleep(0.001)
        return client.sent

    assert asyncio.run(talk()) == [0, 999, "r"]


def test_a_client_that_takes_nothing_is_let_go(monkeypatch):
    monkeypatch.setattr(outbox, "SLOWEST", 0.01)

    async def talk():
        client, lost = Slow(), asyncio.Event()
        box = outbox.Outbox(client.write, lost.set)
        box.put("picture", 1)
        box.put("picture", 2)
        await asyncio.wait_for(lost.wait(), 20)
        return client.sent

    assert asyncio.run(talk()) == [2]


def test_a_slow_client_that_goes_on_taking_is_kept(monkeypatch):
    """The limit is of a piece, and not of all that is sent; a piece is a sign of life."""
    monkeypatch.setattr(outbox, "SLOWEST", 0.05)

    async def talk():
        client, told = Slow(pieces=20), []
        loop = asyncio.get_running_loop()
        box = outbox.Outbox(client.write, lambda: told.append("lost"), lambda: told.append("piece"))
        box.put("sheet", b"large")
        while len(told) < 20:
            await asyncio.sleep(0)
            if client.gates and not client.gates[-1].done():
                loop.call_later(0.01, client.gates[-1].set_result, None)
                await asyncio.wait(client.gates[-1:])
        return told

    assert asyncio.run(talk()) == ["piece"] * 20


def test_what_was_not_taken_is_not_cancelled(monkeypatch):
    """Tornado would complain on the terminal."""
    monkeypatch.setattr(outbox, "SLOWEST", 0.01)

    async def talk():
        client, lost = Slow(), asyncio.Event()
        box = outbox.Outbox(client.write, lost.set)
        box.put("picture", 1)
        await lost.wait()
        box.put("picture", 2)
        await asyncio.sleep(0)
        box.close()
        await asyncio.sleep(0)
        return [gate.cancelled() for gate in client.gates]

    assert asyncio.run(talk()) == [False, False]


def unframed(frame):
    """(whether it is the last one, opcode, payload) of a server's frame."""
    length, begins = frame[1], 2
    if length == 126:
        (length,), begins = struct.unpack("!H", frame[2:4]), 4
    elif length == 127:
        (length,), begins = struct.unpack("!Q", frame[2:10]), 10
    assert length == len(frame) - begins
    return frame[0] >> 7, frame[0] & 0x7F, frame[begins:]


@pytest.mark.parametrize(
    "size", [1, 125, 126, 65535, outbox.PIECE, outbox.PIECE + 1, 3 * outbox.PIECE]
)
def test_messages_go_in_fragments(size):
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    parts = [unframed(frame) for frame in outbox.frames(data)]
    assert b"".join(payload for _, _, payload in parts) == data
    assert [last for last, _, _ in parts] == [0] * (len(parts) - 1) + [1]
    assert [opcode for _, opcode, _ in parts] == [2] + [0] * (len(parts) - 1)
    assert all(0 < len(payload) <= outbox.PIECE for _, _, payload in parts)


def test_objects_go_as_texts():
    (frame,) = outbox.frames({"name": "ψ"})
    last, opcode, payload = unframed(frame)
    assert (last, opcode, json.loads(payload)) == (1, 1, {"name": "ψ"})


def test_who_does_not_answer_is_let_go_and_who_does_is_not(monkeypatch):
    monkeypatch.setattr(outbox, "PING", 0.001)

    async def talk():
        asked, lost = [], asyncio.Event()
        silent = outbox.Pulse(lambda: asked.append(1), lost.set)
        await asyncio.wait_for(lost.wait(), 20)
        silent.close()
        answered, enough = [], asyncio.Event()

        def ask():
            answered.append(1)
            pulse.beat()
            if len(answered) == 20:
                enough.set()

        pulse = outbox.Pulse(ask, lambda: answered.append("lost"))
        await asyncio.wait_for(enough.wait(), 20)
        pulse.close()
        return len(asked), "lost" in answered

    assert asyncio.run(talk()) == (outbox.MOST_UNANSWERED, False)
