# Everything runs in .venv, which make builds once from pyproject.toml.
#   PYTHON=/path/to/python3.12   the Python that .venv is made with
#   ARGS='-k mixture -x'         passed on to pytest, to JupyterLab, or to the benchmark; for
#                              the book it is the folder to write it to

PYTHONS = python3.13 python3.12 python3.11 python3 python
IN_VENV = .venv/bin/python
COLAB   = .venv-colab/bin/python
READY   = .venv/.ready
NBVAL   = --nbval-current-env --nbval-cell-timeout 300

# Figures belong into the notebooks, whatever backend the shell prefers.
unexport MPLBACKEND

# The stamp holds the folder it was made for. A .venv that was interrupted, that came along
# with a moved folder or that has lost its Python is made anew.
stale = $(shell test -x $(1)/bin/python && \
    test "$$(cat $(1)/.ready 2>/dev/null)" = "$$(pwd -P)" || echo stale$(1))
STALE := $(call stale,.venv)
STALE_COLAB := $(call stale,.venv-colab)

# What was installed from is compared by its contents: times say nothing once a clock was set back.
changed = $(shell cat $(2) | cmp -s - $(1)/.installed || echo changed$(1))
CHANGED := $(call changed,.venv,pyproject.toml)
CHANGED_COLAB := $(call changed,.venv-colab,pyproject.toml tests/colab.txt)

.PHONY: help setup lab play test colab notebooks book bench faults samples links lint clean $(STALE) $(STALE_COLAB)
.PHONY: $(CHANGED) $(CHANGED_COLAB)

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(READY)  ## make .venv with everything in it

lab: setup  ## open JupyterLab on the first notebook
	$(IN_VENV) -m jupyterlab --ServerApp.root_dir=. notebooks/00_start_here.ipynb $(ARGS)

play: setup  ## open the playground: the τ player as a page of its own
	JUPYTER_PATH=notebooks $(IN_VENV) -m voila notebooks/playground.ipynb --template=playground \
	    --strip_sources=True --preheat_kernel=True --pool_size=1 \
	    --VoilaConfiguration.extension_denylist=jupyterlab-jupytext \
	    --Voila.tornado_settings="{'websocket_max_message_size': 100000000}" \
	    --MappingKernelManager.cull_idle_timeout=900 --MappingKernelManager.cull_interval=60 $(ARGS)

test: setup  ## run every test: the package's, then every cell of every notebook
	$(IN_VENV) -m pytest --nbval $(NBVAL) tests notebooks $(ARGS)

colab: .venv-colab/.ready  ## run every notebook with the versions that Colab has
	$(COLAB) -m pytest --nbval-lax $(NBVAL) --disable-warnings notebooks $(ARGS)

notebooks: setup  ## run all notebooks again and store their outputs
	$(IN_VENV) notebooks/execute.py

book: setup  ## make the whole series a website in book/_build that needs no network
	$(IN_VENV) book/make_book.py $(ARGS)

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
	rm -rf .venv .venv-colab book/_build build dist *.egg-info .hypothesis .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# Make the environment $(1) if it is $(2), stale, and let pip install $(4) into it, as $(3) say.
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
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(4) || { \
	    echo "The installation did not finish; run make again to repeat it." >&2; exit 1; }; \
	pwd -P > $(1)/.ready
endef

$(READY): $(STALE) $(CHANGED)
	$(call environment,.venv,$(STALE),pyproject.toml,--editable '.[test]')

.venv-colab/.ready: $(STALE_COLAB) $(CHANGED_COLAB)
	$(call environment,.venv-colab,$(STALE_COLAB),pyproject.toml tests/colab.txt,\
	    --constraint tests/colab.txt --editable '.[cells]')
