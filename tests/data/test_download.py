import gzip
import hashlib
import http.server
import io
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from compactnet.data import dcase2019, download, urbansound8k
from compactnet.data.cifar10 import DOWNLOAD
from compactnet.data.download import LOCK, PARTIAL, STAMPS, Archive, fetch
from compactnet.errors import InputError
from tests.scripts.calls import call


def archive_bytes(folder="cifar-10-batches-py"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        content = b"batch" * 1000
        member = tarfile.TarInfo(f"{folder}/data_batch_1")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zip_bytes(files, folder="scenes"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}/{name}", content)
    return buffer.getvalue()


WHOLE = archive_bytes()
PARTS = {
    "scenes.meta.zip": zip_bytes({"meta.csv": b"filename", "LICENSE": b"free"}),
    "scenes.audio.1.zip": zip_bytes({"audio/a.wav": b"first", "LICENSE": b"free"}),
    "scenes.audio.2.zip": zip_bytes({"audio/b.wav": b"second"}),
}
FOREIGN = archive_bytes("elsewhere")
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


class Server(http.server.BaseHTTPRequestHandler):
    requests = 0

    def do_GET(self):
        type(self).requests += 1
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        name = self.path.split("/")[-1].split("?")[0]
        content = {"/page": PAGE, "/foreign": FOREIGN}.get("/" + self.path.split("/")[1], PARTS.get(name, WHOLE))
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        # A connection that breaks in the middle sends less than it announced.
        self.wfile.write(content[: len(content) // 2] if self.path.startswith("/half") else content)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def archive_at(server, folder, content=WHOLE):
    archive = Archive(f"{server}/{folder}/cifar-10-python.tar.gz?download=1", hashlib.md5(content).hexdigest())
    return replace(DOWNLOAD, archives=(archive,))


def left_over(folder):
    return sorted(path.name for path in folder.rglob("*") if path.name != LOCK)


def test_a_whole_archive_is_unpacked_and_not_fetched_twice(server, tmp_path):
    before = Server.requests
    target = fetch(archive_at(server, "whole"), tmp_path, progress=False)
    assert (target / "data_batch_1").read_bytes() == b"batch" * 1000
    assert fetch(archive_at(server, "whole"), tmp_path, progress=False) == target
    assert Server.requests == before + 1


def test_an_archive_put_there_by_hand_is_used_without_the_network(server, tmp_path):
    before = Server.requests
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(WHOLE)
    fetch(archive_at(server, "whole"), tmp_path, progress=False)
    assert Server.requests == before


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("missing", r"answered 404"),
        ("page", r"is not the official archive: its md5 is not"),
        ("half", r"could not be downloaded|is not the official archive"),
    ],
)
def test_what_is_not_the_archive_is_refused_and_leaves_nothing(server, tmp_path, folder, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        fetch(archive_at(server, folder), tmp_path, progress=False)
    assert "\n" not in str(refusal.value)
    assert "by hand" in str(refusal.value)
    assert left_over(tmp_path) == []


def test_a_server_that_is_not_there_is_named(tmp_path):
    archive = replace(DOWNLOAD, archives=(Archive("http://127.0.0.1:9/cifar-10-python.tar.gz", "0" * 32),))
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9.*could not be downloaded"):
        fetch(archive, tmp_path, progress=False)
    assert left_over(tmp_path) == []


def test_an_archive_without_the_expected_folder_leaves_only_the_archive(server, tmp_path):
    with pytest.raises(InputError, match="holds no folder cifar-10-batches-py"):
        fetch(archive_at(server, "foreign", FOREIGN), tmp_path, progress=False)
    assert left_over(tmp_path) == ["cifar-10-python.tar.gz"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "/elsewhere"},
        {"name": "cifar-10-batches-py/../../elsewhere"},
        {"type": tarfile.SYMTYPE, "linkname": "data_batch_1"},
        {"type": tarfile.LNKTYPE, "linkname": "cifar-10-batches-py/data_batch_1"},
        {"type": tarfile.FIFOTYPE},
    ],
)
def test_an_archive_with_more_than_files_and_folders_of_its_own_is_refused(server, tmp_path, change):
    buffer = io.BytesIO(gzip.decompress(WHOLE))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        member = tarfile.TarInfo("cifar-10-batches-py/more")
        for field, value in change.items():
            setattr(member, field, value)
        archive.addfile(member)
    content = gzip.compress(buffer.getvalue())
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(content)
    with pytest.raises(
        InputError, match=r"could not be unpacked \(its member .* is no file or folder below"
    ) as refusal:
        fetch(archive_at(server, "whole", content), tmp_path, progress=False)
    assert len(refusal.value.lines) == 1
    assert left_over(tmp_path) == ["cifar-10-python.tar.gz"]


def test_archives_are_unpacked_where_extracting_takes_no_filter(server, tmp_path, monkeypatch):
    # As in Python 3.11.0 to 3.11.3.
    extract = tarfile.TarFile.extractall

    def extractall(self, path=".", members=None, *, numeric_owner=False):
        extract(self, path, members, numeric_owner=numeric_owner)

    monkeypatch.setattr(tarfile.TarFile, "extractall", extractall)
    target = fetch(archive_at(server, "whole"), tmp_path, progress=False)
    assert (target / "data_batch_1").read_bytes() == b"batch" * 1000


HANGING = """
import sys
from dataclasses import replace
from compactnet.data import download
from compactnet.data.cifar10 import DOWNLOAD

def hang(archive):
    print("unpacking", flush=True)
    sys.stdin.read()

download._checked = hang
archive = download.Archive(sys.argv[2], sys.argv[3])
download.fetch(replace(DOWNLOAD, archives=(archive,)), sys.argv[1], progress=False)
"""


def test_what_a_killed_download_left_is_removed_and_a_second_process_waits(server, tmp_path, capsys):
    (archive,) = archive_at(server, "whole").archives
    command = [sys.executable, "-c", HANGING, str(tmp_path), archive.url, archive.md5]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"unpacking\n"
        waiting = threading.Thread(
            target=fetch, args=(archive_at(server, "whole"), tmp_path), kwargs={"progress": False}
        )
        waiting.start()
        while "waiting for it" not in (said := capsys.readouterr().err):
            assert waiting.is_alive(), said
            time.sleep(0.01)
        assert any(name.startswith(PARTIAL) for name in left_over(tmp_path))
        process.kill()
        waiting.join()
    assert files(tmp_path) == {"cifar-10-batches-py/data_batch_1", f"cifar-10-batches-py/{STAMPS}/{archive.name}"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK, "cifar-10-batches-py"]


def test_a_download_that_is_cut_short_leaves_its_part_where_the_next_one_removes_it(server, tmp_path, monkeypatch):
    def stop(self, url, output_file, pooch):
        assert Path(output_file).parent.name.startswith(PARTIAL)
        raise InterruptedError

    with monkeypatch.context() as patched:
        patched.setattr(download.pooch.HTTPDownloader, "__call__", stop)
        with pytest.raises(InputError, match="Cannot write"):
            fetch(archive_at(server, "whole"), tmp_path, progress=False)
    assert left_over(tmp_path) == []


def test_a_data_set_that_is_whole_needs_no_folder_that_can_be_written(server, tmp_path):
    fetch(parts_at(server, ("whole",) * 3), tmp_path, progress=False)
    (tmp_path / LOCK).unlink()
    assert fetch(parts_at(server, ("missing",) * 3), tmp_path, progress=False) == tmp_path / "scenes"
    assert not (tmp_path / LOCK).exists()


def test_a_folder_that_cannot_be_made_is_named(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="file"):
        fetch(archive_at(server, "whole"), tmp_path / "file" / "data", progress=False)


def parts_at(server, folders):
    """A data set in three archives, each below a folder that says how the server answers."""
    archives = tuple(
        Archive(f"{server}/{folder}/{name}?download=1", hashlib.md5(content).hexdigest())
        for folder, (name, content) in zip(folders, PARTS.items(), strict=True)
    )
    return replace(DOWNLOAD, archives=archives, folder="scenes")


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != LOCK}


def test_archives_fill_one_folder_and_those_unpacked_are_skipped(server, tmp_path):
    before = Server.requests
    with pytest.raises(InputError, match=r"scenes\.audio\.2\.zip.* answered 404"):
        fetch(parts_at(server, ("whole", "whole", "missing")), tmp_path, progress=False)
    assert Server.requests == before + 3
    assert {"scenes/meta.csv", "scenes/audio/a.wav"} < files(tmp_path)
    target = fetch(parts_at(server, ("whole", "whole", "whole")), tmp_path, progress=False)
    assert Server.requests == before + 4
    assert (target / "audio" / "a.wav").read_bytes() == b"first"
    assert (target / "audio" / "b.wav").read_bytes() == b"second"
    stamps = {f"scenes/.downloaded/{name}" for name in PARTS}
    assert files(tmp_path) == {"scenes/meta.csv", "scenes/LICENSE", "scenes/audio/a.wav", "scenes/audio/b.wav"} | stamps
    fetch(parts_at(server, ("missing",) * 3), tmp_path, progress=False)
    assert Server.requests == before + 4


def test_a_folder_that_was_filled_by_hand_is_left_as_it_is(server, tmp_path):
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "meta.csv").write_text("corrected")
    before = Server.requests
    fetch(parts_at(server, ("whole",) * 3), tmp_path, progress=False)
    assert Server.requests == before
    assert (files(tmp_path), (tmp_path / "scenes" / "meta.csv").read_text()) == ({"scenes/meta.csv"}, "corrected")


def test_archives_are_fetched_again_once_their_folder_is_deleted(server, tmp_path):
    # The advice of `compactnet.data.clips.Source`.
    for wanted in (parts_at(server, ("whole",) * 3), archive_at(server, "whole")):
        whole = files(fetch(wanted, tmp_path, progress=False))
        shutil.rmtree(tmp_path / wanted.folder)
        assert files(fetch(wanted, tmp_path, progress=False)) == whole


def test_a_damaged_zip_is_refused_and_leaves_nothing(server, tmp_path):
    content = b"PK" + bytes(2_000)
    (tmp_path / "broken.zip").write_bytes(content)
    archive = Archive(f"{server}/whole/broken.zip", hashlib.md5(content).hexdigest())
    with pytest.raises(InputError, match=r"broken\.zip could not be unpacked"):
        fetch(replace(DOWNLOAD, archives=(archive,), folder="scenes"), tmp_path, progress=False)
    assert left_over(tmp_path) == ["broken.zip"]


@pytest.mark.parametrize(("download", "count"), [(dcase2019.DOWNLOAD, 23), (urbansound8k.DOWNLOAD, 1), (DOWNLOAD, 1)])
def test_official_archives_have_names_and_checksums(download, count):
    assert len(download.archives) == count
    assert len({archive.md5 for archive in download.archives}) == count
    for archive in download.archives:
        assert archive.url.startswith("https://")
        assert archive.name.endswith((".zip", ".tar.gz"))
        assert len(archive.md5) == 32


def test_the_size_and_the_licence_are_said_beforehand(server, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    for task, size in (("asc", "35 GB in 23 archives"), ("sed", "6 GB in 1 archive,"), ("ic", "0.17 GB")):
        assert call("download", task, "--data", tmp_path / "file" / "data") == 2
        said = capsys.readouterr().out
        assert size in said
        assert "Licence: " in said
