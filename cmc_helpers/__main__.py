"""`python -m cmc_helpers …`, which is what `cmc …` starts: it can be stopped from the first import.

A signal is answered by the command (see `cli`), or here if it came before one had begun.
"""

import sys

from cmc_helpers import stopping


def main():
    """Run the command line of this process; return its exit status."""
    stopping.answer()
    try:
        with stopping.held_back():
            from cmc_helpers import cli
        return cli.main()
    except KeyboardInterrupt:
        print("cmc: stopped: nothing had begun", file=sys.stderr)
        return 2
    finally:
        stopping.ignore()


if __name__ == "__main__":
    sys.exit(main())
