"""``python -m nbad``."""

import sys

from nbad.cli import main

sys.exit(main())
