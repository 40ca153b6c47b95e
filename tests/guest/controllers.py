# SPDX-License-Identifier: MIT
"""The controllers that a disk may stand at: what tests of all of them go through."""

# name: machine, devices; DISK stands for the drive (and what else the test wants of it)
CONTROLLERS = {
    'virtio-blk': ('q35', ['virtio-blk-pci,DISK']),
    'virtio-scsi': ('q35', ['virtio-scsi-pci,id=hba', 'scsi-hd,bus=hba.0,DISK']),
    'nvme': ('q35', ['nvme,serial=rhea,DISK']),
    'ahci': ('q35', ['ide-hd,bus=ide.0,DISK']),
    'ahci-card': ('pc', ['ahci,id=hba', 'ide-hd,bus=hba.0,DISK']),
    'ide': ('pc', ['ide-hd,bus=ide.0,DISK']),
    'lsi': ('pc', ['lsi53c895a,id=hba', 'scsi-hd,bus=hba.0,DISK']),
    'am53c974': ('pc', ['am53c974,id=hba', 'scsi-hd,bus=hba.0,DISK']),
    'pvscsi': ('q35', ['pvscsi,id=hba', 'scsi-hd,bus=hba.0,DISK']),
    'mptsas': ('pc', ['mptsas1068,id=hba', 'scsi-hd,bus=hba.0,DISK']),
    'megasas-gen2': ('pc', ['megasas-gen2,id=hba', 'scsi-hd,bus=hba.0,DISK']),
    'megasas': ('q35', ['megasas,id=hba', 'scsi-hd,bus=hba.0,DISK']),
    'sdhci': ('pc', ['sdhci-pci,id=hba', 'sd-card,DISK']),
}
# What the machine needs besides. SeaBIOS's driver of mptsas writes where it must not on CPUs with KVM's clock (docs/deviations.md).
MORE = {'mptsas': ['-cpu', 'qemu64,kvm=off']}
IN_CLOUD_KERNEL = ('virtio-blk', 'virtio-scsi', 'nvme', 'pvscsi')   # Debian's kernel for clouds has no other drivers


def kernel(controller):
    """The test guest's kernel that has a driver for it."""
    return 'cloud-amd64' if controller in IN_CLOUD_KERNEL else 'amd64'


def devices(controller, disk):
    """Options of the emulator, DISK replaced."""
    return MORE.get(controller, []) + [word for device in CONTROLLERS[controller][1] for word in ('-device', device.replace('DISK', disk))]
