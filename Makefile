# Longhand's commands for people; the building itself is CMake's.
.DEFAULT_GOAL := help
.PHONY: help build demo test bench bench-engine bench-upsample parity fuzz format tidy
sources := 'src/*.cpp' 'src/*.h' 'tests/*.cpp' 'tests/*.h' 'bench/*.cpp' 'python/*.cpp'

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

build: ## set up what is missing, and build build/longhand
	@setup/bootstrap
	@cmake --build build

demo: build ## lengthen and paint 16 prompts of DrawBench: demo/gallery.html, pictures, a dataset
	@echo "16 of DrawBench's prompts, those that lie in the embedded model's world, each painted as typed and lengthened."
	@echo "(all 200: build/longhand compare --prompts drawbench --out drawbench-pairs)"
	@build/longhand compare --prompts data/prompts/pocket16.csv --out demo
	@echo "Look at the page above in a browser; the pictures are in demo/images, the dataset in demo/data."

test: ## set up, build, and run the tests
	@setup/bootstrap --test
	@cmake --build build --target all fuzzers
	@ctest --test-dir build --output-on-failure

bench: ## measure against the peers, side by side (about an hour); figures in bench/README.md
	@setup/bootstrap --test
	@setup/llama.sh bench
	@cmake --build build --target longhand fidelity kernels
	@bench/run

bench-upsample: ## lengthening beside llama.cpp's server and its decoding, a 7B shape too (half an hour; 12 GB on disk, 16 of memory)
	@setup/bootstrap --test
	@setup/llama.sh bench
	@cmake --build build --target longhand decode
	@.venv/bin/python bench/upsample.py
	@.venv/bin/python bench/decode.py
	@.venv/bin/python bench/decode.py --seven-billion

bench-engine: ## full-size models with random weights beside four peers (long; 9 GB of weights on disk)
	@setup/bootstrap --bench
	@cmake --build build --target engine
	@bench/run engine

parity: ## every component of every model at full size, random weights, against the reference; 10 GB on disk, 14 of memory, some 20 minutes
	@setup/bootstrap --test
	@cmake --build build --target component
	@.venv/bin/python tests/parity/parity.py

fuzz: ## the parsers under ASan and UBSan with made-up input, a minute each
	@setup/bootstrap
	@tests/fuzz/run 60

format: ## bring all sources into the one format
	@command -v clang-format-19 >/dev/null || apt-get -qq install -y clang-format-19
	@clang-format-19 -i $$(git ls-files $(sources))

tidy: build ## clang-tidy over all sources (some minutes)
	@command -v clang-tidy-19 >/dev/null || apt-get -qq install -y clang-tidy-19
	@clang-tidy-19 -quiet -p build $$(git ls-files 'src/*.cpp')
