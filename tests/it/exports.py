"""Reads exports with Python's csv, json and zipfile, for exports.rs.

Standard input is a CSV, or a ZIP with calls.csv. Standard output is JSON: the rows, and of a ZIP its names and the text of
each Markdown file, too.
"""

import csv
import io
import json
import sys
import zipfile

data = sys.stdin.buffer.read()
read = {}
if data.startswith(b"PK"):
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None, archive.testzip()
    names = archive.namelist()
    assert len(names) == len(set(names)), "two files have the same name"
    for name in names:
        if name.endswith(".docx"):
            assert zipfile.ZipFile(io.BytesIO(archive.read(name))).testzip() is None, name
    read["names"] = names
    read["texts"] = {name: archive.read(name).decode() for name in names if name.endswith(".md")}
    data = archive.read("calls.csv")
read["rows"] = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
print(json.dumps(read))
