"""Style and types: ruff looks at code and notebooks, mypy at the types of the package.

.venv/bin/python tools/lint.py
"""

import subprocess
import sys

CHECKS = ["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]


def main():
    """Run all of them, whatever the first ones find; returns 1 if one found anything."""
    return int(any([subprocess.run([sys.executable, "-m", *check]).returncode for check in CHECKS]))


if __name__ == "__main__":
    sys.exit(main())
