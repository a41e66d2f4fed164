#!/usr/bin/env bash
# Takes stable-diffusion.cpp's sources from the source distribution of PyPI's stable-diffusion-cpp-python and builds its
# command line, .deps/stable-diffusion/bin/sd-cli, which bench/engine.py measures. Compiler and options as for llama.cpp
# (setup/llama.sh): native, with AVX-512 and AMX where the processor has them, on ggml's own threads.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.4.7
source=.deps/stable-diffusion.cpp-$version
cpu=$(grep -m1 '^flags' /proc/cpuinfo | md5sum | cut -c1-8)
build=.deps/stable-diffusion-$version-$cpu

setup/sdist.sh stable-diffusion-cpp-python "$version" vendor/stable-diffusion.cpp "$source"
echo "setup: building stable-diffusion.cpp"
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19 \
  -DGGML_NATIVE=ON -DGGML_OPENMP=OFF -DSD_WEBP=OFF -DSD_WEBM=OFF \
  "$(command -v ccache >/dev/null && echo -DCMAKE_CXX_COMPILER_LAUNCHER=ccache || echo -DGGML_CCACHE=OFF)" >"$build.log" 2>&1 ||
  { tail -20 "$build.log" >&2; exit 1; }
cmake --build "$build" --target sd-cli >>"$build.log" 2>&1 || { tail -20 "$build.log" >&2; exit 1; }
ln -sfn "$(basename "$build")" .deps/stable-diffusion
