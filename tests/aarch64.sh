#!/bin/sh -e
# Compile the C library for aarch64, and run its tests there, under qemu-user. For Debian on another machine, with
# `dpkg --add-architecture arm64`, and the packages qemu-user, gcc-aarch64-linux-gnu and libc6-dev-arm64-cross.
# Python and NumPy come for aarch64 too: the tests are those of every machine.
ROOT=build/aarch64
PYTHON=$ROOT/system/usr/bin/python3.11
LIBRARY=$ROOT/tree/dropblock_core/native/libdropblock.so

if [ ! -e $PYTHON ]; then
    mkdir -p $ROOT/packages $ROOT/system
    for name in python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libgcc-s1 libstdc++6 libexpat1 \
        libffi8 libssl3 libsqlite3-0 libbz2-1.0 liblzma5 libuuid1 zlib1g; do
        (cd $ROOT/packages && apt-get download -q $name:arm64)
    done
    for package in $ROOT/packages/*.deb; do dpkg -x $package $ROOT/system; done
fi
.venv/bin/pip install --quiet --upgrade --target $ROOT/site --only-binary=:all: --python-version 3.11 \
    --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
    numpy ml-dtypes array-api-compat hypothesis pytest

rm -rf $ROOT/tree
mkdir -p $ROOT/tree
cp -r dropblock_core tests pyproject.toml $ROOT/tree
aarch64-linux-gnu-gcc $(.venv/bin/python -c 'from dropblock_core.native import compile; print(compile.FLAGS)') \
    -Wall -Wextra -Werror -o $LIBRARY dropblock_core/native/dropblock.c

cd $ROOT/tree
qemu-aarch64 -L ../system -E PYTHONPATH=../site:. -E LD_LIBRARY_PATH=/lib/aarch64-linux-gnu \
    ../system/usr/bin/python3.11 -m pytest -q -p no:cacheprovider tests/core/test_native.py
