#!/usr/bin/env bash
# Takes llama.cpp's sources from the source distribution of PyPI's llama-cpp-python and builds its
# libraries into .deps/llama. clang, because g++ 12 miscompiles its AMX kernels; no OpenMP, because
# libtorch brings a runtime of its own. The build is native, so it is named by the processor's flags.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.3.36
source=.deps/llama.cpp-$version
cpu=$(grep -m1 '^flags' /proc/cpuinfo | md5sum | cut -c1-8)
build=.deps/llama-$version-$cpu

setup/sdist.sh llama-cpp-python "$version" vendor/llama.cpp "$source"

targets=(llama llama-common)
[ "${1:-}" = bench ] && targets+=(llama-server llama-batched-bench)
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
  -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=ON -DGGML_OPENMP=OFF -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=ON \
  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_WEBUI=OFF \
  "$(command -v ccache >/dev/null && echo -DCMAKE_CXX_COMPILER_LAUNCHER=ccache || echo -DGGML_CCACHE=OFF)" >"$build.log" 2>&1 ||
  { tail -20 "$build.log" >&2; exit 1; }
echo "setup: building ${targets[*]}"
cmake --build "$build" --target "${targets[@]}" >>"$build.log" 2>&1 || { tail -20 "$build.log" >&2; exit 1; }
ln -sfn "$(basename "$source")" .deps/llama-source
ln -sfn "$(basename "$build")" .deps/llama
