"""Downloads that stop, go on, or take long."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dnnlib import download
from tests.dnnlib.download import bad_server as bad
from tests.dnnlib.download.common import DATA, SHA, fails, names


def test_cut_off_and_continued(server, waits):
    whole = bad.body(DATA, etag='"1"')
    url = server.at(
        "/x.pkl", bad.body(DATA, etag='"1"', cut=40_000), bad.body(DATA, etag='"1"', cut=7), whole
    )
    assert download.fetch(url, sha256=SHA).read_bytes() == DATA
    assert server.ranges() == [None, "bytes=40000-", "bytes=40007-"]
    assert waits == [1, 2]


def test_a_later_process_continues(server, cache):
    answer = bad.body(DATA, cut=40_000, Last_Modified="Tue, 05 Feb 2019 12:00:00 GMT")
    url = server.at("/x.pkl", answer, bad.status(403))
    message = fails("403 Forbidden; or download it with a browser and save it as", url)
    assert names(cache) == [".part", ".part.json"]
    assert str(cache / download.resolve(url).file) in message
    url = server.at("/x.pkl", bad.body(DATA))
    assert download.fetch(url).read_bytes() == DATA
    assert server.ranges()[-1] == "bytes=40000-"
    assert server.requests[-1][1]["If-Range"] == "Tue, 05 Feb 2019 12:00:00 GMT"
    assert names(cache) == ["", ".sha256"]


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
def test_without_a_strong_validator_it_starts_again(server, etag):
    whole = bad.body(DATA, etag=etag)
    url = server.at("/x.pkl", bad.body(DATA, etag=etag, cut=40_000), whole)
    assert download.fetch(url).read_bytes() == DATA
    assert server.ranges() == [None, None]


@pytest.mark.parametrize(
    "second", [bad.body(DATA, etag='"2"'), bad.body(DATA, etag='"1"', ranges=False)]
)
def test_a_server_with_another_file_or_without_ranges_sends_all(server, second):
    url = server.at("/x.pkl", bad.body(DATA[::-1], etag='"1"', cut=40_000), second)
    assert download.fetch(url, sha256=SHA).read_bytes() == DATA
    assert server.ranges() == [None, "bytes=40000-"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Range": "bytes 40000-99999/100000", "ETag": '"2"'},  # ignores If-Range
        {"Content_Range": "bytes 30000-99999/100000"},
        {"Content_Range": "nonsense"},
        {},
    ],
)
def test_a_wrong_continuation_is_not_appended(server, headers):
    wrong = bad.status(206, "wrong", **headers)
    url = server.at("/x.pkl", bad.body(DATA, etag='"1"', cut=40_000), wrong, bad.body(DATA))
    assert download.fetch(url, sha256=SHA).read_bytes() == DATA
    assert server.ranges() == [None, "bytes=40000-", None]


def test_a_part_that_is_longer_than_the_file(server, cache):
    url = server.at("/x.pkl", bad.body(DATA, etag='"1"'))
    part = cache / f"{download.resolve(url).file}.part"
    cache.mkdir()
    part.write_bytes(DATA + b"more")
    (cache / f"{part.name}.json").write_text(json.dumps({"validator": '"1"'}))
    assert download.fetch(url).read_bytes() == DATA  # after a 416
    assert server.ranges() == ["bytes=100004-", None]


@pytest.mark.parametrize("text", ["", "[]", '{"validator": null}', '{"validator": "a\\nb: c"}'])
def test_a_damaged_note_means_a_new_start(server, cache, text):
    url = server.at("/x.pkl", bad.body(DATA, etag='"1"'))
    part = cache / f"{download.resolve(url).file}.part"
    cache.mkdir()
    part.write_bytes(b"x")
    (cache / f"{part.name}.json").write_text(text)
    assert download.fetch(url).read_bytes() == DATA
    assert server.ranges() == [None]


def test_a_slow_server_is_waited_for(server):
    small = DATA[:600]
    url = server.at("/x.pkl", bad.drip(small, 100, 0.03))
    assert download.fetch(url).read_bytes() == small
    assert len(server.requests) == 1


def test_silence_is_a_broken_connection(server):
    stalled = bad.body(DATA, etag='"1"', cut=40_000, pause=5)
    url = server.at("/x.pkl", bad.silence, stalled, bad.body(DATA, etag='"1"'))
    lines = []
    assert download.fetch(url, say=lines.append).read_bytes() == DATA
    assert server.ranges() == [None, None, "bytes=40000-"]  # what had come was kept
    assert [line for line in lines if "timed out" in line] == [
        "timed out: trying again in 1 s",
        "timed out: trying again in 2 s",
    ]


def test_attempts_are_bounded(server, cache, waits):
    url = server.at("/x.pkl", bad.hang_up)
    fails("without response .attempt 5; try again later.*save it as", url)
    assert len(server.requests) == 5
    assert waits == [1, 2, 4, 8]
    assert names(cache) == []


@pytest.mark.parametrize("moment", ["downloading", "trying again"])
def test_ctrl_c_leaves_only_the_part(server, cache, moment):
    def say(line):
        if moment in line:
            raise KeyboardInterrupt

    url = server.at("/x.pkl", bad.body(DATA, etag='"1"', cut=40_000), bad.body(DATA, etag='"1"'))
    with pytest.raises(KeyboardInterrupt):
        download.fetch(url, say=say)
    assert names(cache) == ([".part", ".part.json"] if moment == "trying again" else [])
    assert download.fetch(url).read_bytes() == DATA


def test_a_killed_process_blocks_nobody(server, cache):
    url = server.at("/x.pkl", bad.body(DATA, etag='"1"', cut=40_000, pause=5))
    code = "import sys; from dnnlib import download; download.fetch(sys.argv[1], say=print)"
    root = Path(download.__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code, url], cwd=root, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        while not (cache / f"{download.resolve(url).file}.part").exists():
            assert process.poll() is None
            server.stopped.wait(0.01)
        process.kill()
    server.at("/x.pkl", bad.body(DATA, etag='"1"'))
    assert download.fetch(url).read_bytes() == DATA
    assert names(cache) == ["", ".sha256"]
