#!/bin/sh
# Makes what Parley is measured against, in the folder $1: `make bench-alternatives`. Compiling takes 10 to 20 minutes.
# llama.cpp is compiled once, for this very processor, from the sources that come with llama-cpp-python: its library for
# the Python bindings, and its own server, which the bindings leave out.
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

# Before version 13 GCC takes _tile_loadconfig to read 8 of its 64 bytes and leaves the rest unwritten: on a processor with
# AMX the first token is a crash. The empty statement says what is read.
sed -i 's/^    _tile_loadconfig(&tc);/    __asm__ volatile("" : : "m"(tc));\n&/' \
    "$into/sources/vendor/llama.cpp/ggml/src/ggml-cpu/amx/mmq.cpp"
cmake -S "$into/sources/vendor/llama.cpp" -B "$into/llama.cpp" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF
cmake --build "$into/llama.cpp" --target llama-server --parallel 2
