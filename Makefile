# Everything runs in .venv, which make builds once from pyproject.toml.
#   PYTHON=/path/to/python3.12   the Python that .venv is made with
#   ARGS='-k mixture -x'         passed on to pytest, to JupyterLab, or to the benchmark; for
#                              the book it is the folder to write it to
#   VERSIONS=newest            .venv gets the newest versions of everything instead of those in
#                              tests/locked.txt, and keeps them until VERSIONS=locked

PYTHONS = python3.13 python3.12 python3.11 python3 python
IN_VENV = .venv/bin/python
COLAB   = .venv-colab/bin/python
READY   = .venv/.ready
LOCKED  = tests/locked.txt
NBVAL   = --nbval-current-env --nbval-cell-timeout 300

# Figures belong into the notebooks, whatever backend the shell prefers.
unexport MPLBACKEND

VERSIONS := $(if $(shell grep -sx newest $(READY)),newest,locked)
ifeq ($(filter locked newest,$(VERSIONS)),)
$(error VERSIONS is either locked or newest, not "$(VERSIONS)")
endif
NEWEST = $(filter newest,$(VERSIONS))

# The stamp holds the folder it was made for, and "newest" where it was made so. A .venv that was
# interrupted, that came along with a moved folder, that has lost its Python or that is to change
# between locked and newest is made anew.
stamp = printf '%s\n' "$$(pwd -P)" $(1)
stale = $(shell test -x $(1)/bin/python && \
    test "$$(cat $(1)/.ready 2>/dev/null)" = "$$($(call stamp,$(2)))" || echo stale$(1))
STALE := $(call stale,.venv,$(NEWEST))
STALE_COLAB := $(call stale,.venv-colab)

# What was installed from is compared by its contents: times say nothing once a clock was set back.
changed = $(shell cat $(2) | cmp -s - $(1)/.installed || echo changed$(1))
CHANGED := $(call changed,.venv,pyproject.toml $(LOCKED))
CHANGED_COLAB := $(call changed,.venv-colab,pyproject.toml tests/colab.txt)

.PHONY: help setup lab play test coverage mutants colab guard versions lock notebooks book fuzz load \
    bench faults samples links lint clean $(STALE) $(STALE_COLAB) $(CHANGED) $(CHANGED_COLAB)

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(READY)  ## make .venv with everything in it

lab: setup  ## open JupyterLab on the first notebook
	$(IN_VENV) -m jupyterlab --ServerApp.root_dir=. notebooks/00_start_here.ipynb $(ARGS)

# The MALLOC_ variables are for Linux: each visitor's process gives back what it does not need, 30 MB.
play: setup  ## open the playground: the τ player as a page of its own
	JUPYTER_PATH=notebooks MALLOC_ARENA_MAX=1 MALLOC_TOP_PAD_=0 MALLOC_TRIM_THRESHOLD_=1000000 \
	    MALLOC_MMAP_THRESHOLD_=8000000 $(IN_VENV) -m voila notebooks/playground.ipynb --template=playground \
	    --strip_sources=True --preheat_kernel=True --pool_size=1 \
	    --VoilaConfiguration.extension_denylist=jupyterlab-jupytext \
	    --Voila.tornado_settings="{'websocket_max_message_size': 100000000}" \
	    --MappingKernelManager.cull_idle_timeout=900 --MappingKernelManager.cull_interval=60 $(ARGS)

test: setup  ## run every test: the package's, then every cell of every notebook
	$(IN_VENV) -m pytest --nbval $(NBVAL) tests notebooks $(ARGS)

coverage: setup  ## run the unit tests and list the lines and branches that they miss
	$(IN_VENV) -m pytest --cov --cov-report=term $(or $(ARGS),tests)

mutants: setup  ## put small faults into the code and count those that the tests notice
	@$(IN_VENV) -m pip install --quiet --disable-pip-version-check --editable '.[mutants]'
	$(IN_VENV) tests/mutants.py $(ARGS)

colab: .venv-colab/.ready  ## run every notebook with the versions that Colab has
	$(COLAB) -m pytest --nbval-lax $(NBVAL) --disable-warnings notebooks $(ARGS)

guard: setup  ## run all notebooks ten times, each under other circumstances, and tell
	$(IN_VENV) notebooks/guard.py $(ARGS)

versions: setup  ## run everything on each Python with oldest, locked and newest versions
	$(IN_VENV) tests/versions.py $(ARGS)

lock: setup  ## write the newest versions into tests/locked.txt
	$(IN_VENV) -m uv pip compile --quiet --universal --python-version 3.11 --extra test --upgrade \
	    --no-annotate --custom-compile-command 'make lock' --output-file $(LOCKED) pyproject.toml

notebooks: setup  ## run all notebooks again and store their outputs
	$(IN_VENV) notebooks/execute.py

book: setup  ## make the whole series a website in book/_build that needs no network
	$(IN_VENV) book/make_book.py $(ARGS)

fuzz: setup  ## damage every kind of file 100,000 times, guided by coverage, and read it
	$(IN_VENV) -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	$(IN_VENV) tests/fuzz/fuzz.py $(ARGS)

load: setup  ## measure 200 hours to train on, an hour to generate, 20 visitors at once
	$(IN_VENV) benchmarks/load.py $(ARGS)

bench: setup  ## measure how fast training is, beside PyTorch if it is there
	$(IN_VENV) benchmarks/training.py $(ARGS)

faults: setup  ## kill, interrupt and starve the commands, and see what is left; half an hour
	$(IN_VENV) benchmarks/faults.py --output benchmarks/faults.md $(ARGS)

samples: setup  ## make data_samples/ again
	$(IN_VENV) data_samples/make_samples.py

links: setup  ## make all links follow pyproject.toml, or REPOSITORY=owner/name
	$(IN_VENV) notebooks/links.py $(if $(REPOSITORY),"$(REPOSITORY)")

lint: setup  ## check the style of code and notebooks
	$(IN_VENV) -m ruff check .

clean:  ## remove .venv and what tools left behind
	rm -rf .venv .venv-colab .versions book/_build build dist *.egg-info .hypothesis .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# Make the environment $(1) if it is $(2), stale, and let pip install $(4) into it, as $(3) say, with
# the versions in the file $(5), if any. As a variable and not as an option it also holds for the
# tools that build this package: for pip before 25.3 by the first name, since then by the second.
define environment
	@rm -f $(1)/.ready; \
	if [ -n "$(2)" ]; then \
	    picked= bare= other=; \
	    for python in $(if $(PYTHON),"$(PYTHON)",$(PYTHONS)); do \
	        version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); \
	        case $$version in \
	        3.11 | 3.12 | 3.13) \
	            "$$python" -c 'import ensurepip, venv' 2>/dev/null && picked=$$python && break; \
	            bare=$$version ;; \
	        ?*) other="$$python is Python $$version" ;; \
	        esac; \
	    done; \
	    if [ -z "$$picked" ]; then \
	        if [ -n "$$bare" ]; then \
	            echo "Python $$bare lacks the venv module: install it" \
	                "(Debian, Ubuntu: apt install python$$bare-venv) and run make again."; \
	        else \
	            echo "Python 3.11, 3.12 or 3.13 is needed, but" \
	                "$${other:-$(if $(PYTHON),$(PYTHON) is not Python,none was found)}:" \
	                "install one from python.org, or name one with PYTHON=/path/to/python3.12."; \
	        fi >&2; \
	        exit 1; \
	    fi; \
	    "$$picked" -m venv --clear $(1) || exit 1; \
	fi; \
	echo "Installing into $(1); the first time takes some minutes."; \
	cat $(3) > $(1)/.installed; \
	$(if $(5),PIP_CONSTRAINT=$(5) PIP_BUILD_CONSTRAINT=$(5)) \
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(4) || { \
	    echo "The installation did not finish; run make again to repeat it." \
	        $(if $(filter $(LOCKED),$(5)),"If the versions in $(5) are not to be had for" \
	        "this computer: make setup VERSIONS=newest takes what is.") >&2; exit 1; }; \
	$(call stamp,$(6)) > $(1)/.ready
endef

$(READY): $(STALE) $(CHANGED)
	$(call environment,.venv,$(STALE),pyproject.toml $(LOCKED),--editable '.[test]',$(if \
	    $(NEWEST),,$(LOCKED)),$(NEWEST))

.venv-colab/.ready: $(STALE_COLAB) $(CHANGED_COLAB)
	$(call environment,.venv-colab,$(STALE_COLAB),pyproject.toml tests/colab.txt,--editable \
	    '.[cells]',tests/colab.txt)
