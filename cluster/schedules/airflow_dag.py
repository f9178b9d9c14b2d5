"""Airflow 3: every night what is new is read, what failed is tried again, and the ledger must balance.

The workers have `interlace` on their path and the store's credentials in their environment. A task that Airflow kills
and repeats goes on where it was; two at once are kept apart by the lease on OUT.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

OUT = "s3://lake/archive"

with DAG(
    "interlace_nightly",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
):
    read = BashOperator(task_id="read", bash_command=f"interlace run s3://archive --out {OUT} --prune --wait")
    again = BashOperator(task_id="again", bash_command=f"interlace retry {OUT} --wait")
    balanced = BashOperator(task_id="balanced", bash_command=f"interlace status {OUT}")
    read >> again >> balanced
