"""``python -m pymalloc_exporter`` is the command ``pymalloc-exporter``."""

import sys

from pymalloc_exporter.cli import main

sys.exit(main())
