# SPDX-License-Identifier: MIT
# The short way to everything. `make run` and `make check` need only git, make and Debian 12.

BUILD   ?= build
MACHINE ?= $(if $(ARM),virt,q35)
KERNEL  ?= cloud-amd64
SMP     ?= 2
MEM     ?= 512
APPEND  ?=
# more options for the emulator (make run) or for the benchmark (make bench)
ARGS    ?=

# the architecture of the guest's kernel
ARCH     = $(if $(findstring 686,$(KERNEL)),i386,$(if $(findstring arm64,$(KERNEL)),arm64,$(if $(findstring armmp,$(KERNEL)),armhf,amd64)))
ARM      = $(findstring arm,$(ARCH))
CONSOLE  = $(if $(ARM),ttyAMA0,ttyS0)
CPU     ?= $(if $(filter armhf,$(ARCH)),cortex-a15)
BENCH_ARCH = $(if $(filter arm64,$(ARCH)),arm64,amd64)
GUESTS   = $(or $(RHEA_GUESTS),build/guests)

.DEFAULT_GOAL := build
.PHONY: setup configure build run check check-long sanitize bench clean distclean help

help:
	@echo 'make               install what is missing, configure, build'
	@echo 'make run           ... and boot Debian to a shell (KERNEL=$(KERNEL) MACHINE=$(MACHINE)'
	@echo '                   SMP=$(SMP) MEM=$(MEM) ARGS="more options"; poweroff or Ctrl-a x ends it)'
	@echo 'make check         ... and run the test suite'
	@echo 'make check-long    ... and the whole matrix of guests (half an hour)'
	@echo 'make sanitize      the suite but for guests under AddressSanitizer and UndefinedBehaviorSanitizer, in $(BUILD)-asan'
	@echo '                   (ARGS="--suite guest" or ARGS=scsi chooses tests)'
	@echo 'make bench         ... and compare with QEMU (ARGS="--rounds 5 ...", ARCH=arm64; see docs/testing.md)'
	@echo 'make setup         only install the packages'
	@echo 'make clean         remove what was built; make distclean: and what was fetched'
	@echo './configure --help for a build of another kind'

setup:
	@tools/setup

$(BUILD)/build.ninja: | setup
	@./configure --builddir=$(BUILD)

configure: $(BUILD)/build.ninja

build: setup $(BUILD)/build.ninja
	@echo 'build: compiling'
	@if [ -t 1 ]; then ninja -C $(BUILD); else ninja -C $(BUILD) --quiet; fi

run: build
	@tests/guest/fetch --quiet $(KERNEL) busybox-$(ARCH)
	@tests/guest/mkinitrd --kernel $(KERNEL) --quiet
	@echo 'run: Debian $(KERNEL) on $(MACHINE); poweroff or Ctrl-a x ends it, Ctrl-a h helps'
	@$(BUILD)/rhea -M $(MACHINE) -accel tcg -smp $(SMP) -m $(MEM) -nographic -no-reboot \
	    -kernel $(GUESTS)/$(KERNEL)/vmlinuz -initrd $(GUESTS)/initrd-$(KERNEL).cpio \
	    -append 'console=$(CONSOLE),115200 panic=-1 $(APPEND)' $(if $(CPU),-cpu $(CPU)) $(ARGS)

check: build
	@tests/guest/fetch --try cloud-amd64 kvm-amd64 nbd-amd64 busybox-amd64 amd64 trixie-cloud-amd64 sg3-amd64 686-pae busybox-i386 cloud-arm64 busybox-arm64 armmp busybox-armhf u-boot fio-amd64 iommu-amd64 iommu-arm64
	@tools/check $(BUILD) --no-suite long

check-long: build
	@tests/guest/fetch --try --all
	@tools/check $(BUILD)

# what ends a program with a finding: errors, undefined behaviour, leaks
sanitize: export ASAN_OPTIONS ?= detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1
sanitize: export UBSAN_OPTIONS ?= halt_on_error=1:print_stacktrace=1
sanitize:
	@tools/setup --dev
	@[ -f $(BUILD)-asan/build.ninja ] || ./configure --builddir=$(BUILD)-asan --cc=clang --enable-asan
	@ninja -C $(BUILD)-asan
	@tools/check $(BUILD)-asan --timeout-multiplier 10 $(or $(ARGS),--no-suite guest --no-suite long)

bench: build
	@tools/setup --bench
	@tests/guest/fetch --quiet cloud-$(BENCH_ARCH) busybox-$(BENCH_ARCH) programs$(filter-out -amd64,-$(BENCH_ARCH)) fio-$(BENCH_ARCH)
	@tests/bench/run --arch $(BENCH_ARCH) $(ARGS)
	@tests/bench/disks --arch $(BENCH_ARCH)
	@tests/bench/images
	@tests/bench/savevm

clean:
	@if [ -d $(BUILD) ]; then find $(BUILD) -mindepth 1 -maxdepth 1 ! -name guests -exec rm -rf {} +; fi

distclean: clean
	@rm -rf $(BUILD)
