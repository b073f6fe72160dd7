"""Outputs that cannot be written: a one-line error, and existing files stay as they were."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest
import yaml
from merge_inputs import EXPERTS, TIES, tree

from mergescale.checkpoints import writer as output_folder
from mergescale.cli.main import main

pytest_plugins = "merge_inputs"


def test_a_folder_that_exists_is_left_alone(models, refused):
    (models / "out").mkdir()
    (models / "out/thesis.txt").write_text("mine")
    refused(TIES, "out already exists but has a different or incomplete merge", "delete it")


@pytest.mark.parametrize("folder", ["base", "math"])
def test_an_input_as_output_is_left_alone(refused, folder):
    refused(TIES, f"{folder} already exists but has a different or incomplete merge", out=folder)


@pytest.mark.parametrize("cache", ["out", "out/cache", ".out.partial/cache", "./base/../out/cache"])
def test_a_cache_in_the_output_is_refused(models, refused, cache):
    refused(TIES, "must be outside of the output", more=("--cache-dir", models / cache))


def test_a_cache_that_cannot_be_written_is_no_error(models, capsys):
    (models / "recipe.yaml").write_text(yaml.safe_dump({"base": "base", "experts": EXPERTS} | TIES))
    merge = ["merge", str(models / "recipe.yaml"), str(models / "out"), "--threads", "1"]
    assert main([*merge, "--cache-dir", str(models / "recipe.yaml")]) == 0
    assert (models / "out/model.safetensors").is_file()


def test_paths_are_relative_to_the_recipe_and_to_where_the_command_is_called(models, monkeypatch):
    (models / "recipe.yaml").write_text(yaml.safe_dump({"base": "base", "experts": EXPERTS} | TIES))
    (models / "elsewhere").mkdir()
    monkeypatch.chdir(models / "elsewhere")
    assert (
        main(["merge", "../recipe.yaml", "made/out/", "--cache-dir", "cache", "--threads", "1"])
        == 0
    )
    assert {path.name for path in (models / "elsewhere").iterdir()} == {"made", "cache"}
    assert (models / "elsewhere/made/out/model.safetensors").is_file()


@pytest.mark.skipif(sys.platform == "darwin", reason="its disks take text only")
def test_names_that_are_not_text_are_printed_escaped(models):
    (models / "recipe.yaml").write_text(yaml.safe_dump({"base": "base", "experts": EXPERTS} | TIES))
    merge = [sys.executable, "-m", "mergescale", "merge", str(models / "recipe.yaml")]
    out = os.fsencode(models) + b"/\xff\x1b[2J"
    run = subprocess.run([*merge, out, "--cache-dir", str(models / "cache")], capture_output=True)
    assert run.returncode == 0, run.stderr
    assert b"\\udcff" in run.stdout and os.path.isfile(out + b"/merge.json")
    run = subprocess.run([*merge, out + b"/merge.json/x"], capture_output=True)
    assert run.returncode == 1 and b"\\x1b[2J" in run.stderr and b"\x1b" not in run.stderr


def test_a_file_as_output_is_left_alone(models, refused):
    (models / "out").write_text("mine")
    refused(TIES, "out already exists but has a different or incomplete merge")


def test_a_file_in_place_of_the_parent_is_left_alone(models, refused):
    (models / "file").write_text("mine")
    refused(TIES, "file", out="file/out")


@pytest.mark.parametrize("target", ["nowhere", "empty"])
def test_a_link_as_output_is_left_alone(models, refused, target):
    (models / "empty").mkdir()
    (models / "out").symlink_to(target)
    refused(TIES, "out already exists but has a different or incomplete merge")


@pytest.mark.parametrize("out", [".", "new/.."])
def test_an_output_without_a_name_is_refused(refused, monkeypatch, models, out):
    (models / "here").mkdir()
    monkeypatch.chdir(models / "here")
    (models / "recipe.yaml").write_text(yaml.safe_dump({"base": "base", "experts": EXPERTS} | TIES))
    status = main(["merge", str(models / "recipe.yaml"), out, "--threads", "1"])
    assert status == 1 and not list((models / "here").iterdir())
    assert sorted(path.name for path in models.iterdir()) == [
        *("base", "code", "here", "math", "recipe.yaml")
    ]


def test_an_output_of_a_very_long_name_is_refused(refused):
    refused(TIES, "File name too long", out="new/" + "m" * 250)


def test_one_of_several_outputs_with_a_very_long_name_leaves_none(refused):
    merges = {"a": {"method": "averaging"}, "m" * 250: TIES}
    refused({"merges": merges}, "File name too long", out="new/folder")


def test_a_timing_file_that_cannot_be_written_is_a_one_line_error(models, capsys):
    (models / "recipe.yaml").write_text(yaml.safe_dump({"base": "base", "experts": EXPERTS} | TIES))
    assert main(["check", str(models / "recipe.yaml"), "--timing", str(models / "base")]) == 1
    assert capsys.readouterr().err.startswith("mergescale: error: ")


def test_another_merge_under_the_name_is_left_alone(models, accepted, refused):
    accepted(TIES)
    refused({**TIES, "lambda": 0.4}, "out already exists but has a different or incomplete merge")


def test_a_merge_with_a_missing_file_is_refused(models, accepted, refused):
    accepted(TIES)
    (models / "out/model.safetensors").unlink()
    refused(TIES, "out already exists but has a different or incomplete merge")


@pytest.mark.parametrize("content", ["{}", "[]", "[" * 100_000, "\udc80"])
def test_a_broken_record_is_refused(models, accepted, refused, content):
    accepted(TIES)
    (models / "out/merge.json").write_bytes(content.encode(errors="surrogateescape"))
    refused(TIES, "out already exists but has a different or incomplete merge")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_parent_that_cannot_be_written(models, refused):
    (models / "locked").mkdir(mode=0o555)
    refused(TIES, "locked", "Permission denied", out="locked/out")


@pytest.mark.parametrize("call", ["posix_fallocate", "pwrite"])
@pytest.mark.parametrize("recipe", [TIES, {"merges": {"a": TIES, "b": {"method": "averaging"}}}])
def test_a_full_disk(refused, monkeypatch, call, recipe):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full, raising=False)
    refused(recipe, "model.safetensors of", "bytes cannot be written: No space", out="new/out")


def test_a_disk_that_fills_up_along_the_way(refused, monkeypatch):
    write, calls = os.pwrite, []

    def filling(*arguments):
        calls.append(1)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*arguments)

    monkeypatch.setattr(os, "pwrite", filling)
    refused(TIES, "out/model.safetensors of", "No space left on device")


def test_a_disk_that_is_full_at_the_very_end(refused, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "merge.json")

    monkeypatch.setattr(output_folder, "_write_text", full)
    refused({"merges": {"a": TIES}}, "No space left on device", out="new/out")


def test_an_interrupted_merge_resumes(models, accepted, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    (models / "recipe.yaml").write_text(yaml.safe_dump({"base": "base", "experts": EXPERTS} | TIES))
    with monkeypatch.context() as patched:
        patched.setattr(output_folder.CheckpointWriter, "write", interrupted)
        merge = ["merge", str(models / "recipe.yaml"), str(models / "out")]
        assert main([*merge, "--cache-dir", str(models / "cache")]) == 130
    assert capsys.readouterr().err.endswith("stopped; run the same command again to resume\n")
    assert (models / ".out.partial").is_dir() and not (models / "out").exists()
    accepted(TIES)
    assert not (models / ".out.partial").exists()


@pytest.fixture
def elsewhere(models):
    """Another process in the middle of a merge into out/b."""
    partial = models / "out/.b.partial"
    partial.mkdir(parents=True)
    (partial / "model.safetensors").write_text("half")
    with (partial / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_another_process_at_work_is_left_alone(elsewhere, refused):
    refused(TIES, "another process is merging into", "out/b", out="out/b")


def test_another_process_at_work_on_one_of_several_is_left_alone(elsewhere, refused):
    merges = {"a": TIES, "b": {"method": "averaging"}, "c": {"method": "averaging"}}
    refused({"merges": merges}, "another process is merging into", "out/b")


def test_an_interrupted_merge_stays_if_another_process_is_at_work(elsewhere, models, refused):
    (models / "out/.a.partial").mkdir()
    (models / "out/.a.partial/.lock").touch()
    (models / "out/.a.partial/journal.json").write_text("{}")
    refused({"merges": {"a": TIES, "b": TIES}}, "another process is merging into")


def test_a_link_in_place_of_the_hidden_folder_is_not_emptied(models, refused):
    (models / "mine").mkdir()
    (models / "mine/thesis.txt").write_text("mine")
    (models / ".out.partial").symlink_to("mine")
    refused(TIES, ".out.partial is a symbolic link: remove it")


def test_links_in_the_hidden_folder_are_not_followed(models, accepted):
    (models / "mine").mkdir()
    (models / "mine/thesis.txt").write_text("mine")
    (models / ".out.partial").mkdir()
    (models / ".out.partial/folder").symlink_to("../mine")
    (models / ".out.partial/model.safetensors").symlink_to("../mine/thesis.txt")
    accepted(TIES)
    assert tree(models / "mine") == {"thesis.txt": b"mine"}


def test_an_input_in_the_hidden_folder_is_not_emptied(models, refused):
    (models / ".out.partial").mkdir()
    (models / "math").rename(models / ".out.partial/math")
    recipe = {**TIES, "experts": {"math": ".out.partial/math", "code": "code"}}
    refused(recipe, "math (", "is in", ".out.partial")


def test_an_output_inside_an_input_leaves_the_input_as_it_is(models, accepted):
    before = tree(models / "base")
    accepted(TIES, out="base/merged")
    after = tree(models / "base")
    assert {path: after[path] for path in before} == before


def test_an_empty_folder_as_output_is_filled(models, accepted):
    (models / "out").mkdir()
    accepted(TIES)


@pytest.mark.parametrize("content", ["{}", "[]", '{"": "0x1p99999"}', '{"": 1}', "[" * 100_000])
def test_damaged_thresholds_are_computed_again(models, accepted, content):
    first = accepted(TIES)
    for file in (models / "cache").iterdir():
        file.write_text(content)
    again = accepted(TIES, out="again")
    assert all(first[name].equal(again[name]) for name in first)
