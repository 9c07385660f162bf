"""Finding speakers and utterances in folders, and reading trial lists."""

import os
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from speechbrain_kd.data.layout import (
    declared_test_speakers,
    find_roots,
    list_speakers,
    list_utterances,
    listing_digest,
    parse_folders,
)
from speechbrain_kd.data.lists import (
    find_trials,
    trial_utterances,
    utterance_key,
)


def touch(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "where, is_test",
    [
        ("wav", False),
        ("aac", False),
        ("dev/aac", False),
        ("dev/wav", False),
        ("test/wav", True),
        ("test/aac", True),
        ("vox1_dev_wav/wav", False),
        ("vox2_test_aac/aac", True),
        ("VoxCeleb2/dev/aac", False),
        ("", False),
    ],
)
def test_roots(tmp_path, where, is_test):
    touch(tmp_path / where / "id1" / "rec" / "00001.wav")
    (root,) = find_roots(tmp_path)
    assert root.path == tmp_path / where and root.is_test is is_test
    assert list_speakers([root]) == ["id1"]


def test_a_test_folder_above_does_not_count(tmp_path):
    folder = tmp_path / "test" / "corpus"
    touch(folder / "wav" / "id1" / "rec" / "00001.wav")
    assert not find_roots(folder)[0].is_test


def test_several_roots_and_other_files(tmp_path):
    touch(tmp_path / "dev" / "aac" / "id1" / "rec" / "00001.m4a")
    touch(tmp_path / "test" / "aac" / "id2" / "rec" / "00001.m4a")
    touch(tmp_path / "meta" / "veri_test.txt")
    touch(tmp_path / "dev" / "aac" / "readme.txt")
    roots = find_roots(tmp_path)
    assert [root.is_test for root in roots] == [False, True]
    assert list_speakers(roots) == ["id1", "id2"]


def test_only_audio_is_listed(tmp_path):
    for name in ("2.flac", "1.WAV", "3.m4a", "4.txt", ".5.wav", "6"):
        touch(tmp_path / "id1" / "rec" / name)
    touch(tmp_path / "id1" / "7.wav")
    touch(tmp_path / "id1" / "rec" / "deeper" / "8.wav")
    found, passed_over = list_utterances(find_roots(tmp_path), "id1")
    keys = [item.key for item in found]
    assert keys == ["id1/rec/1", "id1/rec/2", "id1/rec/3"] and passed_over == 0
    assert found[0].path == str(tmp_path / "id1" / "rec" / "1.WAV")
    assert found[0].size == 1
    assert list_utterances(find_roots(tmp_path), "id9") == ([], 0)


def test_an_utterance_is_used_once(tmp_path):
    touch(tmp_path / "aac" / "id1" / "rec" / "1.m4a")
    touch(tmp_path / "wav" / "id1" / "rec" / "1.wav")
    touch(tmp_path / "flac" / "id1" / "rec" / "1.flac")
    touch(tmp_path / "aac" / "id1" / "rec" / "2.m4a")
    found, passed_over = list_utterances(find_roots(tmp_path), "id1")
    assert passed_over == 2
    assert [Path(item.path).name for item in found] == ["1.wav", "2.m4a"]


def test_of_equals_the_first_folder_counts(tmp_path):
    for name in ("a", "b"):
        touch(tmp_path / name / "wav" / "id1" / "rec" / "1.wav")
    roots = [find_roots(tmp_path / name)[0] for name in ("b", "a")]
    found, passed_over = list_utterances(roots, "id1")
    assert passed_over == 1 and f"{os.sep}b{os.sep}" in found[0].path


def test_digest_follows_every_change(tmp_path):
    path = touch(tmp_path / "id1" / "rec" / "1.wav")
    roots = find_roots(tmp_path)

    def digest():
        return listing_digest(list_utterances(roots, "id1")[0])

    seen = [digest()]
    assert digest() == seen[0]
    os.utime(path, (1, 1))
    seen.append(digest())
    path.write_text("xy")
    os.utime(path, (1, 1))
    seen.append(digest())
    (tmp_path / "id1" / "rec" / "2.wav").symlink_to("nowhere")
    seen.append(digest())
    assert len(set(seen)) == 4


def test_data_folders(tmp_path, monkeypatch):
    folders = [tmp_path / name for name in ("a", "b", "c, d")]
    for folder in folders:
        folder.mkdir()
    assert parse_folders(f"{folders[0]}, {folders[1]}") == folders[:2]
    assert parse_folders([str(folders[1]), folders[0]]) == folders[1::-1]
    assert parse_folders(str(folders[2])) == folders[2:]
    assert parse_folders(folders[0]) == folders[:1]
    monkeypatch.chdir(tmp_path)
    assert parse_folders("a") == folders[:1]


def test_missing_data_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*gone; expected <"):
        parse_folders([tmp_path, tmp_path / "gone"])
    with pytest.raises(ValueError, match="at least one folder"):
        parse_folders(" , ")


def test_declared_test_speakers(tmp_path):
    assert declared_test_speakers(tmp_path) == set()
    path = touch(tmp_path / "meta" / "speakers.csv", "id,set\na,dev\nb,test\n")
    assert declared_test_speakers(tmp_path) == {"b"}
    path.write_text("id,sex\na,f\n")
    assert declared_test_speakers(tmp_path) == set()


def test_trial_utterances(tmp_path):
    path = touch(
        tmp_path / "list", "1 a/x/1.wav a/y/1.wav\n\n0 a/y/1.wav b/x/2"
    )
    assert trial_utterances(path) == ["a/x/1.wav", "a/y/1.wav", "b/x/2"]


@pytest.mark.parametrize(
    "line", ["1 a/x/1.wav", "2 a/x/1 b/x/1", "1 a/1 b/x/1", "a/x/1 b/x/1 1"]
)
def test_bad_trial_line(tmp_path, line):
    path = touch(tmp_path / "list", f"1 a/x/1 a/y/1\n{line}\n")
    with pytest.raises(ValueError, match=r"list, line 2: expected '<0 or 1>"):
        trial_utterances(path)


def test_empty_trial_list(tmp_path):
    with pytest.raises(ValueError, match="list: expected lines .* got none"):
        trial_utterances(touch(tmp_path / "list", "\n"))


def test_utterance_key():
    keys = {utterance_key(f"a/b.c/1.2{end}") for end in ("", ".wav", ".M4A")}
    assert keys == {"a/b.c/1.2"}


def test_trials_of_a_path_and_of_a_folder(tmp_path, caplog):
    caplog.set_level("INFO")
    assert find_trials(None, [tmp_path], tmp_path) is None
    assert "No trial list" in caplog.text
    paths = [
        touch(tmp_path / name / "meta" / "veri_test.txt") for name in ("a", "b")
    ]
    folders = [path.parents[1] for path in paths]
    assert find_trials(None, folders, tmp_path) == paths[0]
    assert f"taking {paths[0]}" in caplog.text
    assert f"Not taken: {paths[1]}" in caplog.text
    assert find_trials(str(paths[1]), folders, tmp_path) == paths[1]
    with pytest.raises(FileNotFoundError, match="no trial list .*gone.txt"):
        find_trials(tmp_path / "gone.txt", folders, tmp_path)


def test_trials_of_a_url(tmp_path):
    path = touch(tmp_path / "veri_test.txt", "1 a/x/1 a/y/1\n")
    save = tmp_path / "save"
    found = find_trials(path.as_uri(), [], save)
    assert found.parent == save and found.name.endswith("-veri_test.txt")
    assert found.read_text() == path.read_text()
    path.unlink()
    assert find_trials(path.as_uri(), [], save) == found
    with pytest.raises(ValueError, match="cannot get file://.*by hand"):
        find_trials((tmp_path / "other.txt").as_uri(), [], save)
    with pytest.raises(ValueError, match="http, https or file, got ftp://"):
        find_trials("ftp://host/veri_test.txt", [], save)
    assert [child.name for child in save.iterdir()] == [found.name]


def test_trials_of_a_web_server(tmp_path):
    touch(tmp_path / "web" / "veri_test.txt", "1 a/x/1 a/y/1\n")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "web")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        found = find_trials(f"{url}/veri_test.txt", [], tmp_path / "save")
        with pytest.raises(ValueError, match="cannot get http://.*404"):
            find_trials(f"{url}/gone.txt", [], tmp_path / "save")
        server.shutdown()
    assert trial_utterances(found) == ["a/x/1", "a/y/1"]
