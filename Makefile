# Longhand's commands for people; the building itself is CMake's.
.DEFAULT_GOAL := help
.PHONY: help build test format

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

build: ## set up what is missing, and build build/longhand
	@setup/bootstrap
	@cmake --build build

test: build ## set up, build, and run the tests
	@ctest --test-dir build --output-on-failure

format: ## bring all sources into the one format
	@command -v clang-format-19 >/dev/null || apt-get -qq install -y clang-format-19
	@clang-format-19 -i $$(git ls-files 'src/*.cpp' 'src/*.h' 'tests/*.cpp' 'tests/*.h')
