# The commands that a person and CI both use; `make` alone lists them.

PYTHON ?= python3
VENV := .venv
# One set-up for each interpreter and each requirements.lock.
READY := $(VENV)/ready-$(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
# DVC finds the `python` of a stage on PATH.
IN_VENV := PATH="$(CURDIR)/$(VENV)/bin:$$PATH" DVC_NO_ANALYTICS=1
# TRL 0.11.4 needs older libraries than ours: the benchmarks run it in an environment of its own.
TRL := .bench/trl

.PHONY: help repro check profile pin push pull verify-remote seeds leaderboard watch readme test test-slow soak fuzz kill-ranks lint format bench bench-checkpoints bench-large full-size gpu-check lock

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

repro: $(READY) ## Run what has changed of the pipeline, then show toxicity before and after
	@$(IN_VENV) python -m detox.sharing.repair
	@$(IN_VENV) python -m stages.plan
	@$(IN_VENV) python -m dvc repro
	@cat metrics/headline.md
	@echo "The report is metrics/report.html"

check: $(READY) ## Open all that a run needs, and say what it takes, in seconds: make check REMOTE=1 asks S3, too
	@$(IN_VENV) python -m stages.plan --check $(if $(REMOTE),--remote)

profile: $(READY) ## Write profiles/$(P).yaml into params.yaml: make profile P=flan-t5-base
	@$(IN_VENV) python -m detox.params.profiles $(P)

pin: $(READY) ## Pin every source of params.yaml that has no revision or sha256 yet
	@$(IN_VENV) python -m detox.sources.pins

# Seconds in which nothing moves before a transfer gives up.
LIMIT ?= 60
push: $(READY) ## Upload what dvc.lock names to the S3 remote, checked: make push LIMIT=600 on a slow line
	@$(IN_VENV) python -m detox.sharing.remote push --limit $(LIMIT)

pull: $(READY) ## Fetch what dvc.lock names from the S3 remote, checked
	@$(IN_VENV) python -m detox.sharing.remote pull --limit $(LIMIT)

verify-remote: $(READY) ## Pull the last commit's data into a fresh clone and compare all of it
	@$(IN_VENV) python -m detox.sharing.remote verify --limit $(LIMIT)

# The curve that was written last is that of the stage that runs.
CURVES := metrics/adapter.csv metrics/train.csv metrics/summarize.csv
watch: $(READY) ## Draw the curve of the running stage again every 20 s: .dvc_plots/index.html
	@$(IN_VENV) sh -c 'while true; do curve=$$(ls -t $(CURVES) 2>/dev/null | head -n 1); \
	  if [ -n "$$curve" ] && python -m dvc plots show --quiet "$$curve"; \
	  then echo ".dvc_plots/index.html: $$curve, row $$(tail -n 1 "$$curve" | cut -d , -f 1)"; fi; sleep 20; done'

seeds: $(READY) ## Train and evaluate with five seeds beside the workspace (a quarter of an hour): metrics/seeds.json
	@$(IN_VENV) python -m stages.seeds

sparse: $(READY) ## Train where 3 % of the dialogues are heated, with and without ppo.risky_share: metrics/sparse.svg
	@$(IN_VENV) python -m miniature.sparse

leaderboard: $(READY) ## Compare the experiments that have run on the last commit
	@$(IN_VENV) python -m detox.reporting.leaderboard

readme: $(READY) ## Write the README's results from metrics/, and what its commands print
	@$(IN_VENV) python -m docs.readme

# A file of tests is one process's, so that it makes its models once; one thread each, since the processes share the cores.
PYTEST := OMP_NUM_THREADS=1 python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
test: $(READY) ## Run the tests, without the slow ones
	@$(IN_VENV) $(PYTEST) -m "not slow"

test-slow: $(READY) ## Run the slow tests: a real S3 server, several processes
	@$(IN_VENV) $(PYTEST) -m slow

N ?= 10
soak: $(READY) ## Kill stages of a small pipeline N times at random and finish it: make soak N=100
	@$(IN_VENV) python tests/support/soak.py $(N)

fuzz: $(READY) ## Load N projects in which something has changed at random: make fuzz N=2000
	@$(IN_VENV) PYTHONPATH="$(CURDIR):$(CURDIR)/tests/support" PYTHONWARNINGS=ignore OMP_NUM_THREADS=1 \
	  python tests/support/fuzz.py $(N)

kill-ranks: $(READY) ## Kill one of several processes N times at random and go on: make kill-ranks N=30
	@$(IN_VENV) RANK_KILLS=$(N) OMP_NUM_THREADS=1 python -m pytest tests/runtime/test_handover.py -k killed

lint: $(READY) ## Check style, types, and the walls between the rooms
	@$(IN_VENV) python -m ruff check
	@$(IN_VENV) python -m ruff format --check
	@$(IN_VENV) python -m mypy
	@$(IN_VENV) lint-imports --no-cache --no-logo

format: $(READY) ## Format the code and mend what ruff can mend
	@$(IN_VENV) python -m ruff format
	@$(IN_VENV) python -m ruff check --fix

bench: $(READY) $(TRL)/ready ## Measure a PPO step beside TRL's, for most of an hour: leave the machine alone meanwhile
	@$(IN_VENV) python -m benchmarks

bench-checkpoints: $(READY) ## Measure what checkpoints cost, for some minutes: leave the machine alone meanwhile
	@$(IN_VENV) python -m benchmarks.checkpoints

bench-large: $(READY) ## Measure prepare on up to a million dialogues, for some ten minutes: leave the machine alone
	@$(IN_VENV) python -m benchmarks.large

# Where the profile's downloads lie, once they are there.
TOKENIZER ?= downloads/model
DIALOGUES ?= downloads/prepare
full-size: $(READY) ## Measure what flan-t5-base will cost on this machine: random weights, a little of every stage
	@$(IN_VENV) python -m benchmarks.full_size --tokenizer "$(TOKENIZER)" --dialogues "$(DIALOGUES)"

gpu-check: $(READY) ## Check this machine's GPUs, in minutes: tests, the miniature, T5-base's speed: benchmarks/GPU.md
	@$(IN_VENV) python -m benchmarks.gpu_check

# From a fresh environment. Left out: what torch brings for one kind of GPU only, and local version labels (+cpu).
lock: ## Renew requirements.lock with the newest versions that pyproject.toml allows
	@$(CHECK_PYTHON)
	@set -e; new=$$(mktemp -d); trap 'rm -rf "$$new"' EXIT; \
	$(PYTHON) -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb")); \
	  print(*p["project"]["dependencies"], *p["dependency-groups"]["dev"], sep="\n")' > "$$new/wanted.txt"; \
	$(PYTHON) -m venv "$$new/venv"; \
	"$$new/venv/bin/python" -m pip install --quiet --progress-bar off -r "$$new/wanted.txt"; \
	"$$new/venv/bin/python" -m pip freeze --all > "$$new/frozen.txt"; \
	{ grep '^#' requirements.lock; grep -Ev '^(pip==|nvidia-|cuda-|triton==)' "$$new/frozen.txt" | sed 's/+.*//'; } > "$$new/lock"; \
	cp "$$new/lock" requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(CHECK_PYTHON)
	@version='import sys; print(sys.version)'; \
	test "$$($(VENV)/bin/python -c "import pip; $$version" 2>/dev/null)" = "$$($(PYTHON) -c "$$version")" \
	  || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing requirements.lock into $(VENV): a few minutes, once."
	@$(VENV)/bin/python -m pip install --quiet --progress-bar off --no-input --disable-pip-version-check -r requirements.lock
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(TRL)/ready: benchmarks/trl/requirements.lock
	@$(CHECK_PYTHON)
	@echo "Installing $< into $(TRL): a few minutes, once."
	@$(PYTHON) -m venv --clear $(TRL)
	@$(TRL)/bin/python -m pip install --quiet --progress-bar off --no-input --disable-pip-version-check -r $<
	@touch $@

define CHECK_PYTHON
command -v $(PYTHON) >/dev/null || { echo "error: there is no $(PYTHON): \
install Python 3.11 or newer, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is not a working Python 3.11 or newer: \
install one and name it: make PYTHON=/path/to/python3" >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "error: $(PYTHON) cannot make a virtual environment: \
apt-get install python3-venv" >&2; exit 1; }
endef
