"""`python -m cmc_helpers …`, which is what `cmc …` starts: it can be stopped from the first import.

A signal is answered by the command (see `cli`), or here if it came before one had begun. And what
the command says comes out, wherever it goes.
"""

import os
import sys

from cmc_helpers import stopping


def main() -> int:
    """Run the command line of this process; return its exit status."""
    stopping.answer()
    _let_everything_be_said()
    try:
        with stopping.held_back():
            from cmc_helpers import cli
        return cli.main()
    except KeyboardInterrupt:
        print("cmc: stopped: nothing had begun", file=sys.stderr)
        return 2
    finally:
        stopping.ignore()


def _let_everything_be_said():
    """A character that the output cannot encode is spelled out, and what is closed leads nowhere.

    Windows encodes what is redirected as cp1252 or cp850, and pythonw has no output at all. The
    order fills the numbers of closed files from below, before any file of ours can take them.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
