import pytest

from compactnet.errors import InputError
from compactnet.files import check_writable, replaced, write_text


def test_a_file_appears_whole_with_its_folder(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "content")
    assert (tmp_path / "a" / "b.txt").read_text() == "content"
    assert (tmp_path / "a" / "b.txt").stat().st_mode & 0o444 == 0o444
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "b.txt"
    write_text(path, "before")
    with pytest.raises(RuntimeError), replaced(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/b\.txt"):
        write_text(tmp_path / "file" / "b.txt", "content")
    with pytest.raises(InputError, match=r"file/results cannot be written.*RESULTS=folder"):
        check_writable(tmp_path / "file" / "results")
