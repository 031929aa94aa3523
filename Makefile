# Everything a user does. `make` alone prints the targets.
#
# Every target that needs Python makes its own virtual environment first, so a machine with python3 and make will do.

PYTHON ?= python3
VENV ?= .venv
DATA ?= data
WORKERS ?=
LAUNCHER ?= local
ARGS ?=
# Of `make reproduce-sample`.
TASKS ?= asc sed ic

# What a user's run writes is kept apart from the committed evidence in results/.
RUNS = $(if $(RESULTS),$(RESULTS),runs)
EVIDENCE = $(if $(RESULTS),$(RESULTS),results)

RUN = $(VENV)/bin/python
INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check
# The packages that setup.cfg lists under a name: `install_requires`, or that of an extra.
LISTED = $(shell sed -n '/^$(1) =/,/^[^ ]/s/^ *\(.*>=.*\)/"\1"/p' setup.cfg)
# On another backend TensorFlow, a declared dependency, is left out.
OTHERS = $(filter-out "tensorflow%,$(call LISTED,install_requires))
BACKENDS = tensorflow jax torch
INSTALLED = $(or $(KERAS_BACKEND),tensorflow)
# pip would install a package of any name.
CHECKED = $(if $(filter-out $(BACKENDS),$(INSTALLED)),$(error KERAS_BACKEND=$(KERAS_BACKEND) is unknown. Use one of $(BACKENDS), or unset it))
# With an NVIDIA driver, TensorFlow and JAX come with the libraries of CUDA.
GPU = $(shell command -v nvidia-smi || true)
JAX = $(if $(GPU),'jax[cuda12]',jax)
BACKEND = $(if $(filter torch,$(INSTALLED)),'torch<2.14',$(if $(filter jax,$(INSTALLED)),$(JAX),$(INSTALLED)))
# Libraries report their start-up there; what matters comes through Python.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# One target after the other, as named, also with `make -j`: the report shows the figures that were made before it.
.NOTPARALLEL:
.PHONY: help jax plan data-asc data-sed data-ic reproduce-asc reproduce-sed reproduce-ic reproduce-sample score tables complexity figures report benchmark docs test test-slow test-backends lint clean

help: ## print the targets
	@echo "make TARGET [PYTHON=python3] [VENV=.venv] [DATA=data] [RESULTS=folder] [WORKERS=n] [LAUNCHER=local|slurm] [ARGS=...]"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-20s%s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo 'ARGS goes to the training script, for example'
	@echo '  make reproduce-ic ARGS="--only compact_vgg_max_c2 --seeds 1 --set training.epochs=3"'

# The version check comes first, because an old Python fails later with a message nobody understands.
$(VENV)/installed: setup.cfg pyproject.toml
	$(CHECKED)
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 14) or sys.exit("error: Python 3.11, 3.12 or 3.13 is needed, this is %d.%d. Name one with PYTHON=python3.12" % v)'
	$(PYTHON) -m venv $(VENV)
	$(if $(filter tensorflow,$(INSTALLED)),,$(INSTALL) $(BACKEND) $(OTHERS))
	$(INSTALL) $(if $(filter tensorflow,$(INSTALLED)),$(if $(GPU),'tensorflow[and-cuda]'),--no-deps) --editable .
	@touch $@

# The package is installed already; with `.[development]`, pip would also install TensorFlow on every backend.
$(VENV)/installed-development: $(VENV)/installed
	$(INSTALL) $(call LISTED,development)
	@touch $@

data-asc: $(VENV)/installed ## download, verify and unpack TAU Urban Acoustic Scenes 2019 (35 GB)
	$(RUN) scripts/download.py asc --data "$(DATA)"

data-sed: $(VENV)/installed ## download, verify and unpack UrbanSound8K (6 GB)
	$(RUN) scripts/download.py sed --data "$(DATA)"

data-ic: $(VENV)/installed ## download, verify and unpack CIFAR-10 (0.17 GB)
	$(RUN) scripts/download.py ic --data "$(DATA)"

REPRODUCE = $(RUN) scripts/reproduce.py "$(or $(CONFIG),configs/$(@:reproduce-%=%).yaml)" \
	--data "$(DATA)" --results "$(RUNS)" $(and $(WORKERS),--workers $(WORKERS)) --launcher $(LAUNCHER) $(ARGS)

plan: $(VENV)/installed ## estimate runs, gigabytes and hours of an experiment (CONFIG=configs/ic.yaml) on this machine
	$(RUN) scripts/plan.py "$(or $(CONFIG),configs/ic.yaml)" --data "$(DATA)" --results "$(RUNS)" \
		$(and $(WORKERS),--workers $(WORKERS)) $(ARGS)

reproduce-asc: $(VENV)/installed ## train on acoustic scenes (CONFIG=configs/asc.yaml), write table3
	$(REPRODUCE)

reproduce-sed: $(VENV)/installed ## train on sound events (CONFIG=configs/sed.yaml), write table4
	$(REPRODUCE)

reproduce-ic: $(VENV)/installed ## train on images (CONFIG=configs/ic.yaml), write table4
	$(REPRODUCE)

reproduce-sample: $(VENV)/installed ## all three on small generated data: no download, minutes
	$(RUN) scripts/generate.py --data "$(DATA)/generated"
	for task in $(TASKS); do \
		$(RUN) scripts/reproduce.py configs/sample/$$task.yaml --data "$(DATA)/generated" --results "$(RUNS)/sample" \
			--workers 2 $(ARGS) || exit $$?; \
	done

tables: $(VENV)/installed ## write the tables of the records in RESULTS (results)
	$(RUN) scripts/tables.py --results "$(EVIDENCE)"

complexity: $(VENV)/installed ## the same, and count every network again
	$(RUN) scripts/tables.py --results "$(EVIDENCE)" --recount

figures: $(VENV)/installed ## write the figures of the records in RESULTS (results)
	$(RUN) scripts/figures.py --results "$(EVIDENCE)"

report: $(VENV)/installed ## write report.html, one page of everything, from RESULTS (results); after tables and figures
	$(RUN) scripts/report.py --results "$(EVIDENCE)"

score: $(VENV)/installed ## score the networks that come with weights on CIFAR-10's test images, against their records
	$(RUN) scripts/score_weights.py --data "$(DATA)"

benchmark: $(VENV)/installed ## time networks, layers and log-mel on this machine; write records, table1, table2, figure4
	$(RUN) scripts/benchmark.py --results "$(RUNS)" $(ARGS)

jax: $(VENV)/installed ## install JAX beside TensorFlow: some networks train twice as fast on a processor
	$(INSTALL) --editable '.[jax]'

$(VENV)/installed-docs: $(VENV)/installed
	$(INSTALL) $(call LISTED,docs)
	@touch $@

docs: $(VENV)/installed-docs ## build the documentation in build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

# A process for each core; a file stays in one process, for what its tests share.
PYTEST = $(RUN) -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test: $(VENV)/installed-development ## run the tests, minutes (real data: COMPACTNET_DATA=folder)
	$(PYTEST) -m 'not slow' $(ARGS)

test-slow: $(VENV)/installed-development ## run the tests that take longer
	$(RUN) -m pytest -m slow $(ARGS)

# JAX compiles each operation for each shape, here quickly and not well; it takes minutes for networks, of which a slow
# test compares the first loss on all three backends.
test-backends: export XLA_FLAGS = --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true
test-backends: $(VENV)/installed-development ## run tests of layers, trainers and networks on JAX and PyTorch, where installed
	@for run in "jax tests/layers/test_every_layer.py tests/layers/test_compact_conv2d.py tests/layers/test_interchannel_pooling.py tests/layers/test_squeezing_layers.py tests/fast tests/experiments/test_trainers.py tests/experiments/test_evaluation.py" "torch tests/experiments/test_evaluation.py tests/layers tests/networks/test_build.py tests/networks/test_convolutions.py tests/networks/test_graph.py tests/networks/test_complexity.py"; do \
		set -- $$run; backend=$$1; shift; \
		if $(RUN) -c "import importlib.util as u, sys; sys.exit(u.find_spec('$$backend') is None)"; then \
			KERAS_BACKEND=$$backend $(PYTEST) -m 'not slow' "$$@" || exit $$?; \
		else echo "$$backend is not installed: skipped"; fi; \
	done

lint: $(VENV)/installed-development ## check style
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

clean: ## remove the virtual environment and caches, no data and no results
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build
