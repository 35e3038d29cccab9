from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dnnlib import run_dirs
from dnnlib.errors import UserError


def test_numbers_count_up_from_zero(tmp_path):
    root = tmp_path / "deep" / "results"
    assert run_dirs.create(root, "demo") == root / "00000-demo"
    assert run_dirs.create(root, "ffhq-8gpu") == root / "00001-ffhq-8gpu"
    (root / "00041-other").mkdir()
    (root / "123-not-a-run").mkdir()
    assert run_dirs.create(root, "") == root / "00042"
    assert run_dirs.create(root, "demo") == root / "00043-demo"
    assert all(path.is_dir() for path in root.iterdir())


def test_numbers_beyond_five_digits(tmp_path):
    (tmp_path / "99999-x").mkdir()
    assert run_dirs.create(tmp_path, "x").name == "100000-x"
    assert run_dirs.find(tmp_path, "latest").name == "100000-x"


@pytest.mark.parametrize(
    ("description", "name"),
    [("a b/c", "00000-a-b-c"), ("../up", "00000-up"), ("köln!", "00000-k-ln"), ("/", "00000")],
)
def test_descriptions_become_safe_names(tmp_path, description, name):
    assert run_dirs.create(tmp_path, description) == tmp_path / name


def test_a_file_with_the_number_is_in_nobodys_way(tmp_path):
    (tmp_path / "00000").write_text("")
    assert run_dirs.create(tmp_path, "x").name == "00001-x"


def test_at_the_same_time_no_directory_and_no_number_is_shared(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: run_dirs.create(tmp_path, f"run{i % 3}"), range(60)))
    assert sorted(int(path.name[:5]) for path in made) == list(range(60))
    assert sorted(tmp_path.iterdir()) == sorted(made)


def test_a_claim_after_the_winners_rename_is_given_up(tmp_path, monkeypatch):
    # The narrow case: another process took the number and renamed between listing and mkdir.
    real_mkdir = Path.mkdir
    raced = []

    def mkdir(self, *args, **kwargs):
        if self.name == "00000" and not raced:
            raced.append(True)
            real_mkdir(tmp_path / "00000-winner")
        real_mkdir(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert run_dirs.create(tmp_path, "loser").name == "00001-loser"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000-winner", "00001-loser"]


def test_a_file_in_place_of_the_directory(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(UserError, match="not a directory"):
        run_dirs.create(tmp_path / "results", "demo")


def test_find(tmp_path):
    for name in ("00002-a", "00010-b", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "00011-file").write_text("")
    assert run_dirs.find(tmp_path, "latest").name == "00010-b"
    assert run_dirs.find(tmp_path, 2).name == "00002-a"
    assert run_dirs.find(tmp_path, "00010").name == "00010-b"
    assert run_dirs.find(tmp_path, "00002-a") == tmp_path / "00002-a"
    assert run_dirs.find("elsewhere", str(tmp_path / "notes")) == tmp_path / "notes"


def test_find_explains_what_is_missing(tmp_path):
    with pytest.raises(UserError, match="no runs in"):
        run_dirs.find(tmp_path, "latest")
    with pytest.raises(UserError, match="no runs in"):
        run_dirs.find(tmp_path / "missing", 3)
    (tmp_path / "00003-a").mkdir()
    with pytest.raises(UserError, match=r"no run number 4 .*latest is 3"):
        run_dirs.find(tmp_path, "4")
    with pytest.raises(UserError, match="no run directory 'demo'"):
        run_dirs.find(tmp_path, "demo")
    (tmp_path / "00003-b").mkdir()
    with pytest.raises(UserError, match=r"ambiguous.*00003-a, 00003-b"):
        run_dirs.find(tmp_path, 3)
