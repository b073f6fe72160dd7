"""Rows come out of the `datasets` library as they are in their files, or with a one-line error."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import environment

from mergescale.tasks.rows import RowFile, Rows, load_file, stream_json_lines, stream_table

# What the library's JSON builder would change: dates, missing keys, types that differ by row, and
# characters that end a line elsewhere.
ODD_ROWS = [
    {"text": "2020-01-31", "label": 1},
    {"text": "2020-02-01 10:00:00", "label": 2},
    {"label": 3},
    {"text": "a\u2028b\u0085c\x0bd", "label": None},
    {"text": ["a", {"b": 1.5}], "label": "four"},
    {"text": "", "label": 2**60, "more": {"x": None}},
]


def write_json_lines(path: Path, rows: list) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def fault(path: Path) -> str:
    with pytest.raises(ValueError) as caught:
        list(load_file(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_json_rows_are_those_of_python_s_parser(tmp_path):
    rows = load_file(write_json_lines(tmp_path / "rows.jsonl", ODD_ROWS))
    assert [row.values for row in rows] == ODD_ROWS
    assert [rows[index].values for index in range(len(rows))] == ODD_ROWS
    assert [row.number for row in rows] == [1, 2, 3, 4, 5, 6]


def test_the_library_s_json_builder_would_change_rows(tmp_path):
    """The reason to parse JSON lines here; once this fails, the builder can replace the parser."""
    import datasets

    path = write_json_lines(tmp_path / "rows.jsonl", [{"text": "2020-01-31"}])
    (row,) = datasets.load_dataset("json", data_files=[str(path)], split="train")
    assert row != {"text": "2020-01-31"}


def test_blank_lines_are_skipped_but_counted(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('\ufeff{"a": 1}\n\n \t\r\n{"a": 2}\r\n{"a": 3}')
    rows = load_file(path)
    assert [(row.number, row.values["a"]) for row in rows] == [(1, 1), (4, 2), (5, 3)]
    assert [rows[index].number for index in range(3)] == [1, 4, 5]


def test_a_faulty_line_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": \xff}\n')
    assert fault(path) == f"{path}, row 2: not UTF-8 text; save the file as UTF-8"
    path.write_text('{"a": 1}\n\n{"a": }\n')
    assert f"{path}, row 3: not valid JSON" in fault(path)
    path.write_text('{"a": "\\ud83d"}\n')
    assert f"{path}, row 1, column 'a': the text has half a character" in fault(path)


def test_a_file_that_was_rewritten_is_read_again(tmp_path):
    path = write_json_lines(tmp_path / "rows.jsonl", [{"a": 1}])
    assert [row.values for row in load_file(path)] == [{"a": 1}]
    write_json_lines(path, [{"a": 2}])
    assert [row.values for row in load_file(path)] == [{"a": 2}]


def test_parquet_rows_are_those_of_arrow(tmp_path):
    rows = [{"text": "2020-01-31", "nested": {"x": [1, None]}, "label": i} for i in range(2500)]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=700)
    assert [row.values for row in load_file(path)] == rows
    assert load_file(path)[2400].values == rows[2400]
    only = load_file(path, ["label"])
    assert [row.values for row in only] == [{"label": i} for i in range(2500)]
    with pytest.raises(ValueError, match=r"column 'labels': the column is missing; the file has"):
        load_file(path, ["labels"])


def test_parquet_files_that_cannot_be_used_are_named_in_one_line(tmp_path, capfd):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    with pytest.raises(ValueError, match="rows.parquet: the split is empty"):
        Rows([RowFile(path)])
    path.write_bytes(b"PAR1 and nothing else")
    assert f"{path}: not a readable parquet file" in fault(path)
    table = pa.table({"text": [f"row {i}" * 50 for i in range(5000)]})
    pq.write_table(table, path, compression="none")
    damaged = path.read_bytes()
    path.write_bytes(damaged[:4] + b"\xff" * 20_000 + damaged[20_004:])
    assert str(path) in fault(path)
    assert capfd.readouterr().err == ""


def test_a_folder_that_save_to_disk_wrote_is_read_as_a_split(tmp_path):
    import datasets

    rows = [{"text": f"row {i}", "label": i % 2} for i in range(20)]
    saved = datasets.Dataset.from_list(rows)
    saved.save_to_disk(tmp_path / "train")
    assert [row.values for row in load_file(tmp_path / "train")] == rows
    assert load_file(tmp_path / "train", ["label"])[3].values == {"label": 1}


def test_rows_of_several_files_follow_each_other_with_the_columns_of_their_names(tmp_path):
    files = [
        RowFile(write_json_lines(tmp_path / f"{name}.jsonl", [{"a": i} for i in range(count)]), e)
        for name, count, e in (("one", 3, {"round": "r1"}), ("two", 2, {}))
    ]
    rows = Rows(files)
    expected = [{"round": "r1", "a": i} for i in range(3)] + [{"a": 0}, {"a": 1}]
    assert [row.values for row in rows] == [rows[i].values for i in range(5)] == expected
    (tmp_path / "none.jsonl").write_text("\n\n")
    with pytest.raises(ValueError, match="none.jsonl: the split is empty"):
        Rows([RowFile(tmp_path / "none.jsonl")])


def test_streams_have_the_same_rows_in_batches(tmp_path):
    rows = [{"text": f"row {i}", "label": i} for i in range(10)]
    lines = write_json_lines(tmp_path / "rows.jsonl", rows)
    zipped = tmp_path / "zipped.jsonl.gz"
    zipped.write_bytes(gzip.compress(lines.read_bytes()))
    for path in (lines, zipped):
        batches = list(stream_json_lines(path, 4))
        assert [len(batch) for batch in batches] == [4, 4, 2]
        assert [row.values for batch in batches for row in batch] == rows
        assert [row.number for batch in batches for row in batch] == list(range(1, 11))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet", row_group_size=3)
    batches = list(stream_table(tmp_path / "rows.parquet", ["label", "text"], 4))
    assert [row for batch in batches for row in batch] == [(i, f"row {i}") for i in range(10)]


def test_jobs_of_the_micro_world_do_not_import_the_library(tmp_path):
    code = (
        "import sys; from mergescale.cli.main import main;"
        "main(['task', 'wic', '--source', 'micro', '--rows', '4', '4', '4', '--out', 'out']);"
        "print([name for name in ('datasets', 'torch') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == "[]"
