"""Downloads against a local server that misbehaves in every way seen in practice."""

import hashlib
import http.server
import io
import json
import pathlib
import re
import tarfile
import threading

import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import catalogue, download
from jetvae_jax.data.catalogue import DataSet, Remote

BODY = np.random.default_rng(0).bytes(3_000_000)
MD5 = hashlib.md5(BODY).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files``; ``faults`` are used up one a request, then all is well."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.faults, self.asked = {}, [], []

    def remote(self, name="g.hdf5", body=BODY, **changes):
        self.files[f"/{name}"] = body
        file = Remote(
            name, f"{self.url}/{name}", len(body), hashlib.md5(body).hexdigest()
        )
        return file._replace(**changes)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append((self.path, wanted))
        fault = server.faults.pop(0) if server.faults else ""
        body = server.files.get(self.path)
        if isinstance(fault, int) or body is None:
            return self.send_error(fault or 404)
        first = 0
        match = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        if match and fault != "no ranges":
            first = int(match[1])
            if first >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                return self.end_headers()
            self.send_response(206)
            shift = 1 if fault == "wrong range" else 0
            self.send_header(
                "Content-Range",
                f"bytes {first + shift}-{len(body) - 1}/{len(body)}",
            )
        else:
            self.send_response(200)
        rest = body[first:]
        if fault != "no length":
            self.send_header("Content-Length", len(rest) + (fault == "longer"))
        self.end_headers()
        if fault == "cut":
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(file, folder, **kwargs):
    return download.fetch_file(file, folder, wait=lambda seconds: None, **kwargs)


def test_plain(server, tmp_path):
    seen = []
    path = fetch(server.remote(), tmp_path, report=lambda *a: seen.append(a))
    assert path == tmp_path / "g.hdf5"
    assert path.read_bytes() == BODY
    assert seen[-1] == ("g.hdf5", len(BODY), len(BODY))
    assert [p.name for p in tmp_path.iterdir()] == ["g.hdf5"]


def test_what_is_there_and_right_is_not_fetched_again(server, tmp_path):
    file = server.remote()
    fetch(file, tmp_path)
    fetch(file, tmp_path)
    assert len(server.asked) == 1


def test_what_is_there_and_wrong_is_left_alone(server, tmp_path):
    (tmp_path / "g.hdf5").write_bytes(b"mine")
    with pytest.raises(InputError, match="exists, but its MD5"):
        fetch(server.remote(), tmp_path)
    assert (tmp_path / "g.hdf5").read_bytes() == b"mine"


def test_goes_on_where_it_stopped(server, tmp_path):
    (tmp_path / "g.hdf5.part").write_bytes(BODY[:1_000_000])
    fetch(server.remote(), tmp_path)
    assert server.asked == [("/g.hdf5", "bytes=1000000-")]
    assert (tmp_path / "g.hdf5").read_bytes() == BODY


@pytest.mark.parametrize(
    "faults",
    [
        ["cut"],
        ["cut", "cut", "cut"],
        ["cut", "no ranges"],
        ["cut", "wrong range"],
        [503, 429, "cut", 500],
        ["no length"],
    ],
)
@pytest.mark.parametrize("size", [len(BODY), None])
def test_survives(server, tmp_path, faults, size):
    server.faults = list(faults)
    path = fetch(server.remote(size=size), tmp_path)
    assert path.read_bytes() == BODY
    assert not server.faults


def test_begins_again_when_the_part_was_of_another_file(server, tmp_path):
    (tmp_path / "g.hdf5.part").write_bytes(b"x" * 1000)
    assert fetch(server.remote(), tmp_path).read_bytes() == BODY
    assert [r for _, r in server.asked] == ["bytes=1000-", None]


@pytest.mark.parametrize("size", [len(BODY), None])
@pytest.mark.parametrize("length", [len(BODY), len(BODY) + 5])
def test_a_part_of_full_length(server, tmp_path, size, length):
    part = (BODY + b"spare")[:length]
    (tmp_path / "g.hdf5.part").write_bytes(part)
    assert fetch(server.remote(size=size), tmp_path).read_bytes() == BODY


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    file = server.remote(md5="0" * 32)
    with pytest.raises(InputError, match=f"has MD5 {MD5}, not 0000"):
        fetch(file, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_wrong_size_is_refused_before_the_body(server, tmp_path):
    with pytest.raises(InputError, match="expected 5"):
        fetch(server.remote(size=5), tmp_path)
    assert not (tmp_path / "g.hdf5").exists()


def test_gives_up_and_keeps_what_came(server, tmp_path):
    server.faults = ["cut", *[503] * download.ATTEMPTS]
    with pytest.raises(download.Unreachable, match=r"1,500,000 bytes are kept"):
        fetch(server.remote(), tmp_path)
    assert (tmp_path / "g.hdf5.part").read_bytes() == BODY[:1_500_000]
    assert not (tmp_path / "g.hdf5").exists()


@pytest.mark.parametrize("code", [403, 404, 407, 451])
def test_a_refusal_is_final(server, tmp_path, code):
    file = server.remote()
    server.faults = [code]
    with pytest.raises(download.Unreachable, match="refused"):
        fetch(file, tmp_path)
    assert len(server.asked) == 1


def test_a_mirror_serves_where_the_first_address_fails(server, tmp_path):
    file = server.remote()
    nowhere = f"{server.url}/nowhere"
    file = file._replace(url=nowhere, mirrors=(f"{nowhere}2", file.url))
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert [path for path, _ in server.asked] == ["/nowhere", "/nowhere2", "/g.hdf5"]


def test_a_mirror_goes_on_with_what_came(server, tmp_path):
    file = server.remote()
    (tmp_path / "g.hdf5.part").write_bytes(BODY[:1_000_000])
    file = file._replace(url=f"{server.url}/nowhere", mirrors=(file.url,))
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert server.asked[-1] == ("/g.hdf5", "bytes=1000000-")


def test_no_mirror_answers(server, tmp_path):
    file = server.remote()._replace(mirrors=(f"{server.url}/nowhere",))
    server.faults = [404]
    with pytest.raises(download.Unreachable, match="nowhere: refused"):
        fetch(file, tmp_path)


def test_offline(tmp_path):
    file = Remote("g.hdf5", "http://127.0.0.1:9/g.hdf5", 1, "0" * 32)
    with pytest.raises(download.Unreachable, match=r"g\.hdf5"):
        fetch(file, tmp_path)


def test_without_a_network_nobody_waits(tmp_path):
    waits = []
    urls = (f"http://nowhere{i}.invalid/g.hdf5" for i in range(2))
    file = Remote("g.hdf5", next(urls), 1, "0" * 32)._replace(mirrors=tuple(urls))
    with pytest.raises(download.Unreachable, match="nowhere1"):
        download.fetch_file(file, tmp_path, wait=waits.append)
    assert not waits


def test_a_full_disk_is_said_before(server, tmp_path, monkeypatch):
    usage = download.shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match="10 bytes free"):
        fetch(server.remote(), tmp_path)


def test_never_without_a_checksum(server, tmp_path):
    with pytest.raises(ValueError, match="no MD5"):
        fetch(server.remote(md5=None), tmp_path)


@pytest.fixture
def zenodo(server):
    """A data set whose checksum only the record knows."""
    file = server.remote(size=None, md5=None, jet_type="g")
    other = server.remote("q.hdf5", b"quarks", size=None, md5=None, jet_type="q")
    digest = hashlib.md5(b"quarks").hexdigest()
    listed = [
        {"key": "g.hdf5", "size": len(BODY), "checksum": f"md5:{MD5}"},
        {"key": "q.hdf5", "size": 6, "checksum": f"md5:{digest}"},
    ]
    server.files["/record"] = json.dumps({"files": listed}).encode()
    return DataSet("set", "A set", server.url, f"{server.url}/record", (file, other))


def test_checksums_of_the_record(server, zenodo, tmp_path):
    paths = download.fetch(zenodo, tmp_path / "new" / "set")
    assert [p.name for p in paths] == ["g.hdf5", "q.hdf5"]
    sums = (tmp_path / "new" / "set" / "MD5SUMS").read_text().splitlines()
    assert sums[0] == f"{MD5}  g.hdf5"
    # Verified once, known without the network.
    server.asked.clear()
    assert download.fetch(zenodo, tmp_path / "new" / "set") == paths
    assert not server.asked


def test_one_class(server, zenodo, tmp_path):
    (path,) = download.fetch(zenodo, tmp_path, jet_types=("q",))
    assert path.read_bytes() == b"quarks"
    with pytest.raises(InputError, match="no class 'x'; choose from g, q"):
        download.fetch(zenodo, tmp_path, jet_types=("x",))


@pytest.mark.parametrize(
    ("record", "error"),
    [
        (b"<html>", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"files": []}', "does not list g.hdf5; it has nothing"),
        (b'{"files": [{"key": "g.hdf5", "size": 1}]}', "no size and MD5 of g.hdf5"),
        (
            b'{"files": [{"key": "g.hdf5", "checksum": "md5:%s"}]}' % (b"0" * 32),
            "no size and MD5 of g.hdf5",
        ),
        (
            b'{"files": [{"key": "g.hdf5", "size": 1, "checksum": "md5:x"}]}',
            "no size and MD5 of g.hdf5",
        ),
    ],
)
def test_a_record_that_says_nothing(server, zenodo, tmp_path, record, error):
    server.files["/record"] = record
    with pytest.raises(InputError, match=error):
        download.fetch(zenodo, tmp_path)
    assert not [p for p in tmp_path.iterdir() if p.suffix == ".hdf5"]


def archive(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_archives_are_unpacked_without_their_paths(server, tmp_path):
    body = archive(
        {
            "train/a.h5": b"1",
            "../../evil.h5": b"2",
            "/abs.h5": b"3",
            "link.h5": None,
            "readme.txt": b"no",
            "train/._a.h5": b"no",
        }
    )
    file = server.remote("jets_train.tar.gz", body)
    dataset = DataSet("jets", "", "", "", (file,))
    (folder,) = download.fetch(dataset, tmp_path / "in")
    assert folder == tmp_path / "in" / "jets_train"
    assert sorted(p.name for p in folder.iterdir()) == ["a.h5", "abs.h5", "evil.h5"]
    names = sorted(p.name for p in (tmp_path / "in").iterdir())
    assert names == ["MD5SUMS", "jets_train", "jets_train.tar.gz"]


@pytest.mark.parametrize(
    "body",
    [b"no archive", archive({"a.h5": b"x" * 100_000})[:60], archive({})],
    ids=["text", "cut", "empty"],  # the bytes hold the time
)
def test_a_bad_archive_leaves_no_folder(tmp_path, body):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(body)
    with pytest.raises(InputError, match=r"a\.tar\.gz"):
        download.unpack(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]


def test_catalogue_is_sound():
    for name in catalogue.names():
        dataset = catalogue.get(name)
        assert dataset.name == name
        files = dataset.files
        assert len({f.name for f in files}) == len(files) > 0
        known = [f.md5 for f in files if f.md5]
        assert len(set(known)) == len(known)
        assert all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in known)
        # Where no checksum is known, somebody must publish it.
        assert len(known) == len(files) or dataset.record.startswith("https://zenodo")
        for file in files:
            for url in (file.url, *file.mirrors):
                assert url.startswith("https://")
            assert pathlib.PurePosixPath(file.name).name == file.name
    assert [f.name for f in catalogue.get("jetnet150").files][:2] == [
        "g150.hdf5",
        "q150.hdf5",
    ]
    quarkgluon = [f.name for f in catalogue.get("quarkgluon").files]
    assert quarkgluon[0] == "QG_jets.npz"
    assert quarkgluon[-1] == "QG_jets_19.npz"
    with pytest.raises(InputError, match="did you mean 'jetnet30'"):
        catalogue.get("jetnet3")


def test_by_hand_names_everything():
    text = download.by_hand(catalogue.get("jetnet30"), "data/jetnet30", ("t",))
    assert "https://zenodo.org/records/6975118/files/t.hdf5?download=1" in text
    assert "88,262,768 bytes" in text
    assert "data/jetnet30" in text
    assert "g.hdf5" not in text
    digits = download.by_hand(catalogue.get("mnist"), "data/mnist")
    assert "f68b3c2dcbeaaa9fbdd348bbdeb94873  train-images-idx3-ubyte.gz" in digits
    assert "or https://storage.googleapis.com/cvdf-datasets/mnist/train-ima" in digits
