# SPDX-License-Identifier: MIT
"""The table of guests: which Debian package each comes from, and where the cache holds it."""
import os
from dataclasses import dataclass

RELEASE = 'bookworm'
NEXT_RELEASE = 'trixie'


# The modules that a kernel needs besides what is built in: the power buttons, virtio disks, SCSI, file systems.
MODULES = tuple(root + 'lib/modules/*/kernel/' + name + '.ko*' for root in ('', 'usr/') for name in (
    *('drivers/' + driver for driver in (
        'acpi/button', 'input/keyboard/gpio_keys', 'virtio/virtio', 'virtio/virtio_ring', 'virtio/virtio_pci_legacy_dev',
        'virtio/virtio_pci_modern_dev', 'virtio/virtio_pci', 'virtio/virtio_balloon', 'virtio/virtio_mem',
        'nvdimm/libnvdimm', 'nvdimm/nd_virtio', 'nvdimm/virtio_pmem', 'nvdimm/nd_btt', 'nvdimm/nd_pmem', 'dax/dax', 'acpi/nfit/nfit', 'block/virtio_blk', 'cdrom/cdrom', 'scsi/scsi_common', 'scsi/scsi_mod', 'scsi/sd_mod',
        'scsi/sr_mod', 'scsi/virtio_scsi', 'scsi/vmw_pvscsi', 'scsi/scsi_transport_spi', 'scsi/sym53c8xx_2/sym53c8xx', 'scsi/esp_scsi', 'scsi/am53c974',
        'scsi/megaraid/megaraid_sas', 'scsi/scsi_transport_sas', 'message/fusion/mptbase', 'message/fusion/mptscsih', 'message/fusion/mptsas',
        'ata/libata', 'ata/libahci', 'ata/ahci', 'ata/ata_piix', 'mmc/core/mmc_core', 'mmc/core/mmc_block', 'mmc/host/cqhci', 'mmc/host/sdhci',
        'mmc/host/sdhci-pci', 'mmc/host/sdhci-pltfm', 'mmc/host/sdhci-esdhc-imx', 'mmc/host/sdhci-iproc', 'mmc/host/sdhci-of-arasan', 'mmc/host/mmci',
        'mmc/host/armmmci', 'mmc/host/bcm2835', 'block/floppy', 'watchdog/bcm2835_wdt', 'watchdog/imx2_wdt', 'char/hw_random/rng-core',
        'char/hw_random/bcm2835-rng', 'thermal/broadcom/bcm2835_thermal', 'i2c/busses/i2c-bcm2835', 'spi/spi-bcm2835', 'gpio/gpio-mxc',
        'virtio/virtio_mmio', 'char/hw_random/virtio-rng', 'char/virtio_console', 'watchdog/watchdog', 'watchdog/i6300esb', 'watchdog/iTCO_wdt',
        'watchdog/iTCO_vendor_support', 'mfd/mfd-core', 'mfd/intel_pmc_bxt', 'mfd/lpc_ich', 'misc/pvpanic/pvpanic', 'misc/pvpanic/pvpanic-pci')),
    'net/vmw_vsock/vsock', 'net/vmw_vsock/vmw_vsock_virtio_transport_common', 'net/vmw_vsock/vmw_vsock_virtio_transport',
    'lib/crc-t10dif', 'lib/crc64', 'lib/crc64-rocksoft', 'lib/crc16', 'lib/libcrc32c', 'crypto/crct10dif_common', 'crypto/crct10dif_generic',
    'crypto/crc64_rocksoft_generic', 'block/t10-pi', 'crypto/crc32c_generic', 'fs/mbcache', 'fs/jbd2/jbd2', 'fs/ext4/ext4', 'fs/isofs/isofs'))
# Device trees of boards that cannot say themselves what they are.
DTBS = tuple(f'usr/lib/linux-image-*/{folder}{name}.dtb' for folder in ('', 'broadcom/', 'arm/') for name in (
    'vexpress-v2p-ca9', 'vexpress-v2p-ca15-tc1', 'bcm2708-rpi-zero', 'bcm2835-rpi-zero', 'bcm2835-rpi-a-plus', 'bcm2836-rpi-2-b', 'bcm2837-rpi-3-b',
    'zynq-zed', 'zynq-zc702', 'imx6q-sabrelite', 'versatile-pb'))
# ... and which of them a machine is told by: its device tree and the names of its serial port in kernels.
BOARDS = {'vexpress-a9': ('vexpress-v2p-ca9', 'ttyAMA0'), 'vexpress-a15': ('vexpress-v2p-ca15-tc1', 'ttyAMA0'),
          'raspi0': ('bcm2835-rpi-zero', 'ttyAMA0'), 'raspi1ap': ('bcm2835-rpi-a-plus', 'ttyAMA0'),
          'raspi2b': ('bcm2836-rpi-2-b', 'ttyAMA0'), 'raspi3b': ('bcm2837-rpi-3-b', 'ttyAMA0'),
          'versatilepb': ('versatile-pb', 'ttyAMA0'), 'sabrelite': ('imx6q-sabrelite', 'ttymxc1'),
          'xilinx-zynq-a9': ('zynq-zc702', 'ttyPS0')}
# (kernel, machine) where the driver that turns the power off is a module that the initramfs does not hold.
HALTS = {('armmp', 'sabrelite')}
INSTALLER = 'usr/lib/debian-installer/images/12/arm64/text/debian-installer/arm64/'


@dataclass(frozen=True)
class Guest:
    """One thing that the cache can hold; `kind` says how its packages are unpacked."""
    name: str
    kind: str                   # kernel: vmlinuz, config, version; file: one file; tree: all
    arch: str
    packages: tuple
    about: str
    release: str = RELEASE
    member: str = ''            # file: its path in the package (a glob)
    file: str = ''              # file: its name in the cache
    members: tuple = ()         # files: (path in the package, name in the cache)


# Debian's name of an architecture in paths, and the dynamic loader.
TRIPLE = {'amd64': 'x86_64-linux-gnu', 'arm64': 'aarch64-linux-gnu'}
LOADER = {'amd64': 'lib64/ld-linux-x86-64.so.2', 'arm64': 'lib/ld-linux-aarch64.so.1'}
# What the benchmark and workload programs need, libraries included; and the assembler of an architecture.
PROGRAMS = ('cpp-12', 'libbinutils', 'libctf0', 'libctf-nobfd0',
            'libisl23', 'libmpc3', 'libmpfr6', 'libgmp10', 'zlib1g', 'libzstd1', 'libjansson4',
            'zstd', 'liblzma5', 'liblz4-1', 'lua5.4', 'libreadline8', 'libtinfo6', 'perl-base',
            'libcrypt1', 'libc6', 'libgcc-s1', 'libstdc++6')
# What fio needs: Debian's is linked with the libraries of every storage that it can reach.
FIO = ('fio', 'libc6', 'libgcc-s1', 'libstdc++6', 'zlib1g', 'libaio1', 'libnuma1', 'libgfapi0', 'libglusterfs0', 'libgfrpc0', 'libgfxdr0',
       'libnbd0', 'libibverbs1', 'librdmacm1', 'librados2', 'librbd1', 'libpmemblk1', 'libpmem1', 'libndctl6', 'libdaxctl1', 'libkmod2',
       'libkeyutils1', 'libnl-3-200', 'libnl-route-3-200', 'libuuid1', 'libacl1', 'libtirpc3', 'libgssapi-krb5-2', 'libkrb5-3',
       'libkrb5support0', 'libk5crypto3', 'libcom-err2', 'libssl3', 'libgnutls30', 'libp11-kit0', 'libffi8', 'libidn2-0', 'libunistring2',
       'libtasn1-6', 'libnettle8', 'libhogweed6', 'libgmp10', 'libxml2', 'libicu72', 'liblzma5', 'libzstd1', 'libbz2-1.0', 'libudev1',
       'libjson-c5', 'libfmt9', 'libcryptsetup12', 'libargon2-1', 'libdevmapper1.02.1', 'libselinux1', 'libpcre2-8-0', 'libblkid1', 'libcap2',
       'libboost-thread1.74.0', 'libboost-iostreams1.74.0')

_TABLE = (
    Guest('cloud-amd64', 'kernel', 'amd64', ('linux-image-cloud-amd64',), 'Debian 12, cloud'),
    Guest('amd64', 'kernel', 'amd64', ('linux-image-amd64',), 'Debian 12, generic'),
    Guest('rt-amd64', 'kernel', 'amd64', ('linux-image-rt-amd64',), 'Debian 12, PREEMPT_RT'),
    Guest('686-pae', 'kernel', 'i386', ('linux-image-686-pae',), 'Debian 12, i386 with PAE'),
    Guest('686', 'kernel', 'i386', ('linux-image-686',), 'Debian 12, i386 without PAE'),
    Guest('trixie-amd64', 'kernel', 'amd64', ('linux-image-amd64',), 'Debian 13, generic',
          release=NEXT_RELEASE),
    Guest('trixie-cloud-amd64', 'kernel', 'amd64', ('linux-image-cloud-amd64',),
          'Debian 13, cloud', release=NEXT_RELEASE),
    Guest('busybox-amd64', 'file', 'amd64', ('busybox-static',), 'user space of the initramfs',
          member='bin/busybox', file='busybox'),
    Guest('busybox-i386', 'file', 'i386', ('busybox-static',), 'user space of the initramfs',
          member='bin/busybox', file='busybox'),
    Guest('memtest', 'file', 'amd64', ('memtest86+',), 'memtest86+ for x86-64',
          member='boot/memtest86+x64.bin', file='vmlinuz'),
    Guest('arm64', 'kernel', 'arm64', ('linux-image-arm64',), 'Debian 12, generic'),
    Guest('cloud-arm64', 'kernel', 'arm64', ('linux-image-cloud-arm64',), 'Debian 12, cloud'),
    Guest('rt-arm64', 'kernel', 'arm64', ('linux-image-rt-arm64',), 'Debian 12, PREEMPT_RT'),
    Guest('armmp', 'kernel', 'armhf', ('linux-image-armmp',), 'Debian 12, ARMv7'),
    Guest('armmp-lpae', 'kernel', 'armhf', ('linux-image-armmp-lpae',), 'Debian 12, ARMv7 with LPAE'),
    Guest('rpi', 'kernel', 'armel', ('linux-image-rpi',), 'Debian 12, Raspberry Pi 1 and Zero'),
    Guest('marvell', 'kernel', 'armel', ('linux-image-marvell',), 'Debian 12, Marvell ARMv5'),
    Guest('busybox-arm64', 'file', 'arm64', ('busybox-static',), 'user space of the initramfs',
          member='bin/busybox', file='busybox'),
    Guest('busybox-armhf', 'file', 'armhf', ('busybox-static',), 'user space of the initramfs',
          member='bin/busybox', file='busybox'),
    Guest('busybox-armel', 'file', 'armel', ('busybox-static',), 'user space of the initramfs',
          member='bin/busybox', file='busybox'),
    Guest('kvm-amd64', 'files', 'amd64', ('linux-image-cloud-amd64',), 'Debian 12, cloud, with its KVM',
          members=(('boot/vmlinuz-*', 'vmlinuz'), *((f'lib/modules/*/kernel/{name}.ko', f'modules/{os.path.basename(name)}.ko') for name in (
              'virt/lib/irqbypass', 'arch/x86/kvm/kvm', 'arch/x86/kvm/kvm-amd')))),
    Guest('nbd-amd64', 'files', 'amd64', ('linux-image-cloud-amd64',), "Debian 12, cloud, with the kernel's NBD client",
          members=(('boot/vmlinuz-*', 'vmlinuz'), ('lib/modules/*/kernel/drivers/block/nbd.ko', 'modules/nbd.ko'))),
    *(Guest(f'iommu-{arch}', 'files', arch, (f'linux-image-cloud-{arch}',), "Debian 13, cloud, with virtio-iommu's driver", release=NEXT_RELEASE,
            members=(('boot/vmlinuz-*', 'vmlinuz'), *((f'usr/lib/modules/*/kernel/drivers/{name}.ko.xz', f'modules/{os.path.basename(name)}.ko.xz')
                                                      for name in ('iommu/virtio-iommu', 'block/virtio_blk')))) for arch in ('amd64', 'arm64')),
    Guest('installer-arm64', 'files', 'amd64', ('debian-installer-12-netboot-arm64',),
          "Debian 12's installer", members=((INSTALLER + 'linux', 'vmlinuz'),
                                            (INSTALLER + 'initrd.gz', 'initrd'))),
    Guest('u-boot', 'files', 'amd64', ('u-boot-qemu',), 'U-Boot for virt',
          members=(('usr/lib/u-boot/qemu_arm64/u-boot.bin', 'arm64.bin'),
                   ('usr/lib/u-boot/qemu_arm/u-boot.bin', 'arm.bin'))),
    Guest('edk2-arm64', 'files', 'amd64', ('qemu-efi-aarch64',), 'UEFI firmware',
          members=(('usr/share/qemu-efi-aarch64/QEMU_EFI.fd', 'firmware'),
                   ('usr/share/AAVMF/AAVMF_VARS.fd', 'variables'))),
    Guest('edk2-arm', 'files', 'amd64', ('qemu-efi-arm',), 'UEFI firmware, 32 bits',
          members=(('usr/share/AAVMF/AAVMF32_CODE.fd', 'firmware'),
                   ('usr/share/AAVMF/AAVMF32_VARS.fd', 'variables'))),
    Guest('programs', 'tree', 'amd64', ('binutils-x86-64-linux-gnu', *PROGRAMS), 'gcc, zstd, Lua, Perl for the benchmark'),
    Guest('fio-amd64', 'tree', 'amd64', FIO, 'fio for the benchmark of disks'),
    Guest('fio-arm64', 'tree', 'arm64', FIO, 'the same for arm64'),
    Guest('sg3-amd64', 'tree', 'amd64', ('sg3-utils', 'libsgutils2-1.46-2', 'smp-utils', 'libc6'), 'SCSI commands and SMP functions by hand'),
    Guest('programs-arm64', 'tree', 'arm64', ('binutils-aarch64-linux-gnu', *PROGRAMS), 'the same for arm64'),
)

ALL = {guest.name: guest for guest in _TABLE}
KERNELS = [guest.name for guest in _TABLE if guest.kind == 'kernel']
WITH_MODULES = [guest.name for guest in _TABLE if guest.kind == 'kernel' or any(name.startswith('modules/') for _, name in guest.members)]


def is_arm(name):
    return ALL[name].arch in ('arm64', 'armhf', 'armel')


def top():
    """The top of the source tree."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def cache():
    """The folder that holds the guests."""
    return os.environ.get('RHEA_GUESTS') or os.path.join(top(), 'build', 'guests')


def path(name, root=None):
    """Where a guest is, or would be."""
    return os.path.join(root or cache(), name)


def programs(arch):
    """The name of the tree of programs for an architecture."""
    return 'programs' if arch == 'amd64' else f'programs-{arch}'


def kernel_file(name, root=None):
    return os.path.join(path(name, root), 'vmlinuz')


def board(machine):
    """The device tree and console of a machine that has to be told what it is; None: the others."""
    return BOARDS.get(machine.split(',')[0])


def dtb_file(kernel, machine, root=None):
    return os.path.join(path(kernel, root), 'dtbs', board(machine)[0] + '.dtb')


def cached(name, root=None):
    return os.path.isdir(path(name, root))
