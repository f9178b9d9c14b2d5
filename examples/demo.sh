#!/usr/bin/env bash
# The demo: the archive in examples/ becomes tables, one question is asked of every asset, and a report is drawn.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:-.venv/bin}
out=${2:-demo-out}
question="What is the title or subject of this?"
rm -rf "$out"
echo "== reading examples/archive into $out/lake and asking every asset: $question"
"$bin/interlace" run examples/archive --out "$out/lake" --prompt "$question"
echo
echo "== what was answered"
"$bin/python" - "$out/lake" <<'PY'
import os, sys, duckdb
from pipelines.tables import read_table
assets, answers = (read_table(sys.argv[1], name) for name in ("assets", "answers"))
query = """
select regexp_extract(uri, '[^/]+$') as file, modality, coalesce(pages, 0) as pages,
       round(coalesce(seconds, 0)) as seconds, status, replace(left(answer, 64), chr(10), ' ') as answer, round(confidence, 2) as sure
from assets left join answers using (uri) order by modality, file
"""
print("duckdb>", " ".join(query.split()))
duckdb.sql(query).show(max_rows=50, max_width=180)
sys.stdout.flush()
os._exit(0)
PY
echo "== a search for 'gauge'"
"$bin/interlace" search "$out/lake" gauge --limit 5
"$bin/interlace" report "$out/lake" --html "$out/report.html" > /dev/null
echo
echo "== the report: $PWD/$out/report.html"
