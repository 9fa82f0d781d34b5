# `make run` serves the handler on this machine, `make test` checks everything; `make help` lists the rest.
# Needs Python 3.13 and make. Everything generated goes under build/ and .venv/.

PORT      ?= 8080
MODEL     ?= sentence-transformers/all-MiniLM-L6-v2
OUT       ?= build/model
PRECISION ?= int8
MODEL_DIR ?= build/model
EVENT     ?= events/http_api_v2.json
CACHE     ?= memory
COLD      ?= build/cold.json
PEERS_OUT ?= build/peers.json

MAKEFLAGS += --no-print-directory

# The interpreter itself, not a version manager's shim: `sam build` and uv both want the real one.
PYTHON := $(shell for p in python3.13 python3 python; do \
	$$p -c 'import sys; v = sys.version_info[:2] == (3, 13); v and print(sys._base_executable); sys.exit(not v)' 2>/dev/null && break; done)
ifeq ($(PYTHON),)
$(error Python 3.13 was not found on PATH (tried python3.13, python3 and python))
endif
UV := $(shell command -v uv || echo build/uv/bin/uv)
PY := .venv/bin/python
# Progress where someone watches, silence in a log.
QUIET := $(shell test -t 2 || echo --quiet)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

# --- The main job -----------------------------------------------------------------------------------------

# Open on this machine, unless there are keys: API_KEYS=one,two make run
AUTH ?= $(if $(API_KEYS)$(API_KEYS_SECRET),keys,none)

# A model in S3 needs none here.
MODEL_HERE := $(if $(MODEL_URI),,$(MODEL_DIR)/manifest.json)
MODEL_TMP  ?= build/fetched

export MODEL_DIR MODEL_URI MODEL_TMP AUTH

.PHONY: run
run: .venv/installed $(MODEL_HERE) ## Serve the handler on 127.0.0.1 (PORT=8080, MODEL_DIR=build/model, MODEL_URI=s3://…, CACHE=dynamodb)
	@$(PY) -m events.serve --port $(PORT) --cache $(CACHE) || [ $$? -eq 130 ]

.PHONY: invoke
invoke: .venv/installed build/sam/installed $(MODEL_HERE) ## Run one event in AWS's own emulator (EVENT=events/NAME.json)
	@$(PY) -m events.invoke $(EVENT)

# OUT's default is the model's.
.PHONY: embed
embed: .venv/installed $(MODEL_DIR)/manifest.json ## Embed a file: IN=texts.jsonl, .csv or .txt, OUT=vectors.parquet or .jsonl (TEXT_FIELD=inputs, TYPE=float32, int8, uint8, binary or ubinary)
	@$(if $(TYPE),OUTPUT_DTYPE=$(TYPE)) $(PY) -m events.embed "$(IN)" "$(if $(filter file,$(origin OUT)),,$(OUT))" || [ $$? -eq 130 ]

.PHONY: model
model: .venv/installed ## Build a model (MODEL=where it is, OUT=folder, PRECISION=int8, int4, fp16 or fp32, ONNX=its own file to take, POOLING, NORMALIZE, MAX_LENGTH, TASK, MATRYOSHKA=256,128: sizes for int8 vectors, PUSH=s3://…)
	@$(PY) -m layers.model $(MODEL) --out $(OUT) --precision $(PRECISION) $(if $(ONNX),--onnx $(ONNX)) $(if $(POOLING),--pooling $(POOLING)) \
		$(if $(NORMALIZE),--normalize $(NORMALIZE)) $(if $(MAX_LENGTH),--max-length $(MAX_LENGTH)) $(if $(TASK),--task $(TASK)) \
		$(if $(MATRYOSHKA),--matryoshka $(MATRYOSHKA)) $(if $(PUSH),--push $(PUSH))

.PHONY: models
models: .venv/installed ## Build real models in each precision and check them against the official library (600 MB, half an hour; MODELS=names, PASSAGES=to measure on)
	@OPENBLAS_NUM_THREADS=1 $(PY) -m tests.golden.build $(MODELS) $(if $(PASSAGES),--passages $(PASSAGES))
	@$(PY) -m pytest tests/golden/test_models.py

.PHONY: mpnet
mpnet: MODELS = all-mpnet-base-v2
mpnet: models ## Build and check all-mpnet-base-v2 alone

.PHONY: model-references
model-references: .venv/installed build/peers/torch/installed ## Make the vectors that `make models` checks against, with torch (1 GB)
	@$(PY) -m tests.golden.references

.PHONY: coverage
coverage: .venv/installed ## Say of 60 much used models which are taken, how, or why not
	@$(PY) -m tests.layers.model.coverage

# A model folder of one's own is not made here.
%/manifest.json:
	@echo "$@ is missing: build it with 'make model MODEL=… OUT=$(@D)', or name another MODEL_DIR" >&2; exit 1

BUILDER := $(wildcard layers/model/*.py layers/model/*.txt)

build/model/manifest.json: $(BUILDER) | .venv/installed
	@echo "Building the default model (build/model)"
	@$(PY) -m layers.model --out build/model

build/model-fp32/manifest.json: $(BUILDER) | .venv/installed
	@$(PY) -m layers.model --out build/model-fp32 --precision fp32

# --- Checks -----------------------------------------------------------------------------------------------

# A file's tests stay together, for they share what is slow to make; in their order, so that the longest, tests/benchmarks, is not the last.
PARALLEL = --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Beside other work numpy's threads mostly wait for each other: an int4 model takes 60 s of CPU time with two, and 18 s with one.
.PHONY: test
test: lint build/sam/installed build/model/manifest.json build/model-fp32/manifest.json ## Check everything
	@OPENBLAS_NUM_THREADS=1 $(PY) -m pytest $(PARALLEL) $(TESTS)

.PHONY: lint
lint: .venv/installed ## Style, types and the import law
	@.venv/bin/ruff format --check --quiet . && .venv/bin/ruff check --quiet .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo

.PHONY: soak
soak: .venv/installed build/model/manifest.json ## The long checks: 100,000 hostile requests, 36,000 long texts, 1,000 for each fault, 500 MB, 200 kills
	@TRUNCATED_TEXTS=3000 CONCURRENT_EVENTS=20000 $(PY) -m pytest tests/handler/embedding/test_truncation.py \
		tests/handler/embedding/test_tokenization.py tests/handler/test_gunzip.py tests/handler/test_several_at_once.py
	@OBJECT_MB=500 $(PY) -m pytest -s tests/handler/sources/test_streaming.py tests/pipelines/test_memory.py
	@HOSTILE_REQUESTS=100000 HOSTILE_RECORDS=5000 FAULT_REQUESTS=1000 KILL_RUNS=200 $(PY) -m pytest \
		tests/contract/test_hostile_input.py tests/faults tests/pipelines/test_kills.py tests/pipelines/test_hostile_records.py

.PHONY: checkov
checkov: build/checkov/installed ## Look for insecure settings in template.yaml; each that is meant says why, beside it
	@build/checkov/bin/checkov --file template.yaml --framework cloudformation --compact --quiet --skip-download

build/checkov/installed: tests/infra/checkov.txt | $(UV)
	@echo "Making the environment of checkov (build/checkov)"
	@$(UV) venv --quiet --clear --no-config --python $(PYTHON) build/checkov
	@$(UV) pip install $(QUIET) --python build/checkov/bin/python --require-hashes -r $<
	@touch $@

NAMESPACES = unshare --map-root-user --mount --pid --net --ipc --uts --fork mount -t proc proc /proc

.PHONY: artefact
artefact: build ## Run what Lambda gets as Lambda would: read-only, not root, no network, no home (needs Linux with namespaces)
	@if why=$$($(NAMESPACES) 2>&1); then RUN_ARTEFACT=1 $(PY) -m pytest tests/infra/test_artefact.py; \
	else echo "SKIPPED: the artefact as in Lambda, for want of namespaces ($$why)"; fi

.PHONY: sam-local
sam-local: build ## `sam local invoke` and `sam local start-api` in containers (needs Docker; or root, podman, runc and iptables)
	@RUN_SAM_LOCAL=1 tests/sam_local/engine.sh $(PY) -m pytest tests/sam_local || { [ $$? = 75 ] && \
		echo "SKIPPED: sam local, for want of a container engine (Docker; or root and Debian's podman, runc, iptables and, where the image cannot be pulled, busybox-static)"; }

# Needs Linux on x86-64 with apt, qemu-user-static, and leave to make namespaces.
.PHONY: arm64
arm64: .venv/installed build/model/manifest.json build/model-fp32/manifest.json build/sam/installed ## Build for arm64 and compare its results with x86's, emulated, with each set of kernels
	@$(SAM) build --parameter-overrides Architecture=arm64 --build-dir build/lambda-arm64 >/dev/null
	@RUN_ARM64=1 $(PY) -m pytest -s tests/infra/test_arm64.py
arm64: export ARCH = arm64

.PHONY: large
large: .venv/installed build/sam/installed build/model/manifest.json ## A model too large for a layer, by way of S3 (minutes, 5 GB of memory)
	@RUN_LARGE=1 $(PY) -m pytest tests/large
	@cat build/large/table.txt

.PHONY: pickled
pickled: .venv/installed ## Build a checkpoint of bge-m3's shape from a pickle (2.3 GB; minutes, 7 GB of memory)
	@RUN_PICKLED=1 $(PY) -m pytest tests/large/test_pickled.py
	@cat build/pickled/table.txt

PYTHON_CLIENTS := $(patsubst tests/clients/requirements/%.txt,build/clients/%/installed,$(wildcard tests/clients/requirements/*.txt))
NODE_CLIENTS   := $(patsubst tests/clients/packages/%/package.json,build/clients/%/installed,\
	$(wildcard tests/clients/packages/*/package.json))

.PHONY: test-clients
test-clients: .venv/installed build/model/manifest.json $(PYTHON_CLIENTS) $(if $(shell command -v npm),$(NODE_CLIENTS)) ## Real client libraries
	@RUN_CLIENTS=1 $(PY) -m pytest tests/clients
	@cat build/clients/table.md

build/clients/%/installed: tests/clients/requirements/%.txt | $(UV)
	@echo "Making the environment of a client ($(@D))"
	@$(UV) venv --quiet --clear --no-config --python $(PYTHON) $(@D)
	@$(UV) pip install $(QUIET) --python $(@D)/bin/python --require-hashes -r $<
	@touch $@

build/clients/%/installed: tests/clients/packages/%/package-lock.json
	@echo "Making the environment of a client ($(@D))"
	@mkdir -p $(@D) && cp $(<D)/package*.json $(@D)
	@cd $(@D) && npm ci --silent --ignore-scripts
	@touch $@

.PHONY: without-vnni
without-vnni: .venv/installed build/model/manifest.json ## int8 on an x86 CPU without VNNI, emulated (needs qemu-user)
	@if command -v qemu-x86_64-static qemu-x86_64 >/dev/null; then \
		RUN_EMULATED=1 $(PY) -m pytest -s tests/handler/embedding/test_without_vnni.py; \
	else echo "SKIPPED: int8 without VNNI, for want of qemu-x86_64 (Debian's qemu-user-static)"; fi

.PHONY: sanitize
sanitize: .venv/installed ## Run the C code under AddressSanitizer, UBSan and ThreadSanitizer (needs clang; arm64 needs qemu-user)
	@if command -v clang >/dev/null; then RUN_SANITIZED=1 $(PY) -m pytest -s tests/layers/runtime/test_sanitized.py; \
	else echo "SKIPPED: the C code under sanitizers, for want of clang (Debian's packages clang and libclang-rt-14-dev)"; fi

.PHONY: mca
mca: .venv/installed ## Predict the inner loop of int8 on Lambda's arm64 processor (needs llvm-mca)
	@if command -v llvm-mca >/dev/null; then $(PY) -m pytest -s tests/layers/runtime/test_loops.py; \
	else echo "SKIPPED: the inner loop on Neoverse N1, for want of llvm-mca (Debian's package llvm)"; fi

.PHONY: test-browser
test-browser: .venv/installed build/model/manifest.json $(if $(shell command -v chromium),build/browser/installed) ## The pages, in chromium
	@if command -v chromium >/dev/null; then RUN_BROWSER=1 build/browser/bin/python -m pytest --confcutdir tests/browser tests/browser; \
	else echo "SKIPPED: the pages in a browser, for want of chromium (Debian's package)"; fi

.PHONY: screenshot
screenshot: test-browser ## Make the README's picture of the page anew
	@cp build/screens/page.png tests/browser/page.png

build/browser/installed: tests/browser/requirements.txt | $(UV)
	@echo "Making the environment of the browser's tests (build/browser)"
	@$(UV) venv --quiet --clear --no-config --python $(PYTHON) build/browser
	@$(UV) pip install $(QUIET) --python build/browser/bin/python --require-hashes -r $<
	@touch $@

.PHONY: bench
bench: .venv/installed build/model/manifest.json build/model-fp32/manifest.json ## Measure, in interleaved pairs, and compare with the figures committed last
	@$(PY) -m tests.benchmarks

.PHONY: cold
cold: build ## Measure cold starts of what Lambda gets, and tell where the time goes
	@ARTEFACT=build/lambda/app $(PY) -m tests.benchmarks cold --out $(COLD)

PEERS := $(patsubst tests/benchmarks/peers/requirements/%.in,build/peers/%/installed,$(wildcard tests/benchmarks/peers/requirements/*.in))

.PHONY: peers
peers: .venv/installed build/model/manifest.json build/model-fp32/manifest.json $(PEERS) ## Measure side by side with others, 6 GB of them (ISA=avx2 holds them back on AVX-512)
	@$(PY) -m tests.benchmarks.peers --out $(PEERS_OUT)

# Whole sets of pins: one of them forbids newer libraries that it works with.
build/peers/%/installed: tests/benchmarks/peers/requirements/%.txt | $(UV)
	@echo "Making the environment of a peer ($(@D))"
	@$(UV) venv --quiet --clear --no-config --python $(PYTHON) $(@D)
	@$(UV) pip install $(QUIET) --no-deps --python $(@D)/bin/python --require-hashes -r $<
	@touch $@

.PHONY: cost
cost: .venv/installed ## What a deployment costs a month (COST="--requests 1000000 --tokens 66 --hit-rate 0.3"; COST=--help)
	@$(PY) -m tests.benchmarks.cost $(COST)

# --- Deployment -------------------------------------------------------------------------------------------

# No Docker and no AWS account: SAM builds for Python 3.13 with the python3.13 that it finds on PATH.
SAM = PATH="$(dir $(PYTHON)):$$PATH" SAM_CLI_TELEMETRY=0 build/sam/bin/sam

# What is built for: what goes to AWS for x86_64 unless ARCH says arm64, the rest for this machine. layers/runtime/Makefile reads it too.
HOST_ARCH := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)
ARCH ?= $(if $(filter deploy,$(MAKECMDGOALS)),x86_64,$(HOST_ARCH))
export ARCH

.PHONY: build
build: build/sam/installed $(MODEL_DIR)/manifest.json ## Build what Lambda gets (build/lambda/app; ARCH=x86_64 or arm64)
	@$(SAM) build --parameter-overrides Architecture=$(ARCH)
	@cd build/lambda/app && sha256=$$(sha256sum ModelLayer/model/manifest.json | cut -d ' ' -f 1) && \
		sed -e "/MODEL_SHA256:/,/ModelSha256/s/''/'$$sha256'/" $(if $(KEEP_VERSIONS),-e 's/VersionDeletionPolicy: Delete/VersionDeletionPolicy: Retain/') \
			template.yaml >../pinned.yaml && mv ../pinned.yaml template.yaml

.PHONY: release
release: .venv/installed build/sam/installed $(MODEL_DIR)/manifest.json ## Write the function and the layers of both processors as zip files (build/release)
	@for arch in x86_64 arm64; do ARCH=$$arch $(SAM) build --parameter-overrides Architecture=$$arch --build-dir build/release/$$arch || exit; done
	@$(PY) -m layers.release x86_64=build/release/x86_64 arm64=build/release/arm64 --out build/release

# What was built decides the processor; everything else is asked by --guided, kept from the last time, or named in PARAMETERS.
.PHONY: deploy
deploy: build ## Build and deploy (ARCH, PARAMETERS="Alarms=true CacheTtlDays=7"; FLAGS=--guided the first time; needs an AWS account)
	@$(SAM) deploy $(FLAGS) --parameter-overrides Architecture=$(ARCH) $(PARAMETERS)

# STACK= names another stack than samconfig.toml does; FUNCTION=PipelineFunction the other function.
FUNCTION ?= ApiFunction
STACK    ?= $(shell sed -n 's/^stack_name = "\(.*\)"/\1/p' samconfig.toml)

.PHONY: logs
logs: build/sam/installed ## What the function logged in the last ten minutes (FUNCTION, STACK; needs an AWS account)
	@$(SAM) logs --stack-name $(STACK) --name $(FUNCTION) $(FLAGS)

.PHONY: smoke
smoke: .venv/installed ## Try a deployed stack: health, a refused request, and a vector (STACK; needs an AWS account)
	@$(PY) -m events.smoke $(STACK)

.PHONY: redrive
redrive: .venv/installed ## Put back what the pipeline gave up (KIND="queue rules invocations stream", STACK; needs an AWS account)
	@$(PY) -m events.redrive $(STACK) $(KIND)

.PHONY: tail
tail: ## What the function logs, as it does (FUNCTION, STACK; needs an AWS account)
	@$(MAKE) logs FLAGS=--tail

.PHONY: validate
validate: build/sam/installed .venv/installed $(if $(shell command -v npm),build/asl/installed) ## Check template.yaml, and its state machine where there is npm
	@AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint
	@if [ -e build/asl/installed ]; then $(PY) -m tests.infra.definition >build/asl/bulk.json && \
		build/asl/node_modules/.bin/asl-validator --json-path build/asl/bulk.json; \
	else echo "SKIPPED: the state machine's definition, for want of npm"; fi

build/asl/installed: tests/infra/asl/package-lock.json
	@echo "Making the environment of asl-validator (build/asl)"
	@mkdir -p $(@D) && cp $(<D)/package*.json $(@D)
	@cd $(@D) && npm ci --silent --ignore-scripts
	@touch $@

.PHONY: clean
clean: ## Delete everything generated
	rm -rf build .venv

# --- Environments -----------------------------------------------------------------------------------------

build/uv/bin/uv: tests/uv.txt
	@echo "Fetching uv"
	@$(PYTHON) -m venv build/uv
	@build/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/uv.txt
	@touch $@

.venv/packages: tests/requirements.txt | $(UV)
	@echo "Making the environment (.venv)"
	@$(UV) venv --quiet --clear --no-config --python $(PYTHON) .venv
	@$(UV) pip install $(QUIET) --python $(PY) --require-hashes -r tests/requirements.txt
	@touch $@

.venv/installed: .venv/packages $(wildcard layers/runtime/operators/*.[chp]*)
	@echo "Compiling the encoder's operators"
	@$(PY) layers/runtime/operators/build.py .venv/lib/python3.13/site-packages
	@touch $@

# aws-sam-cli pins its own boto3, so it lives apart. It carries AWS's Runtime Interface Emulator.
build/sam/installed: tests/infra/requirements.txt | $(UV)
	@echo "Making the AWS SAM environment (build/sam)"
	@$(UV) venv --quiet --clear --no-config --python $(PYTHON) build/sam
	@$(UV) pip install $(QUIET) --python build/sam/bin/python --require-hashes -r tests/infra/requirements.txt
	@touch $@

.PHONY: pins
pins: .venv/installed ## Compile the pinned requirements anew (UPGRADE=--upgrade for newer versions)
	$(COMPILE) pyproject.toml --overrides layers/runtime/overrides.txt -o layers/runtime/requirements.txt
	$(COMPILE) pyproject.toml --group dev -c layers/runtime/requirements.txt -o tests/requirements.txt
	$(COMPILE) --group sam -o tests/infra/requirements.txt
	$(COMPILE) --group checkov -o tests/infra/checkov.txt
	$(COMPILE) --group uv -c tests/requirements.txt -o tests/uv.txt
	@for wanted in tests/clients/requirements/*.in tests/browser/requirements.in tests/benchmarks/peers/requirements/*.in; do \
		$(COMPILE) $$wanted $$(ls $${wanted%.in}.overrides 2>/dev/null | sed 's/^/--overrides /') -o $${wanted%.in}.txt; done
COMPILE = $(UV) pip compile --quiet --no-config $(UPGRADE) --python $(PYTHON) --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links
