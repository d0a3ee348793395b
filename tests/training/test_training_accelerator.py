"""Training on a device that is not the CPU: a pretended one, which gives what the CPU gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from accelerator_jobs import JOBS


@pytest.fixture(scope="module")
def found() -> Any:
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, str(here / "accelerator_jobs.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", JOBS)
def test_a_model_becomes_what_it_becomes_here(found: Any, name: str) -> None:
    job = found[name]
    assert len(job["here"]) >= 8
    assert job["there"] == pytest.approx(job["here"], rel=1e-3)
    assert job["apart"] < 1e-4


def test_the_host_waits_at_reports_alone(found: Any) -> None:
    """Those of the second part are at steps 8, 12 and 16: four steps apart."""
    waited = found["lstm"]["waited"]
    assert waited[-1] - waited[-2] == waited[-2] - waited[-3]
    assert waited[-1] - waited[-2] <= 4
