# SPDX-License-Identifier: Apache-2.0
#
# A thin front of CMake and Ninja: the build itself is in CMakeLists.txt, the
# packages that it needs are in packages.txt.

PREFIX ?= /usr/local

.PHONY: all build demo check check-full oracle install format clean help
all: build

build/build.ninja:
	@cmake --preset release

build: build/build.ninja
	@cmake --build build

.PHONY: setup-build setup-test setup-oracle
setup-build:
	@scripts/setup.sh build
setup-test:
	@scripts/setup.sh build test
setup-oracle:
	@scripts/setup.sh build test oracle

demo: setup-build
	@cmake --preset release >/dev/null
	@$(MAKE) --no-print-directory build
	@examples/minilm/demo.sh

# Configured again, to notice what setup has just installed.
check check-full: setup-test
	@cmake --preset release >/dev/null
	@$(MAKE) --no-print-directory build
	@scripts/check.sh $(if $(filter check-full,$@),--full)

oracle: setup-oracle
	@cmake --preset release >/dev/null
	@$(MAKE) --no-print-directory build
	@scripts/oracle.sh

install: build
	@cmake --install build --prefix "$(PREFIX)"

format:
	@git ls-files -co --exclude-standard -- '*.c' '*.h' | xargs clang-format -i

clean:
	@rm -rf build

help:
	@echo "make             build into build/; the command is build/bin/fovea"
	@echo "make demo        build, fetch a published model, compile it, run a C program with it"
	@echo "make check       run the tests; ends with N passed, N failed, N skipped"
	@echo "make check-full  run all tests, the long ones too"
	@echo "make oracle      compare with onnxruntime and PyTorch on fresh random inputs"
	@echo "make install     install under PREFIX ($(PREFIX)); DESTDIR is honoured"
	@echo "make format      format the C code"
	@echo "make clean       remove build/"
	@echo "demo, check and oracle install missing Debian packages (packages.txt)."
