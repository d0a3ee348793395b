"""How fast textgen is, beside what the same machine allows in the same run.

    python -m benchmarks.speed [PART ...] [--json FILE] [--threads N] [--quick]

``make bench`` runs all parts and writes their tables into README.
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as in the command line; read when torch is loaded
