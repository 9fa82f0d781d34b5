# `make run` serves the handler on this machine, and `make test` checks everything. `make help` lists all targets.
# It needs Python 3.13 and make. Everything that it generates is under build/ and .venv/.

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

# The interpreter itself, not a version manager's shim: `sam build` and uv need the real path.
PYTHON := $(shell for p in python3.13 python3 python; do \
	$$p -c 'import sys; v = sys.version_info[:2] == (3, 13); v and print(sys._base_executable); sys.exit(not v)' 2>/dev/null && break; done)
ifeq ($(PYTHON),)
$(error Python 3.13 was not found on PATH (tried python3.13, python3 and python))
endif
UV := $(shell command -v uv || echo build/uv/bin/uv)
PY := .venv/bin/python
# Show progress on a terminal, and nothing in a log.
QUIET := $(shell test -t 2 || echo --quiet)

# Make the Python environment that is the target's folder, from the pinned requirements that are the first prerequisite.
define environment
@echo "Making the environment $(@D)"
@$(UV) venv --quiet --clear --no-config --python $(PYTHON) $(@D)
@$(UV) pip install $(QUIET) $(UV_INSTALL) --python $(@D)/bin/python --require-hashes -r $<
@touch $@
endef

# Make the npm environment that is the target's folder, from the package-lock.json that is the first prerequisite.
define node-environment
@echo "Making the environment $(@D)"
@mkdir -p $(@D) && cp $(<D)/package*.json $(@D)
@cd $(@D) && npm ci --silent --ignore-scripts
@touch $@
endef

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 24

# --- Serving and embedding --------------------------------------------------------------------------------

# No key is required on this machine unless some are set: API_KEYS=one,two make run
AUTH ?= $(if $(API_KEYS)$(API_KEYS_SECRET),keys,none)

# A model in S3 needs no folder here.
MODEL_HERE := $(if $(MODEL_URI),,$(MODEL_DIR)/manifest.json)
MODEL_TMP  ?= build/fetched

# A second model, for /rerank. `make build` copies its folder into the model's layer.
RERANKER_HERE := $(if $(RERANKER_URI),,$(if $(RERANKER_DIR),$(RERANKER_DIR)/manifest.json))

export MODEL_DIR MODEL_URI MODEL_TMP RERANKER_DIR RERANKER_URI AUTH

.PHONY: run
run: .venv/installed $(MODEL_HERE) $(RERANKER_HERE) ## Serve the API on 127.0.0.1 (PORT=8080, MODEL_DIR=build/model, MODEL_URI=s3://…, RERANKER_DIR=folder, RERANKER_URI=s3://…, CACHE=dynamodb)
	@$(PY) -m events.serve --port $(PORT) --cache $(CACHE) || [ $$? -eq 130 ]

.PHONY: invoke
invoke: .venv/installed build/sam/installed $(MODEL_HERE) $(RERANKER_HERE) ## Run one event in AWS's own emulator (EVENT=events/NAME.json)
	@$(PY) -m events.invoke $(EVENT)

# OUT has a default for `make model`; here it counts only if it was given.
.PHONY: embed
embed: .venv/installed $(MODEL_DIR)/manifest.json ## Embed a file or a folder: IN=texts.jsonl, .csv, .md, .html, .txt or docs/, OUT=vectors.parquet or .jsonl (CHUNK_TOKENS=256 CHUNK_OVERLAP=32 CHUNK_TEXT=true, TEXT_FIELD=inputs, TYPE=float32, int8, uint8, binary or ubinary)
	@$(if $(TYPE),OUTPUT_DTYPE=$(TYPE)) $(PY) -m events.embed "$(IN)" "$(if $(filter file,$(origin OUT)),,$(OUT))" || [ $$? -eq 130 ]

# The shell takes the variables from the environment, so that a question may have any quotation marks.
.PHONY: search
search: .venv/installed $(MODEL_DIR)/manifest.json ## Search a file that `make embed` wrote: IN=vectors.parquet or .jsonl, Q="a question" (K=5, FILTER=field=value, FORMAT=text or json)
	@$(PY) -m events.search "$$IN" "$$Q" --count "$$K" --filter "$$FILTER" --format "$$FORMAT"

.PHONY: model
model: .venv/installed ## Build a model (MODEL=name, folder or s3://…, OUT=folder, PRECISION=int8, int4, fp16 or fp32, ONNX=file of the model to use, POOLING, NORMALIZE, MAX_LENGTH, TASK, MATRYOSHKA=256,128, PUSH=s3://… to upload)
	@$(PY) -m layers.model $(MODEL) --out $(OUT) --precision $(PRECISION) $(if $(ONNX),--onnx $(ONNX)) $(if $(POOLING),--pooling $(POOLING)) \
		$(if $(NORMALIZE),--normalize $(NORMALIZE)) $(if $(MAX_LENGTH),--max-length $(MAX_LENGTH)) $(if $(TASK),--task $(TASK)) \
		$(if $(MATRYOSHKA),--matryoshka $(MATRYOSHKA)) $(if $(PUSH),--push $(PUSH))

.PHONY: models
models: .venv/installed ## Build real models in each precision and check them against the official library (600 MB, half an hour; MODELS=names, PASSAGES=how many to measure on)
	@OPENBLAS_NUM_THREADS=1 $(PY) -m tests.golden.build $(MODELS) $(if $(PASSAGES),--passages $(PASSAGES))
	@$(PY) -m pytest tests/golden/test_models.py

.PHONY: model-references
model-references: .venv/installed build/peers/torch/installed ## Compute the vectors that `make models` compares with, by torch (1 GB)
	@$(PY) -m tests.golden.references

.PHONY: coverage
coverage: .venv/installed ## List 62 popular models: which can be built, how, and the reason if one cannot
	@$(PY) -m tests.layers.model.coverage

# Folders other than the default ones are not built automatically.
%/manifest.json:
	@echo "$@ is missing: build it with 'make model MODEL=… OUT=$(@D)', or set another MODEL_DIR" >&2; exit 1

BUILDER := $(wildcard layers/model/*.py layers/model/*.txt)

build/model/manifest.json: $(BUILDER) | .venv/installed
	@echo "Building the default model (build/model)"
	@$(PY) -m layers.model --out build/model

build/model-fp32/manifest.json: $(BUILDER) | .venv/installed
	@$(PY) -m layers.model --out build/model-fp32 --precision fp32

# --- Checks -----------------------------------------------------------------------------------------------

# One worker runs all tests of a file, because they share fixtures that are slow to make. The files keep the order of tests/conftest.py,
# which starts the slowest ones first.
PARALLEL = --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# numpy gets one thread. Two of them mostly wait for each other while other tests run: an int4 model then takes 60 s of CPU time, not 18 s.
.PHONY: test
test: lint build/sam/installed build/model/manifest.json build/model-fp32/manifest.json ## Check everything (TESTS=tests/events or TESTS="tests/events/test_serve.py -k health" runs only those tests)
	@OPENBLAS_NUM_THREADS=1 $(PY) -m pytest $(PARALLEL) $(TESTS)

.PHONY: lint
lint: .venv/installed ## Check style, types, and which module may import which
	@.venv/bin/ruff format --check --quiet . && .venv/bin/ruff check --quiet .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo

.PHONY: soak
soak: .venv/installed build/model/manifest.json ## Run the long checks: 100,000 hostile requests, 36,000 long texts, 36,000 texts in chunks, 1,000 requests per fault, an object of 500 MB, 200 kills
	@TRUNCATED_TEXTS=3000 SPLIT_TEXTS=2000 CONCURRENT_EVENTS=20000 $(PY) -m pytest tests/handler/embedding/test_truncation.py \
		tests/handler/test_chunking.py tests/handler/test_document_objects.py tests/handler/embedding/test_tokenization.py tests/handler/test_gunzip.py tests/handler/test_several_at_once.py
	@OBJECT_MB=500 $(PY) -m pytest -s tests/handler/sources/test_streaming.py tests/pipelines/test_memory.py
	@HOSTILE_REQUESTS=100000 HOSTILE_RECORDS=5000 FAULT_REQUESTS=1000 KILL_RUNS=200 KILL_RECORDS=1000 $(PY) -m pytest \
		tests/contract/test_hostile_input.py tests/faults tests/pipelines/test_kills.py tests/pipelines/test_hostile_records.py

.PHONY: checkov
checkov: build/checkov/installed ## Look for insecure settings in template.yaml; comments next to the exceptions give the reasons
	@build/checkov/bin/checkov --file template.yaml --framework cloudformation --compact --quiet --skip-download

build/checkov/installed: tests/infra/checkov.txt | $(UV)
	$(environment)

NAMESPACES = unshare --map-root-user --mount --pid --net --ipc --uts --fork mount -t proc proc /proc

.PHONY: artefact
artefact: build ## Run the built function as Lambda does: read-only, not as root, without network or home (needs Linux with namespaces)
	@if why=$$($(NAMESPACES) 2>&1); then RUN_ARTEFACT=1 $(PY) -m pytest tests/infra/test_artefact.py; \
	else echo "SKIPPED: the artefact as in Lambda, because namespaces are not allowed here ($$why)"; fi

.PHONY: sam-local
sam-local: build ## Run `sam local invoke` and `sam local start-api` in containers (needs Docker; or root, podman, runc and iptables)
	@RUN_SAM_LOCAL=1 tests/sam_local/engine.sh $(PY) -m pytest tests/sam_local || { [ $$? = 75 ] && \
		echo "SKIPPED: sam local needs a container engine (Docker; or root and Debian's podman, runc, iptables and, where the image cannot be pulled, busybox-static)"; }

# Needs Linux on x86-64 with apt, qemu-user-static, and the permission to make namespaces.
.PHONY: arm64
arm64: .venv/installed build/model/manifest.json build/model-fp32/manifest.json build/sam/installed ## Build for arm64, run it emulated with each set of kernels, and compare the results with x86-64
	@$(SAM) build --parameter-overrides Architecture=arm64 --build-dir build/lambda-arm64 >/dev/null
	@RUN_ARM64=1 $(PY) -m pytest -s tests/infra/test_arm64.py
arm64: export ARCH = arm64

.PHONY: large
large: .venv/installed build/sam/installed build/model/manifest.json ## Build models that are too large for a layer, and serve them from S3 (an hour, 8 GB of memory; LARGE=gte-large for one)
	@RUN_LARGE=1 LARGE="$(LARGE)" $(PY) -m pytest tests/large
	@cat build/large/table.txt

PYTHON_CLIENTS := $(patsubst tests/clients/requirements/%.txt,build/clients/%/installed,$(wildcard tests/clients/requirements/*.txt))
NODE_CLIENTS   := $(patsubst tests/clients/packages/%/package.json,build/clients/%/installed,\
	$(wildcard tests/clients/packages/*/package.json))

.PHONY: test-clients
test-clients: .venv/installed build/model/manifest.json $(PYTHON_CLIENTS) $(if $(shell command -v npm),$(NODE_CLIENTS)) ## Call the API with real client libraries
	@RUN_CLIENTS=1 $(PY) -m pytest tests/clients
	@cat build/clients/table.md

build/clients/%/installed: tests/clients/requirements/%.txt | $(UV)
	$(environment)

build/clients/%/installed: tests/clients/packages/%/package-lock.json
	$(node-environment)

.PHONY: without-vnni
without-vnni: .venv/installed build/model/manifest.json ## Check int8 on an emulated x86 CPU without VNNI (needs qemu-user)
	@if command -v qemu-x86_64-static qemu-x86_64 >/dev/null; then \
		RUN_EMULATED=1 $(PY) -m pytest -s tests/handler/embedding/test_without_vnni.py; \
	else echo "SKIPPED: int8 without VNNI needs qemu-x86_64 (Debian's qemu-user-static)"; fi

.PHONY: sanitize
sanitize: .venv/installed ## Run the C code under AddressSanitizer, UBSan and ThreadSanitizer (needs clang; arm64 needs qemu-user)
	@if command -v clang >/dev/null; then RUN_SANITIZED=1 $(PY) -m pytest -s tests/layers/runtime/test_sanitized.py; \
	else echo "SKIPPED: the C code under sanitizers needs clang (Debian's packages clang and libclang-rt-14-dev)"; fi

.PHONY: mca
mca: .venv/installed ## Predict the inner loop of int8 on Lambda's arm64 processor (needs llvm-mca)
	@if command -v llvm-mca >/dev/null; then $(PY) -m pytest -s tests/layers/runtime/test_loops.py; \
	else echo "SKIPPED: the inner loop on Neoverse N1 needs llvm-mca (Debian's package llvm)"; fi

.PHONY: test-browser
test-browser: .venv/installed build/model/manifest.json $(if $(shell command -v chromium),build/browser/installed) ## Check the pages in chromium
	@if command -v chromium >/dev/null; then RUN_BROWSER=1 build/browser/bin/python -m pytest --confcutdir tests/browser tests/browser; \
	else echo "SKIPPED: the pages in a browser need chromium (Debian's package)"; fi

.PHONY: screenshot
screenshot: test-browser ## Make the README's picture of the page again
	@cp build/screens/page.png tests/browser/page.png

build/browser/installed: tests/browser/requirements.txt | $(UV)
	$(environment)

.PHONY: bench
bench: .venv/installed build/model/manifest.json build/model-fp32/manifest.json ## Measure in interleaved pairs, and compare with the committed figures (ISA=avx2 limits all to AVX2 on a processor with more)
	@$(PY) -m tests.benchmarks

.PHONY: cold
cold: build ## Measure cold starts of the built function, and show where the time goes
	@ARTEFACT=build/lambda/app $(PY) -m tests.benchmarks cold --out $(COLD)

PEERS := $(patsubst tests/benchmarks/peers/requirements/%.in,build/peers/%/installed,$(wildcard tests/benchmarks/peers/requirements/*.in))

.PHONY: peers
peers: .venv/installed build/model/manifest.json build/model-fp32/manifest.json $(PEERS) ## Measure next to other servers and libraries, 6 GB of them (ISA=avx2 limits all to AVX2 on a processor with more)
	@$(PY) -m tests.benchmarks.peers --out $(PEERS_OUT)

# Each file pins everything: one of the peers forbids newer libraries, although it works with them.
build/peers/%/installed: UV_INSTALL = --no-deps
build/peers/%/installed: tests/benchmarks/peers/requirements/%.txt | $(UV)
	$(environment)

.PHONY: cost
cost: .venv/installed ## Compute what a deployment costs per month (COST="--requests 1000000 --tokens 66 --hit-rate 0.3"; COST=--help)
	@$(PY) -m tests.benchmarks.cost $(COST)

# --- Deployment -------------------------------------------------------------------------------------------

# `sam build` needs neither Docker nor an AWS account. It builds for Python 3.13 with the python3.13 that it finds on PATH.
SAM = PATH="$(dir $(PYTHON)):$$PATH" SAM_CLI_TELEMETRY=0 build/sam/bin/sam

# The processor to build for: `make deploy` takes x86_64 unless ARCH is set, other targets take this machine's. layers/runtime/Makefile reads it.
HOST_ARCH := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)
ARCH ?= $(if $(filter deploy,$(MAKECMDGOALS)),x86_64,$(HOST_ARCH))
export ARCH

.PHONY: build
build: build/sam/installed $(MODEL_DIR)/manifest.json $(RERANKER_HERE) ## Build the functions and layers for Lambda (build/lambda/app; ARCH=x86_64 or arm64, RERANKER_DIR=folder)
	@$(SAM) build --parameter-overrides Architecture=$(ARCH)
	@cd build/lambda/app && sha256=$$(sha256sum ModelLayer/model/manifest.json | cut -d ' ' -f 1) && \
		dimension=$$(sed -n 's/^  "dimension": \([0-9]*\),$$/\1/p' ModelLayer/model/manifest.json) && \
		sed -e "/MODEL_SHA256:/,/ModelSha256/s/''/'$$sha256'/" -e "/^ *Dimension:/,/SearchDimension/s/384/$$dimension/" $(if $(KEEP_VERSIONS),-e 's/VersionDeletionPolicy: Delete/VersionDeletionPolicy: Retain/') \
			template.yaml >../pinned.yaml && mv ../pinned.yaml template.yaml

.PHONY: release
release: .venv/installed build/sam/installed $(MODEL_DIR)/manifest.json ## Write zip files of the function and the layers, for both processors (build/release)
	@for arch in x86_64 arm64; do ARCH=$$arch $(SAM) build --parameter-overrides Architecture=$$arch --build-dir build/release/$$arch || exit; done
	@$(PY) -m layers.release x86_64=build/release/x86_64 arm64=build/release/arm64 --out build/release

# ARCH sets the parameter Architecture. All others are in PARAMETERS, or --guided asks for them, or they keep their last values.
.PHONY: deploy
deploy: build ## Build and deploy (ARCH, PARAMETERS="Alarms=true CacheTtlDays=7"; FLAGS=--guided the first time; needs an AWS account)
	@$(SAM) deploy $(FLAGS) --parameter-overrides Architecture=$(ARCH) $(PARAMETERS)

# STACK= names a stack other than samconfig.toml's. FUNCTION=PipelineFunction shows the pipeline's log.
FUNCTION ?= ApiFunction
STACK    ?= $(shell sed -n 's/^stack_name = "\(.*\)"/\1/p' samconfig.toml)

.PHONY: logs
logs: build/sam/installed ## Show the function's log of the last ten minutes (FUNCTION, STACK; needs an AWS account)
	@$(SAM) logs --stack-name $(STACK) --name $(FUNCTION) $(FLAGS)

.PHONY: smoke
smoke: .venv/installed ## Try a deployed stack: health, a refused request, and a vector (STACK; needs an AWS account)
	@$(PY) -m events.smoke $(STACK)

.PHONY: redrive
redrive: .venv/installed ## Return dead letters of the pipeline to where they came from (KIND="queue rules invocations stream", STACK; needs an AWS account)
	@$(PY) -m events.redrive $(STACK) $(KIND)

.PHONY: tail
tail: ## Follow the function's log (FUNCTION, STACK; needs an AWS account)
	@$(MAKE) logs FLAGS=--tail

.PHONY: validate
validate: build/sam/installed .venv/installed $(if $(shell command -v npm),build/asl/installed) ## Check template.yaml, and the state machine in it if npm is installed
	@AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint
	@if [ -e build/asl/installed ]; then $(PY) -m tests.infra.definition >build/asl/bulk.json && \
		build/asl/node_modules/.bin/asl-validator --json-path build/asl/bulk.json; \
	else echo "SKIPPED: checking the state machine's definition needs npm"; fi

build/asl/installed: tests/infra/asl/package-lock.json
	$(node-environment)

.PHONY: clean
clean: ## Delete everything generated
	rm -rf build .venv

# --- Environments -----------------------------------------------------------------------------------------

build/uv/bin/uv: tests/uv.txt
	@echo "Fetching uv"
	@$(PYTHON) -m venv build/uv
	@build/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/uv.txt
	@touch $@

# Compiled when they are installed. If PYTHONDONTWRITEBYTECODE is set, every process would compile its imports again: the tests of
# `make invoke` alone then take 25 s of CPU time instead of 12 s, and each `sam` command 3.5 s more. Compiling takes 24 s and 11 s, once.
.venv/packages build/sam/installed: UV_INSTALL = --compile-bytecode

.venv/packages: tests/requirements.txt | $(UV)
	$(environment)

.venv/installed: .venv/packages $(wildcard layers/runtime/operators/*.[chp]*)
	@echo "Compiling the encoder's operators"
	@$(PY) layers/runtime/operators/build.py .venv/lib/python3.13/site-packages
	@touch $@

# aws-sam-cli pins its own boto3, so it has an environment of its own. It contains AWS's Runtime Interface Emulator.
build/sam/installed: tests/infra/requirements.txt | $(UV)
	$(environment)

.PHONY: pins
pins: .venv/installed ## Pin all requirements again (UPGRADE=--upgrade for newer versions)
	$(COMPILE) pyproject.toml --overrides layers/runtime/overrides.txt -o layers/runtime/requirements.txt
	$(COMPILE) pyproject.toml --group dev -c layers/runtime/requirements.txt -o tests/requirements.txt
	$(COMPILE) --group sam -o tests/infra/requirements.txt
	$(COMPILE) --group checkov -o tests/infra/checkov.txt
	$(COMPILE) --group uv -c tests/requirements.txt -o tests/uv.txt
	@for wanted in tests/clients/requirements/*.in tests/browser/requirements.in tests/benchmarks/peers/requirements/*.in; do \
		$(COMPILE) $$wanted $$(ls $${wanted%.in}.overrides 2>/dev/null | sed 's/^/--overrides /') -o $${wanted%.in}.txt; done
COMPILE = $(UV) pip compile --quiet --no-config $(UPGRADE) --python $(PYTHON) --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links
