# `make lab` is `python3 start.py lab`: everything is done there, and works without make.
#   PYTHON=/path/to/python3.12   the Python that .venv is made with
#   ARGS='-k mixture -x'         passed on to what the command starts
#   VERSIONS=newest              .venv gets the newest versions of everything instead of those in
#                                tests/locked.txt, and keeps them until VERSIONS=locked

PYTHONS = python3.13 python3.12 python3.11 python3 python
COMMANDS = setup lab play test check weekly coverage mutants colab guard versions lock notebooks book \
    fuzz load bench faults samples links lint clean

# Any Python can run start.py, which finds one that fits.
FIRST := $(shell for python in $(PYTHONS); do \
    $$python -c '' >/dev/null 2>&1 && echo $$python && break; done)
START = $(or $(FIRST),$(error Python 3.11, 3.12 or 3.13 is needed, but none was found: install one \
    from python.org)) start.py

.PHONY: help $(COMMANDS)

help:
	@$(START) help

$(COMMANDS):
	@$(START) $@ $(ARGS)
