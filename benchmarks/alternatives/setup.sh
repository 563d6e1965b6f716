#!/bin/sh
# Installs the alternatives that Parley is compared with into the folder $1: `make bench-alternatives`. It compiles for
# 10 to 20 minutes. llama.cpp is built once, for this processor, from the sources in llama-cpp-python's package: the
# library for the Python bindings, and the server, which the bindings lack.
set -eu
into=$1
here=benchmarks/alternatives
venv=$into/venv
pip() {
    CMAKE_ARGS="-DLLAMA_BUILD=OFF" "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"
}

mkdir -p "$into"
./setup.sh "$venv" .
pip install scikit-build-core
pip install --constraint constraints.txt --no-binary llama-cpp-python --requirement $here/requirements.txt
binding=$(grep '^llama-cpp-python==' $here/requirements.txt)
rm -rf "$into/sources"
pip download --no-deps --no-binary llama-cpp-python --no-build-isolation --dest "$into/sources" "$binding"
tar -xzf "$into"/sources/*.tar.gz -C "$into/sources" --strip-components 1

# GCC before version 13 assumes that _tile_loadconfig reads 8 of its 64 bytes, and drops the writes to the rest: llama.cpp
# then crashes at the first token on a processor with AMX. The empty asm statement declares the whole struct as read.
sed -i 's/^    _tile_loadconfig(&tc);/    __asm__ volatile("" : : "m"(tc));\n&/' \
    "$into/sources/vendor/llama.cpp/ggml/src/ggml-cpu/amx/mmq.cpp"
cmake -S "$into/sources/vendor/llama.cpp" -B "$into/llama.cpp" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF
cmake --build "$into/llama.cpp" --target llama-server --parallel 2
