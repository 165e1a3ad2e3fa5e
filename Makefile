# Needs only make and Python 3.11 or newer; everything else goes into $(VENV).
PYTHON ?= python3
VENV ?= .venv
WORKDIR ?= runs/quickstart
RUN = $(VENV)/bin/python
DOCS ?= docs/_build/html
DIST ?= dist
SPHINX = JAX_PLATFORMS=cpu $(RUN) -m sphinx -nW -q

.PHONY: quickstart smoke test lint docs doctest notebooks notebooks-test dist bench embedded clean

$(VENV)/.ready: setup.py constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("error: Python %d.%d is too old: give make PYTHON=/path/to/python3.11 or newer" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(RUN) -m pip install --quiet --editable '.[plot,test]' --constraint constraints.txt
	touch $@

quickstart: $(VENV)/.ready  ## the main job on the embedded jets, under 10 minutes
	$(RUN) experiments/pipeline.py --flagfile=experiments/flagfiles/quickstart.txt --workdir=$(WORKDIR)
	$(RUN) experiments/pipeline.py --flagfile=experiments/flagfiles/quickstart_autoregressive.txt --workdir=$(WORKDIR)_autoregressive

smoke: $(VENV)/.ready  ## the same in seconds, with figures that mean nothing
	$(RUN) experiments/pipeline.py --flagfile=experiments/flagfiles/smoke.txt --workdir=$(WORKDIR)

test: $(VENV)/.ready  ## the default tests, or those of TESTS="-m slow"; times are in BUILD_NOTES.md
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

lint: $(VENV)/.ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(RUN)

$(VENV)/.docs: $(VENV)/.ready
	PYTHONWARNINGS=ignore $(RUN) -m pip install --quiet --editable '.[docs]' --constraint constraints.txt
	touch $@

docs: $(VENV)/.docs  ## the pages in docs/, as HTML in $(DOCS); a warning is an error
	rm -rf docs/api/generated docs/generated
	$(SPHINX) -b html docs $(DOCS)

doctest: $(VENV)/.docs  ## the examples in docstrings and pages
	$(SPHINX) -b doctest docs $(DOCS)/doctest

notebooks:  ## the .ipynb files from the .py files beside them
	$(PYTHON) notebooks/make.py

notebooks-test: $(VENV)/.ready  ## runs every notebook at its small size
	$(RUN) -m pytest tests/test_notebooks.py -m 'slow or not slow' -n 2

bench: $(VENV)/.ready  ## this package beside others, to benchmarks/RESULTS.md; an idle machine
	$(RUN) -m pip install --quiet --editable '.[benchmark]'
	$(RUN) benchmarks/compare.py --threads=1 --output=benchmarks
	$(RUN) benchmarks/compare.py --threads=2 --output=benchmarks

dist: $(VENV)/.ready  ## sdist and wheel in $(DIST), checked away from here
	$(RUN) -m pip install --quiet build --constraint constraints.txt
	rm -rf build $(DIST)
	$(RUN) -m build --outdir $(DIST)
	$(RUN) .ci/dist.py $(DIST)

embedded: $(VENV)/.ready  ## remakes the jets in the package, with Pythia
	$(RUN) -m pip install --quiet --editable '.[make-jets]'
	$(RUN) experiments/make_jets.py --flagfile=experiments/flagfiles/embedded_gluon30.txt --workdir=data/embedded
	cp data/embedded/jetnet30/g.hdf5 jetvae_jax/data/embedded/gluon30.hdf5

clean:
	rm -rf $(VENV)
